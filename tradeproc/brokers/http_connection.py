"""A connection to an HTTP/1.1 server: plain sockets, deadlines, TLS, and the way through a proxy.

It tells exactly how far a request came: no connection means that nothing was sent; everything else after the first
write may have been. A request is never repeated here, a redirect never followed. A library for all of HTTP would cost
each link and feed ten megabytes, and each order a quarter of a millisecond.
"""

import contextlib
import functools
import os
import select
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tradeproc.brokers.http_answer import BadAnswer, HttpAnswer
from tradeproc.brokers.http_origin import NoConnection, Origin, bracketed
from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.errors import Outage

if TYPE_CHECKING:
    import ssl

_READ = 1 << 16
# a timeout of 0 would mean a socket that never waits
_LEAST_SECONDS = 0.001


class ConnectionLost(Outage):
    """The connection ended, or what came over it makes no sense; what was written may have been done."""


class NothingCame(Outage):
    """The deadline passed while we waited for the server; what was written may have been done."""


@functools.cache
def _tls() -> "ssl.SSLContext":
    """Return the one context of this process: certificates and host names are checked, by the roots of certifi.

    `SSL_CERT_FILE` or `SSL_CERT_DIR` names other roots. Loaded for an encrypted origin only.
    """
    import ssl

    import certifi

    if os.environ.get("SSL_CERT_FILE"):
        context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    elif os.environ.get("SSL_CERT_DIR"):
        context = ssl.create_default_context(capath=os.environ["SSL_CERT_DIR"])
    else:
        context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _ignore(_: socket.socket) -> None:
    pass


class HttpConnection:
    """One connection, for one request at a time, by one thread; only `hang_up` may be called by others.

    Deadlines are moments of the monotonic clock in ns.
    """

    def __init__(self, origin: Origin, seconds: float, note: Callable[[socket.socket], None] = _ignore) -> None:
        """Connect.

        Args:
            origin: where to.
            seconds: how long each step of it may take: an address of the host, the proxy's answer, the encryption.
            note: called with the socket as soon as there is one, so that another thread can end the waiting.

        Raises:
            NoConnection: there is none.
        """
        self.origin = origin
        self.used_at = 0
        self._socket: socket.socket | None = None
        try:
            self._connect(origin, seconds, note)
        except (OSError, ValueError, BadAnswer) as error:
            self.close()
            raise NoConnection(f"{origin.name}: {error_text(error)}") from error
        except (ConnectionLost, NothingCame) as error:
            self.close()
            raise NoConnection(f"{origin.name}: by the proxy: {error}") from error

    def _connect(self, origin: Origin, seconds: float, note: Callable[[socket.socket], None]) -> None:
        self._socket = plain = socket.create_connection(origin.proxy or (origin.host, origin.port), seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        note(plain)
        if not origin.is_encrypted:
            return
        if origin.proxy is not None:
            self._tunnel(origin, monotonic_ns() + int(seconds * SECOND))
        plain.settimeout(seconds)
        encrypted = _tls().wrap_socket(plain, server_hostname=origin.host, do_handshake_on_connect=False)
        self._socket = encrypted
        note(encrypted)
        encrypted.do_handshake()

    def _tunnel(self, origin: Origin, until: int) -> None:
        """Let the proxy pass on bytes to the server; its answer has no body."""
        there = f"{bracketed(origin.host)}:{origin.port}".encode()
        self.send(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (there, there, origin.proxy_password), until)
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _READ:
            data = self.receive(until)
            if not data:
                break
            head += data
        words = head.split(b"\r\n", 1)[0].split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].startswith(b"2"):
            raise ConnectionLost(head[:100].decode("ascii", "replace").split("\r")[0] or "it hung up")

    def is_stale(self) -> bool:
        """Tell whether the server has hung up, or said something that nobody asked for; takes no time."""
        waiter = select.poll()
        if self._socket is None or self._socket.fileno() < 0:
            return True
        waiter.register(self._socket, select.POLLIN)
        return bool(waiter.poll(0))

    def send(self, data: bytes, until: int) -> None:
        """Write all of it.

        Raises:
            ConnectionLost: a part of it may have been sent.
            NothingCame: the same, because the server does not take it in time.
        """
        try:
            self._with_deadline(until).sendall(data)
        except TimeoutError:
            raise NothingCame("the server did not take the request in time") from None
        except OSError as error:
            raise ConnectionLost(error_text(error)) from error

    def send_at_once(self, data: bytes) -> int:
        """Write as much as the system takes without waiting, and return how many bytes these are.

        Raises:
            ConnectionLost: the connection has ended.
        """
        if self._socket is None:
            raise ConnectionLost("it was closed")
        try:
            self._socket.settimeout(0)
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            if _would_block(error):
                return 0
            raise ConnectionLost(error_text(error)) from error

    def receive(self, until: int) -> bytes:
        """Return the next bytes, none when the server has hung up.

        Raises:
            ConnectionLost: the connection ended otherwise.
            NothingCame: nothing came until then.
        """
        try:
            return self._with_deadline(until).recv(_READ)
        except TimeoutError:
            raise NothingCame("no answer in time") from None
        except OSError as error:
            raise ConnectionLost(error_text(error)) from error

    def receive_head(self, until: int) -> HttpAnswer:
        """Return an answer as soon as its status and headers are known; a part of its body may have come.

        Raises:
            ConnectionLost: there is none, or nothing that is one.
            NothingCame: it is not there by then.
        """
        answer = HttpAnswer()
        while not answer.is_head_read:
            self.receive_more(answer, until)
        return answer

    def receive_more(self, answer: HttpAnswer, until: int) -> None:
        """Let an answer take what comes next, or learn that the server has hung up.

        Raises:
            ConnectionLost: the answer is broken, or ends in the middle.
            NothingCame: nothing came until then.
        """
        data = self.receive(until)
        try:
            if data:
                answer.feed(data)
            else:
                answer.end()
        except BadAnswer as bad:
            raise ConnectionLost(str(bad)) from None

    def hang_up(self) -> None:
        """End the waiting of another thread: shutting a socket down does that, also under TLS; closing does not."""
        hang_up(self._socket)

    def close(self) -> None:
        """Close the connection; idempotent."""
        if self._socket is not None:
            self._socket.close()

    def _with_deadline(self, until: int) -> socket.socket:
        if self._socket is None:
            raise ConnectionLost("it was closed")
        left = (until - monotonic_ns()) / SECOND
        if left <= 0:
            raise NothingCame("no answer in time")
        self._socket.settimeout(max(left, _LEAST_SECONDS))
        return self._socket


def hang_up(found: socket.socket | None) -> None:
    """Shut a socket down below its encryption, so that whoever waits for it wakes; a closed one is ignored."""
    if found is not None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(found, socket.SHUT_RDWR)


def _would_block(error: OSError) -> bool:
    """Tell whether encryption needs to wait for the socket before it can write; nothing was lost then."""
    encryption = sys.modules.get("ssl")
    return encryption is not None and isinstance(error, encryption.SSLWantWriteError | encryption.SSLWantReadError)


def error_text(error: Exception) -> str:
    """Return an error of the network as one short line; never holds a header, so never a token."""
    return f"{type(error).__name__}: {error}"[:300] if str(error) else type(error).__name__
