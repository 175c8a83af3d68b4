"""Waits on this machine for the browser that a broker's consent page sends back."""

import asyncio
import contextlib
import errno
import socket
from http import HTTPStatus
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tradeproc.desk.exit_status import CommandFailed, NotRunning

_PAGE = b"<!doctype html><title>tradeproc</title><p>The answer has arrived. Close this page and look at the terminal."
# limits of a connection: seconds for a whole request, its bytes, and connections at once; beyond them the oldest is
# closed
_REQUEST_SECONDS, _LARGEST_REQUEST, _MOST_CONNECTIONS = 5.0, 16_384, 64
# a browser that is sent to "localhost" tries either of these addresses first
_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)


class ConsentListener:
    """An HTTP server for one answer, on the port of the redirect address; a context manager.

    Only a request to the right path with the right `state` counts, so a stray or forged one changes nothing. It
    listens on both addresses of this machine: another program could wait for the answer on the one that we did not
    take.
    """

    def __init__(self, redirect_uri: str, state: str) -> None:
        self.redirect_uri, self._state = redirect_uri, state
        self._parts = urlsplit(redirect_uri)
        self.answer = ""
        self._connections: dict[asyncio.Task[None], None] = {}
        port = self._parts.port or 80
        self._sockets: list[socket.socket] = []
        try:
            for family, address in _LOOPBACK:
                self._listen(family, address, port)
        except OSError as error:
            self.__exit__()
            raise CommandFailed(f"port {port} is taken ({error.strerror}); free it, or use --paste") from None

    def _listen(self, family: socket.AddressFamily, address: str, port: int) -> None:
        try:
            listening = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            if error.errno in _NO_SUCH_ADDRESS:
                return
            raise
        self._sockets.append(listening)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            listening.bind((address, port))
            listening.listen()
        except OSError as error:
            if error.errno not in _NO_SUCH_ADDRESS:
                raise
            self._sockets.remove(listening)
            listening.close()  # a machine without IPv6

    def wait(self, seconds: float) -> str:
        """Return the whole address to which the browser was sent.

        Raises:
            NotRunning: it did not come in time, whatever else came.
        """
        with contextlib.suppress(TimeoutError):
            asyncio.run(self._serve(seconds))
        if not self.answer:
            raise NotRunning(f"nobody consented within {seconds:g} s; try again, or use --paste")
        return self.answer

    async def _serve(self, seconds: float) -> None:
        self._has_come = asyncio.Event()
        async with asyncio.timeout(seconds), contextlib.AsyncExitStack() as servers:
            for listening in self._sockets:
                server = await asyncio.start_server(self._meet, sock=listening.dup(), limit=_LARGEST_REQUEST)
                servers.callback(server.close)
            await self._has_come.wait()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        self._connections[me] = None
        if len(self._connections) > _MOST_CONNECTIONS:
            next(iter(self._connections)).cancel()
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                method, _, rest = head.decode("latin-1").partition(" ")
                is_answer = method == "GET" and self.take(rest.partition(" ")[0])
                status = HTTPStatus.OK if is_answer else HTTPStatus.NOT_FOUND
                body = _PAGE if is_answer else b""
                said = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/html\r\nConnection: close\r\n"
                writer.write(f"{said}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        except asyncio.CancelledError:
            # only we cancel it, at the end or for a newer one; asyncio prints a traceback of a connection so ended
            writer.transport.abort()
        finally:
            del self._connections[me]
            writer.close()
            if self.answer:
                self._has_come.set()

    def take(self, target: str) -> bool:
        """Take the target of a request, as `/?code=…&state=…`; False when it is not the answer we wait for."""
        try:
            asked = urlsplit(target)
            query = parse_qs(asked.query, max_num_fields=50)
        except ValueError:
            return False
        if (asked.path or "/") != (self._parts.path or "/") or query.get("state") != [self._state]:
            return False
        if not ("code" in query or "error" in query):
            return False
        self.answer = f"{self._parts.scheme}://{self._parts.netloc}{target}"
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for listening in self._sockets:
            listening.close()
