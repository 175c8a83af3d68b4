import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.brokers.tradestation.wire_server import Script, WireServer, answer
from tradeproc.brokers import http_connection
from tradeproc.brokers.http_connection import ConnectionLost, HttpConnection, NothingCame
from tradeproc.brokers.http_origin import NoConnection, Origin
from tradeproc.brokers.http_pool import HttpPool
from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.testing.waiting import wait_until

OK = answer(200, {"fine": True})
GENEROUS = 20.0


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def soon(seconds: float = GENEROUS) -> int:
    return monotonic_ns() + int(seconds * SECOND)


def ask(connection: HttpConnection, path: str = "/x") -> bytes:
    origin = connection.origin
    head = f"GET {origin.prefix}{path} HTTP/1.1\r\nHost: {origin.name}\r\n".encode()
    connection.send(head + origin.extra + b"\r\n", soon())
    told = connection.receive_head(soon())
    while not told.is_complete:
        connection.receive_more(told, soon())
    return told.taken()


# --- verdicts


def test_a_server_that_is_not_there_was_certainly_sent_nothing() -> None:
    with WireServer(OK) as server:
        url = server.url

    with pytest.raises(NoConnection):
        HttpConnection(Origin.of(url), 5.0)


@pytest.mark.parametrize("url", ["ftp://x/", "http:///v3", "http://x:99999", "nonsense", "http://[::1"])
def test_what_is_no_address_is_no_connection(url: str) -> None:
    with pytest.raises(NoConnection):
        Origin.of(url)


def test_a_deadline_that_passes_while_we_wait_is_told_apart_from_a_lost_connection() -> None:
    with WireServer(lambda connection, _: bool(connection.recv(1))) as server:
        connection = HttpConnection(Origin.of(server.url), 5.0)
        connection.send(b"GET / HTTP/1.1\r\n\r\n", soon())
        with pytest.raises(NothingCame):
            connection.receive(soon(0.05))
        with pytest.raises(NothingCame):
            connection.receive(soon(-1))
        connection.close()
        with pytest.raises(ConnectionLost):
            connection.receive(soon())


def test_a_server_that_takes_nothing_stops_neither_the_writer_nor_the_one_who_writes_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        connection = HttpConnection(Origin.of(f"http://127.0.0.1:{deaf.getsockname()[1]}"), 5.0)
        data = b"x" * 100_000_000
        taken = connection.send_at_once(data)
        assert 0 < taken < len(data)
        while taken:
            taken = connection.send_at_once(data)
        with pytest.raises(NothingCame):
            connection.send(data, soon(0.05))
        connection.close()


def test_another_thread_can_end_the_waiting() -> None:
    with WireServer(lambda connection, _: bool(connection.recv(1))) as server:
        connection = HttpConnection(Origin.of(server.url), 5.0)
        connection.send(b"GET / HTTP/1.1\r\n\r\n", soon())
        ending = threading.Timer(0.05, connection.hang_up)
        ending.start()
        assert connection.receive(soon()) == b""
        ending.join()
        connection.close()


# --- kept open


def test_a_connection_is_used_again_unless_the_server_has_hung_up_or_spoken_meanwhile() -> None:
    speak, hang_up = threading.Event(), threading.Event()

    def talkative(connection: socket.socket, _: object) -> bool:
        connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n")
        speak.wait(GENEROUS)
        connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n")
        hang_up.wait(GENEROUS)
        return False

    with WireServer(OK, OK, talkative, OK) as server:
        pool = HttpPool(server.url)
        first = pool.take(5.0)
        _use(pool, first)
        assert pool.idle() is first
        _use(pool, first)
        assert pool.take(5.0) is first
        _use(pool, first)
        assert not first.is_stale()
        speak.set()
        wait_for_bytes(first)

        assert pool.idle() is None, "the answer that nobody asked for must not answer the next order"

        other = pool.take(5.0)
        assert other is not first
        _use(pool, other)
        hang_up.set()
        pool.close()
        pool.close()
        with pytest.raises(NoConnection):
            pool.take(5.0)


def _use(pool: HttpPool, connection: HttpConnection) -> None:
    connection.send(b"GET / HTTP/1.1\r\n\r\n", soon())
    told = connection.receive_head(soon())
    while not told.is_complete:
        connection.receive_more(told, soon())
    pool.put_back(connection, told)


def wait_for_bytes(connection: HttpConnection) -> None:
    until = soon()
    while not connection.is_stale():
        assert monotonic_ns() < until


# --- encryption


@contextmanager
def encrypted(folder: Path, *scripts: Script, names: list[x509.GeneralName]) -> Iterator[tuple[WireServer, Path]]:
    """A server with a certificate of its own making for `names`, and the file of its root."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    root, private = folder / "root.pem", folder / "key.pem"
    root.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(root, private)
    with WireServer(*scripts, encryption=context) as server:
        yield server, root


LOCAL = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture
def roots(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    http_connection._tls.cache_clear()
    yield monkeypatch
    http_connection._tls.cache_clear()


def test_an_encrypted_server_is_read_when_its_certificate_is_good(tmp_path: Path, roots: pytest.MonkeyPatch) -> None:
    with encrypted(tmp_path, OK, names=[LOCAL]) as (server, root):
        roots.setenv("SSL_CERT_FILE", str(root))
        connection = HttpConnection(Origin.of(server.url), GENEROUS)
        assert ask(connection) == b'{"fine": true}'
        assert connection.send_at_once(b"GET /again HTTP/1.1\r\n\r\n") > 0
        assert connection.receive_head(soon()).status == 200
        connection.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_encrypted_connection_is_kept_though_the_server_sends_tickets_of_its_own_accord(
    tmp_path: Path, roots: pytest.MonkeyPatch, version: ssl.TLSVersion
) -> None:
    """Under TLS 1.3 tickets come unasked after the handshake; the first answer is read behind them."""
    with encrypted(tmp_path, OK, names=[LOCAL]) as (server, root):
        assert server.encryption is not None
        server.encryption.minimum_version = server.encryption.maximum_version = version
        roots.setenv("SSL_CERT_FILE", str(root))
        pool = HttpPool(server.url)
        first = pool.take(GENEROUS)
        for _ in range(3):
            _use(pool, first)
            assert pool.idle() is first
        pool.discard(first)
        pool.close()


def test_an_encrypted_request_that_the_system_took_only_in_part_arrives_once_and_whole(
    tmp_path: Path, roots: pytest.MonkeyPatch
) -> None:
    may_read, came = threading.Event(), bytearray()

    def slow(connection: socket.socket, _: object) -> bool:
        may_read.wait(GENEROUS)
        while data := connection.recv(65536):
            came.extend(data)
        return False

    with encrypted(tmp_path, slow, names=[LOCAL]) as (server, root):
        roots.setenv("SSL_CERT_FILE", str(root))
        connection = HttpConnection(Origin.of(server.url), GENEROUS)
        connection.send(b"GET / HTTP/1.1\r\n\r\n", soon())
        wait_until("it is asked", lambda: len(server.requests) == 1)
        data = b"".join(number.to_bytes(4, "big") for number in range(2_000_000))
        taken = 0
        while more := connection.send_at_once(data[taken:]):
            taken += more
        assert taken < len(data), "the server did not read, so that something is left to write"
        may_read.set()
        connection.send(data[taken:], soon(60.0))
        connection.hang_up()
        wait_until("all of it is read", lambda: len(came) >= len(data))
        connection.close()

    assert bytes(came) == data


def test_a_certificate_of_another_host_or_of_an_unknown_root_is_no_connection(
    tmp_path: Path, roots: pytest.MonkeyPatch
) -> None:
    with encrypted(tmp_path, OK, names=[x509.DNSName("api.example.com")]) as (server, root):
        with pytest.raises(NoConnection, match="verify failed"):
            HttpConnection(Origin.of(server.url), GENEROUS)
        http_connection._tls.cache_clear()
        roots.setenv("SSL_CERT_FILE", str(root))
        with pytest.raises(NoConnection, match="IP address mismatch"):
            HttpConnection(Origin.of(server.url), GENEROUS)
        assert server.requests == []


# --- proxies


def test_a_plain_server_behind_a_proxy_is_named_in_full_and_the_proxy_gets_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with WireServer(OK) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://me:se%20cret@"))
        connection = HttpConnection(Origin.of("http://broker.test:81/v3"), GENEROUS)
        assert ask(connection) == b'{"fine": true}'
        connection.close()

    (asked,) = proxy.requests
    assert asked.path == "http://broker.test:81/x"
    assert asked.headers["host"] == "broker.test:81"
    assert asked.headers["proxy-authorization"] == "Basic bWU6c2UgY3JldA=="


def test_an_encrypted_server_behind_a_proxy_is_reached_through_a_tunnel(
    tmp_path: Path, roots: pytest.MonkeyPatch
) -> None:
    with encrypted(tmp_path, OK, names=[x509.DNSName("broker.test")]) as (server, root):

        def tunnel(connection: socket.socket, _: object) -> bool:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as there:
                back = threading.Thread(target=_pump, args=(there, connection), daemon=True)
                back.start()
                _pump(connection, there)
                back.join(GENEROUS)
            return False

        with WireServer(tunnel) as proxy:
            roots.setenv("SSL_CERT_FILE", str(root))
            roots.setenv("HTTPS_PROXY", proxy.url.replace("http://", "http://me:pw@"))
            connection = HttpConnection(Origin.of("https://broker.test/v3"), GENEROUS)
            assert ask(connection) == b'{"fine": true}'
            connection.close()

    (tunnelled,), (asked,) = proxy.requests, server.requests
    assert (tunnelled.method, tunnelled.path) == ("CONNECT", "broker.test:443")
    assert tunnelled.headers["proxy-authorization"] == "Basic bWU6cHc="
    assert "proxy-authorization" not in asked.headers


def _pump(here: socket.socket, there: socket.socket) -> None:
    try:
        while data := here.recv(65536):
            there.sendall(data)
        there.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize("script", [answer(407), lambda connection, _: False, answer(502, b"<html>")])
def test_a_proxy_that_refuses_is_no_connection(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    with WireServer(script) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with pytest.raises(NoConnection, match="proxy"):
            HttpConnection(Origin.of("https://broker.test"), GENEROUS)


def test_this_machine_and_hosts_that_the_environment_excepts_need_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", "near.test")

    assert Origin.of("http://127.0.0.1:5/v3").proxy is None
    assert Origin.of("http://near.test/v3").proxy is None
    assert Origin.of("http://far.test/v3").proxy == ("proxy.test", 3128)
    assert Origin.of("https://far.test/v3").proxy is None


def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://proxy.test:1080")

    with pytest.raises(NoConnection):
        Origin.of("https://far.test/v3")


@pytest.mark.parametrize(
    "proxy", ["socks5://me:secret@proxy.test:1080", "http://me:secret/x@proxy.test:1080", "https://me:secret@p.test"]
)
def test_the_password_of_a_proxy_is_in_no_error_text_and_no_picture_of_an_origin(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(NoConnection) as caught:
        Origin.of("https://far.test/v3")
    assert "secret" not in str(caught.value)

    monkeypatch.setenv("all_proxy", "http://me:secret@proxy.test:1080")
    found = Origin.of("http://far.test/v3")
    assert b"Basic" in found.extra
    assert "Basic" not in repr(found)
