"""The listener for a consent: the answer comes in on either address of this machine, and nobody holds it up."""

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from tradeproc.cli.consent_listener import ConsentListener
from tradeproc.desk.exit_status import CommandFailed, NotRunning
from tradeproc.testing.running import free_port

GENEROUS = 60.0


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


ADDRESSES = ["127.0.0.1", "[::1]"] if has_ipv6() else ["127.0.0.1"]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def listener(port: int) -> Iterator[ConsentListener]:
    with ConsentListener(f"http://localhost:{port}/", "right") as listener:
        yield listener


def later(action: object, *given: object) -> threading.Thread:
    thread = threading.Thread(target=action, args=given, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_answer_is_taken_on_either_address(listener: ConsentListener, port: int, address: str) -> None:
    codes: list[int] = []

    def browse() -> None:
        for path in ("/?code=x&state=wrong", "/favicon.ico", "/?state=right", "/?code=a%20b&state=right"):
            codes.append(httpx.get(f"http://{address}:{port}{path}", trust_env=False, timeout=GENEROUS).status_code)

    browser = later(browse)

    assert listener.wait(GENEROUS) == f"http://localhost:{port}/?code=a%20b&state=right"
    browser.join(GENEROUS)
    assert codes == [404, 404, 404, 200]


def test_who_dribbles_or_says_nothing_holds_nothing_up(listener: ConsentListener, port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    is_over = threading.Event()

    def dribble() -> None:
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(b"GET /")
            while not is_over.wait(0.05):
                try:
                    slow.sendall(b"a")
                except OSError:
                    return

    try:
        slow = later(dribble)
        later(httpx.get, f"http://127.0.0.1:{port}/?code=x&state=right")

        assert "code=x" in listener.wait(GENEROUS)
    finally:
        is_over.set()
        slow.join(GENEROUS)
        for stranger in silent:
            stranger.close()


def test_the_time_ends_whatever_a_client_does(listener: ConsentListener, port: int) -> None:
    is_over = threading.Event()

    def dribble() -> None:
        while not is_over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as slow:
                    while not is_over.wait(0.02):
                        slow.sendall(b"G")
            except OSError:
                is_over.wait(0.02)

    client = later(dribble)
    try:
        with pytest.raises(NotRunning, match="nobody consented within 1 s"):
            listener.wait(1.0)
    finally:
        is_over.set()
        client.join(GENEROUS)


@pytest.mark.parametrize(
    "words", [b"\xff\xfe\r\n\r\n", b"GET http://[x HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"A" * 100_000]
)
def test_garbage_is_no_answer_and_ends_nothing(listener: ConsentListener, port: int, words: bytes) -> None:
    def visit() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=GENEROUS) as stranger:
            try:
                stranger.sendall(words)
                stranger.recv(1000)
            except OSError:
                pass
        httpx.get(f"http://127.0.0.1:{port}/?code=x&state=right", trust_env=False, timeout=GENEROUS)

    visitor = later(visit)

    assert listener.wait(GENEROUS).endswith("code=x&state=right")
    visitor.join(GENEROUS)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_port_that_somebody_has_on_one_of_the_addresses_is_refused(port: int, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as other:
        other.bind((address.strip("[]"), port))
        other.listen()

        with pytest.raises(CommandFailed, match=f"port {port} is taken"):
            ConsentListener(f"http://localhost:{port}/", "right")
