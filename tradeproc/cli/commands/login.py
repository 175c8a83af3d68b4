"""Log in at a broker, once: a person consents in a browser, the tokens process keeps what comes back."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from urllib.parse import urlsplit

from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.consent_listener import ConsentListener
from tradeproc.cli.layout import Column
from tradeproc.cli.outcome import Outcome, SubParsers, positive
from tradeproc.desk.exit_status import NotFound, WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.protocol.names import TOKENS

_SECONDS = 30.0
_PATIENCE = 300
_LOCAL = ("localhost", "127.0.0.1", "::1")


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
    parser.add_argument(
        "--seconds", type=positive, default=_PATIENCE, metavar="N", help=f"how long to wait for you ({_PATIENCE})"
    )
    parser.set_defaults(command=login)
    text = "every login and the age of its tokens"
    parser = subparsers.add_parser("logins", help=text, description=text, parents=parents)
    parser.set_defaults(command=logins)


def logins(desk: Desk, _arguments: Namespace) -> Outcome:
    """List the logins."""
    rows = desk.ask(TOKENS, "logins")["logins"]
    columns = (
        Column("login", "login"),
        Column("state", "state", tables.state),
        Column("token good until", "expires_at", tables.moment, right=True),
        Column("renewed", "refreshed_at", tables.moment, right=True),
        Column("detail", "detail", cut=16),
    )
    return Outcome({"logins": rows}, tables.build(columns, rows))


def login(desk: Desk, arguments: Namespace) -> Outcome:
    """Ask a person to consent, and give the tokens process what the browser brought back."""
    name = _named(desk, arguments.login)
    asked = desk.ask(TOKENS, "authorize", {"login": name})
    redirect_uri = desk.config.login(name).redirect_uri
    parts = urlsplit(redirect_uri)
    if arguments.paste or parts.hostname not in _LOCAL or parts.scheme != "http":
        _tell(asked["url"])
        back = _pasted()
    else:
        with ConsentListener(redirect_uri, asked["state"]) as listener:
            _tell(asked["url"])
            back = listener.wait(arguments.seconds)
    desk.ask(TOKENS, "complete", {"login": name, "redirected_to": back, "state": asked["state"]}, seconds=_SECONDS)
    return Outcome({"login": name, "state": "ok"}, Text(f"login {name}: done"))


def _tell(url: str) -> None:
    print(f"Open this address in a browser and consent:\n\n  {url}\n", file=sys.stderr, flush=True)


def _named(desk: Desk, named: str) -> str:
    """Return the login that a name means: a login's own name, or the broker of exactly one."""
    known = desk.config.logins
    if named in known:
        return named
    of_broker = [name for name, each in known.items() if each.broker == named]
    if len(of_broker) > 1:
        raise WrongUsage(f"{named} has several logins: {', '.join(of_broker)}; name one of them")
    if not of_broker:
        raise NotFound("login", named, f"conf/tradeproc.toml has {', '.join(known) or 'none'}")
    return of_broker[0]


def _pasted() -> str:
    print("Paste the address that the browser shows afterwards:", file=sys.stderr, flush=True)
    pasted = sys.stdin.readline().strip()
    if not pasted:
        raise WrongUsage("nothing was pasted")
    return pasted
