"""Log in at a broker, once: a person consents in a browser, the tokens process keeps what comes back."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.desk import TOKENS, Desk
from tradeproc.cli.exits import CommandFailed, WrongUsage
from tradeproc.cli.outcome import Outcome, SubParsers

_SECONDS = 30.0
_PATIENCE = 300.0
_LOCAL = ("localhost", "127.0.0.1")
_PAGE = b"<!doctype html><title>tradeproc</title><p>Done. You can close this page and go back to the terminal.</p>"


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    text = "log in at a broker: opens no browser itself, prints the address to open"
    parser = subparsers.add_parser("login", help=text, description=text, parents=parents)
    parser.add_argument(
        "login", metavar="LOGIN|BROKER", help="a login of conf/tradeproc.toml, or a broker with one login"
    )
    parser.add_argument(
        "--paste", action="store_true", help="paste the address you were sent to, do not listen for it"
    )
    parser.set_defaults(command=login)
    text = "every login and the age of its tokens"
    parser = subparsers.add_parser("logins", help=text, description=text, parents=parents)
    parser.set_defaults(command=logins)


def logins(desk: Desk, _arguments: Namespace) -> Outcome:
    """List the logins."""
    rows = desk.ask(TOKENS, "logins")["logins"]
    columns = (
        tables.Column("login", "login"),
        tables.Column("state", "state", tables.state),
        tables.Column("token good until", "expires_at", tables.when),
        tables.Column("renewed", "refreshed_at", tables.when),
        tables.Column("detail", "detail"),
    )
    return Outcome({"logins": rows}, tables.build(columns, rows))


def login(desk: Desk, arguments: Namespace) -> Outcome:
    """Ask a person to consent, and give the tokens process what the browser brought back."""
    name = _named(desk, arguments.login)
    asked = desk.ask(TOKENS, "authorize", {"login": name})
    print(f"Open this address in a browser and consent:\n\n  {asked['url']}\n", file=sys.stderr)
    redirect = urlsplit(desk.config.login(name).redirect_uri)
    listens = not arguments.paste and redirect.hostname in _LOCAL and redirect.scheme == "http"
    back = _listen(redirect.port or 80) if listens else _pasted()
    desk.ask(TOKENS, "complete", {"login": name, "redirected_to": back, "state": asked["state"]}, seconds=_SECONDS)
    return Outcome({"login": name, "state": "ok"}, Text(f"login {name}: done"))


def _named(desk: Desk, named: str) -> str:
    """Return the login that a name means: a login's own name, or the broker of exactly one."""
    known = desk.config.logins
    if named in known:
        return named
    of_broker = [name for name, each in known.items() if each.broker == named]
    if len(of_broker) > 1:
        raise WrongUsage(f"{named} has several logins: {', '.join(of_broker)}; name one of them")
    return of_broker[0] if of_broker else desk.config.login(named).name


def _pasted() -> str:
    print("Paste the address that the browser shows afterwards:", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _listen(port: int) -> str:
    """Wait for the browser on the port it is sent back to, and return the whole address."""
    found: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "code=" in self.path or "error=" in self.path:
                found.append(f"http://localhost:{port}{self.path}")
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(_PAGE if found else b"")

        def log_message(self, format: str, *args: object) -> None:
            del format, args  # the address holds a secret

    try:
        server = HTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise CommandFailed(f"port {port} is taken ({error.strerror}); use --paste") from None
    with server:
        server.timeout = _PATIENCE
        while not found:
            before = len(found)
            server.handle_request()
            if len(found) == before and not found:
                continue
    return found[0]
