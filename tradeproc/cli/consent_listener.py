"""Waits on this machine for the browser that a broker's consent page sends back."""

import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tradeproc.cli.exits import CommandFailed, NotRunning

_PAGE = b"<!doctype html><title>tradeproc</title><p>The answer has arrived. Close this page and look at the terminal."
_SLOWEST_REQUEST = 5.0


class ConsentListener:
    """An HTTP server for one answer, on the port of the redirect address; a context manager.

    Only a request to the right path with the right `state` counts, so a stray or forged one changes nothing.
    """

    def __init__(self, redirect_uri: str, state: str) -> None:
        self.redirect_uri, self._state = redirect_uri, state
        self._parts = urlsplit(redirect_uri)
        self.answer = ""
        port = self._parts.port or 80
        try:
            self._server = HTTPServer(("127.0.0.1", port), _handler(self))
        except OSError as error:
            raise CommandFailed(f"port {port} is taken ({error.strerror}); free it, or use --paste") from None

    def wait(self, seconds: float) -> str:
        """Return the whole address to which the browser was sent.

        Raises:
            NotRunning: it did not come in time.
        """
        deadline = time.monotonic() + seconds
        while not self.answer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotRunning(f"nobody consented within {seconds:g} s; try again, or use --paste")
            self._server.timeout = left
            self._server.handle_request()
        return self.answer

    def take(self, target: str) -> bool:
        """Take the target of a request, as `/?code=…&state=…`; False when it is not the answer we wait for."""
        asked = urlsplit(target)
        query = parse_qs(asked.query)
        if (asked.path or "/") != (self._parts.path or "/") or query.get("state") != [self._state]:
            return False
        if not ("code" in query or "error" in query):
            return False
        self.answer = f"{self._parts.scheme}://{self._parts.netloc}{target}"
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.server_close()


def _handler(listener: ConsentListener) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # who connects and says nothing must not hold the deadline up
        timeout = _SLOWEST_REQUEST

        def do_GET(self) -> None:
            is_answer = listener.take(self.path)
            self.send_response(HTTPStatus.OK if is_answer else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(_PAGE if is_answer else b"")

        def log_message(self, format: str, *args: object) -> None:
            del format, args  # the address holds a secret

    return Handler
