"""A sign-in host that does what a test wants, and the tokens process beside it."""

import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.brokers.tradestation.wire_server import Request, WireServer, answer
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.node import Node
from tradeproc.config import load
from tradeproc.home import Home
from tradeproc.procs.tokens.main import TokensProcess
from tradeproc.procs.tokens.vault import Vault
from tradeproc.protocol.names import TOKENS

PATIENCE = 30.0


class SignInHost:
    """Answers `/authorize` and `/oauth/token`; what a test may turn is public."""

    def __init__(self) -> None:
        self.good = {"first"}
        self.rotates = False
        self.is_down = False
        self.life = 1200.0
        self.answering = threading.Event()
        self.answering.set()
        self.refreshed_with: list[str] = []
        self.consents = 0
        self.issued = 0

    def __call__(self, connection: socket.socket, request: Request) -> bool:
        if request.path.startswith("/authorize"):
            self.consents += 1
            query = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
            back = f"{query['redirect_uri']}?code=c{self.consents}&state={query['state']}"
            return answer(302, b"", Location=back)(connection, request)
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form["grant_type"] == "refresh_token":
            self.refreshed_with.append(form["refresh_token"])
            assert self.answering.wait(PATIENCE)
        if self.is_down:
            return answer(503, b"<html>")(connection, request)
        if form["grant_type"] == "refresh_token" and form["refresh_token"] not in self.good:
            return answer(403, {"error": "invalid_grant", "error_description": "dead"})(connection, request)
        return answer(200, self._tokens(form))(connection, request)

    def _tokens(self, form: dict[str, str]) -> dict[str, object]:
        self.issued += 1
        told: dict[str, object] = {"access_token": f"access-{self.issued}", "expires_in": self.life}
        if form["grant_type"] == "authorization_code" or self.rotates:
            self.good = {f"refresh-{self.issued}"}
            told["refresh_token"] = f"refresh-{self.issued}"
        return told | {"token_type": "Bearer", "scope": "openid"}


@contextmanager
def temporary_home() -> Iterator[Home]:
    """A home with a path short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="tp-"))
    home = Home(folder)
    (folder / "supervisord.conf").touch()
    home.conf.mkdir()
    home.make_folders()
    try:
        yield home
    finally:
        shutil.rmtree(folder)


def configure(home: Home, url: str, **secrets: str) -> None:
    """Write a configuration with one login, `paper`, at a sign-in host; secrets are TOML values."""
    keys = {"client_id": '{ public = "local" }', "client_secret": '{ public = "local" }'} | secrets
    lines = [
        "[desk]",
        'name = "test"',
        "[limits]",
        "max_order = 1",
        "max_position = 1",
        "[logins.paper]",
        'broker = "tradestation"',
        'environment = "paper"',
        f"base_url = {json.dumps(url + '/v3')}",
        f"auth_url = {json.dumps(url)}",
        *(f"{key} = {value}" for key, value in keys.items()),
    ]
    (home.conf / "tradeproc.toml").write_text("\n".join(lines))


def secret_file(home: Home, name: str, value: str) -> str:
    """Write a private file and return how the configuration names it."""
    path = home.root / name
    path.touch(mode=0o600)
    path.write_text(value)
    return f'{{ file = "{name}" }}'


@contextmanager
def running_tokens(home: Home) -> Iterator[Client]:
    """Run the tokens process in a thread; yields a client of the bus."""
    made: list[Node] = []
    ready = threading.Event()
    bugs: list[BaseException] = []

    def run() -> None:
        try:
            node = Node(TOKENS, Directory(home.sockets))
            made.append(node)
            TokensProcess(node, load(home), Vault(home.secrets), lambda: load(home)).start()
            ready.set()
            node.run()
        except BaseException as bug:
            bugs.append(bug)
            ready.set()
            raise

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(PATIENCE)
    client = Client(Directory(home.sockets))
    try:
        yield client
    finally:
        client.close()
        if made:
            made[0].stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert not bugs


@contextmanager
def sign_in_host() -> Iterator[tuple[SignInHost, WireServer]]:
    host = SignInHost()
    with WireServer(host) as server:
        yield host, server
