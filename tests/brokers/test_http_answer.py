import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.brokers.http_answer import LARGEST_HEAD, BadAnswer, HttpAnswer, Inflater

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: today\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nLate: x\r\n\r\n"


def read(*pieces: bytes, ends: bool = False) -> HttpAnswer:
    answer = HttpAnswer()
    for piece in pieces:
        answer.feed(piece)
    if ends:
        answer.end()
    return answer


@pytest.mark.parametrize(("raw", "body"), [(WHOLE, b"{}"), (CHUNKED, b"abcde")])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_answer_is_the_same_however_its_bytes_are_cut(raw: bytes, body: bytes, size: int) -> None:
    answer = read(*(raw[at : at + size] for at in range(0, len(raw), size)))

    assert (answer.status, answer.is_complete, answer.taken()) == (200, True, body)
    assert answer.may_follow_another
    assert answer.taken() == b""
    assert "late" not in answer.headers


@pytest.mark.parametrize("length", range(1, len(WHOLE)))
def test_an_answer_cut_anywhere_is_none(length: int) -> None:
    answer = read(WHOLE[:length])

    assert not answer.is_complete
    with pytest.raises(BadAnswer):
        answer.end()


@pytest.mark.parametrize("length", range(1, len(CHUNKED)))
def test_a_chunked_answer_cut_anywhere_is_none(length: int) -> None:
    with pytest.raises(BadAnswer):
        read(CHUNKED[:length], ends=True)


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    answer = read(b"HTTP/1.1 200 OK\r\n\r\nab", b"c", ends=True)

    assert (answer.is_complete, answer.may_follow_another, answer.taken()) == (True, False, b"abc")


def test_an_interim_answer_is_passed_over() -> None:
    answer = read(b"HTTP/1.1 103 Early Hints\r\nDate: never\r\n\r\n", WHOLE)

    assert (answer.status, answer.headers["date"], answer.taken()) == (200, "today", b"{}")


@pytest.mark.parametrize("more", [WHOLE, b"x", b"\r\nHTTP/1.1 500 X\r\nContent-Length: 1\r\n\r\n!"])
@pytest.mark.parametrize("is_apart", [True, False])
def test_bytes_behind_an_answer_change_nothing_of_it_and_close_the_connection(more: bytes, is_apart: bool) -> None:
    answer = read(WHOLE, more) if is_apart else read(WHOLE + more)

    assert (answer.status, answer.taken(), answer.headers["content-length"]) == (200, b"{}", "2")
    assert answer.is_complete
    assert not answer.may_follow_another


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n"])
def test_a_server_that_will_hang_up_gets_no_other_request(head: bytes) -> None:
    answer = read(head + b"Content-Length: 2\r\n\r\n{}")

    assert answer.is_complete
    assert not answer.may_follow_another


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 2xx OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * LARGEST_HEAD,
    ],
)
def test_what_is_no_answer_is_refused(raw: bytes) -> None:
    with pytest.raises(BadAnswer):
        read(raw)


@given(st.lists(st.binary(max_size=60), max_size=6), st.booleans())
def test_any_bytes_give_an_answer_or_are_refused(pieces: list[bytes], is_answer: bool) -> None:
    answer = HttpAnswer()
    try:
        for piece in [WHOLE[:40], *pieces] if is_answer else pieces:
            answer.feed(piece)
        answer.end()
    except BadAnswer:
        return
    assert answer.is_complete
    assert 200 <= answer.status <= 999


@pytest.mark.parametrize("wbits", [31, 15, -15])
def test_what_was_compressed_is_read_in_any_pieces_and_never_when_torn(wbits: int) -> None:
    press = zlib.compressobj(wbits=wbits)
    text = b"abc" * 1000
    pressed = press.compress(text) + press.flush()
    encoding = "gzip" if wbits == 31 else "deflate"

    whole, torn = Inflater(encoding, 1 << 20), Inflater(encoding, 1 << 20)

    assert b"".join(whole.feed(pressed[at : at + 7]) or b"" for at in range(0, len(pressed), 7)) == text
    assert not whole.is_torn
    torn.feed(pressed[:-1])
    assert torn.is_torn


def test_a_small_answer_that_becomes_a_large_one_is_refused() -> None:
    pressed = zlib.compress(b"\0" * 10_000_000)

    assert Inflater("deflate", 1_000_000).feed(pressed) is None
    assert Inflater("", 3).feed(b"abcd") is None
    assert Inflater("", 4).feed(b"abcd") == b"abcd"


def test_broken_compression_is_no_answer() -> None:
    with pytest.raises(BadAnswer):
        Inflater("gzip", 1000).feed(b"not gzip at all")
