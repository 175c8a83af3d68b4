"""A real HTTP server that answers with exactly the bytes a test gives it."""

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Self

from tradeproc.brokers.contract import TOKEN_SECONDS

Script = Callable[[socket.socket, "Request"], bool]
"""Answers one request; returns whether the connection stays open."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


class WireServer:
    """Answers requests with `scripts`, one after the other; the last one stays."""

    def __init__(self, *scripts: Script, encryption: ssl.SSLContext | None = None) -> None:
        self.encryption = encryption
        self.scripts = list(scripts)
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._accept)

    @property
    def url(self) -> str:
        scheme = "http" if self.encryption is None else "https"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        hang_up(self._listener)
        for connection in self._connections:
            hang_up(connection)
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            self._connections.append(connection)
            self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        if self.encryption is not None:
            try:
                connection = self.encryption.wrap_socket(connection, server_side=True)
            except OSError:
                connection.close()
                return
            self._connections.append(connection)
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as stream:
            while (request := read_request(stream)) is not None:
                with self._lock:
                    self.requests.append(request)
                    script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                if not script(connection, request):
                    break


def hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def read_request(stream: BinaryIO) -> Request | None:
    first = next(stream, b"").decode().split()
    if len(first) < 2:
        return None
    headers: dict[str, str] = {}
    for line in stream:
        name, separator, value = line.decode().partition(":")
        if not separator:
            break
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    body = stream.read(length) if length else b""
    return Request(first[0], first[1], headers, body)


def answer(status: int, body: object = b"", **headers: str) -> Script:
    """Answer with a status and a body: bytes as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(raw)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]

    def script(connection: socket.socket, request: Request) -> bool:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + raw)
        return True

    return script


@dataclass
class Streamed:
    """Answers 200 and then exactly these chunks; `then` ends, hangs until the client goes, or resets."""

    chunks: list[bytes]
    then: str = "end"
    sent: threading.Event = field(default_factory=threading.Event)

    def __call__(self, connection: socket.socket, request: Request) -> bool:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in self.chunks:
            connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        self.sent.set()
        if self.then == "end":
            connection.sendall(b"0\r\n\r\n")
        elif self.then == "reset":
            reset(connection)
        else:
            connection.recv(1)
        return False


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silence(connection: socket.socket, request: Request) -> bool:
    """Take the request and never answer; ends when the client hangs up."""
    connection.recv(1)
    return False


def cut(connection: socket.socket, request: Request) -> bool:
    """Take the request and reset the connection."""
    reset(connection)
    return False


class Tokens:
    """A token source that counts: t1, t2 … after each refusal."""

    def __init__(self) -> None:
        self.number = 1
        self.refusals: list[str] = []
        self.asked: list[float] = []

    def token(self, seconds: float = TOKEN_SECONDS, /) -> str:
        self.asked.append(seconds)
        return f"t{self.number}"

    def refused(self, token: str) -> None:
        self.refusals.append(token)
        if token == f"t{self.number}":
            self.number += 1
