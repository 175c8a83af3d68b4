"""The bytes of an HTTP server: however they are cut, they are the same answer or none, and no error but our own."""

import zlib
from random import Random

from tests.fuzz import mutations
from tests.fuzz.harness import Target
from tradeproc.brokers.http_answer import BadAnswer, HttpAnswer, Inflater

_PACKED = zlib.compress(b'{"Orders": []}' * 20)
_LARGEST = 10_000
_ANSWERS = (
    b'HTTP/1.1 200 OK\r\nDate: Tue, 10 Feb 2026 15:31:08 GMT\r\nContent-Length: 14\r\n\r\n{"Orders": []}',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n3;x=y\r\n 1}\r\n0\r\nLate: x\r\n\r\n',
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 503 Service Unavailable\r\n\r\n<html>sorry</html>",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n%b" % (len(_PACKED), _PACKED),
    b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
)


def _draw(random: Random) -> tuple[bytes, list[bytes]]:
    whole = random.choice(_ANSWERS)
    if random.random() < 0.8:
        whole = mutations.raw(random, whole, 2)
    return whole, mutations.pieces(random, whole)


def _answer(pieces: list[bytes]) -> tuple[int, dict[str, str], bytes] | None:
    """Return status, headers and body of what is one, read as a client does; None for what is none."""
    answer, body = HttpAnswer(), b""
    try:
        for piece in pieces:
            if answer.is_complete:
                break
            answer.feed(piece)
            body += answer.taken()
        if not answer.is_complete:
            answer.end()
        inflater = Inflater(answer.headers.get("content-encoding", ""), _LARGEST)
        plain = inflater.feed(body)
    except BadAnswer:
        return None
    assert answer.is_complete
    assert 200 <= answer.status <= 999
    assert plain is None or len(plain) <= _LARGEST
    return answer.status, answer.headers, body


def _read(drawn: tuple[bytes, list[bytes]]) -> None:
    whole, pieces = drawn
    found = _answer([whole])
    assert found == _answer(pieces), "it depends on how the network cut it"
    if found is None:
        raise BadAnswer("however it is cut")


TARGETS = (Target("http", _draw, _read, (BadAnswer,)),)
