"""A real HTTP server on loopback as the target of alarms: takes, refuses, or never answers."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Listener(http.server.ThreadingHTTPServer):
    """Remembers the messages it took; `status` 0 holds every request until `release` is set; `headers` goes
    before those of an answer."""

    daemon_threads = True

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.asked = 0
        self.status = 200
        self.headers = ""
        self.release = threading.Event()
        super().__init__(("127.0.0.1", 0), _Taker)

    @property
    def url(self) -> str:
        return f"json://user:hunter2@127.0.0.1:{self.server_address[1]}/alarms"

    def titles(self) -> list[str]:
        return [each["title"] for each in list(self.messages)]


class _Taker(http.server.BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked += 1
        status = self.server.status
        if status == 0:
            self.server.release.wait(60)
            return
        if status == 200:
            self.server.messages.append(body)
        self.send_response(status)
        self.flush_headers()
        self.wfile.write(self.server.headers.encode())
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        del format, arguments


@contextmanager
def listening() -> Iterator[Listener]:
    server = Listener()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
