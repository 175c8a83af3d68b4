"""Log in at a broker, once: by a consent in a browser or with a password; the tokens process keeps what it needs.

A password is typed, or read from a file or from a pipe; it never stands in a command line, which others can see.
"""

import getpass
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from rich.text import Text

from tradeproc.brokers.contract import CredentialKind
from tradeproc.cli import tables
from tradeproc.cli.consent_listener import ConsentListener
from tradeproc.cli.layout import Column
from tradeproc.cli.outcome import Outcome, SubParsers, positive
from tradeproc.config import Secret
from tradeproc.desk.exit_status import NotFound, WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.domain.records import BadValue
from tradeproc.domain.texts import is_storable
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import TOKENS
from tradeproc.protocol.token_messages import (
    AUTHORIZE,
    COMPLETE,
    LOGINS,
    BeginLogin,
    ConsentGiven,
    LoginBegun,
    PasswordGiven,
)
from tradeproc.protocol.writing import plain

_SECONDS = 30.0
_PATIENCE = 300
_NO_TEXT = "user or password is no UTF-8 text; see the locale of this terminal"
_LOCAL = ("localhost", "127.0.0.1", "::1")


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    text = (
        "log in at a broker: prints the address to open in a browser, or asks for the password, as the broker wants"
    )
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
    parser.add_argument("--user", metavar="NAME", help="whose password it is; default: the user of the configuration")
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="read the password from FILE, yours with mode 0600"
    )
    parser.set_defaults(command=login)
    text = "every login and the age of its tokens"
    parser = subparsers.add_parser("logins", help=text, description=text, parents=parents)
    parser.set_defaults(command=logins)


def logins(desk: Desk, _arguments: Namespace) -> Outcome:
    """List the logins."""
    rows = [plain(each) for each in desk.ask(TOKENS, LOGINS, NoBody()).logins]
    columns = (
        Column("login", "login"),
        Column("state", "state", tables.state),
        Column("token good until", "expires_at", tables.moment, right=True),
        Column("renewed", "refreshed_at", tables.moment, right=True),
        Column("log in before", "person_needed_at", tables.moment, right=True),
        Column("detail", "detail", cut=16),
    )
    return Outcome({"logins": rows}, tables.build(columns, rows))


def login(desk: Desk, arguments: Namespace) -> Outcome:
    """Ask a person for what the login's kind needs, and give that to the tokens process."""
    name = _named(desk, arguments.login)
    asked = desk.ask(TOKENS, AUTHORIZE, BeginLogin(name))
    match CredentialKind(asked.kind or CredentialKind.OAUTH2_CODE):
        case CredentialKind.NONE:
            return Outcome({"login": name, "state": "ok"}, Text(f"login {name} needs no login"))
        case CredentialKind.PASSWORD:
            given: ConsentGiven | PasswordGiven = _user_password(desk, arguments, asked, name)
        case CredentialKind.OAUTH2_CODE:
            given = _consent(desk, arguments, asked, name)
    desk.ask(TOKENS, COMPLETE, given, seconds=_SECONDS)
    return Outcome({"login": name, "state": "ok"}, Text(f"login {name}: done"))


def _consent(desk: Desk, arguments: Namespace, asked: LoginBegun, name: str) -> ConsentGiven:
    """Return what the browser brought back."""
    redirect_uri = desk.config.login(name).redirect_uri
    parts = urlsplit(redirect_uri)
    if arguments.paste or parts.hostname not in _LOCAL or parts.scheme != "http":
        _tell(asked.url)
        back = _pasted()
    else:
        with ConsentListener(redirect_uri, asked.state) as listener:
            _tell(asked.url)
            back = listener.wait(arguments.seconds)
    return ConsentGiven(name, back, asked.state)


def _user_password(desk: Desk, arguments: Namespace, asked: LoginBegun, name: str) -> PasswordGiven:
    """Return user and password, which no message can carry unless they are text.

    Raises:
        WrongUsage: one of them is missing, or no text.
    """
    try:
        user, password = _typed(desk, arguments, asked)
    except UnicodeDecodeError:
        raise WrongUsage(_NO_TEXT) from None
    if not is_storable(user) or not is_storable(password):
        raise WrongUsage(_NO_TEXT)
    return PasswordGiven(name, user, password)


def _typed(desk: Desk, arguments: Namespace, asked: LoginBegun) -> tuple[str, str]:
    """Return user and password: from a file, typed without an echo, or the next line of a pipe."""
    user = arguments.user or asked.user or _line("User: ")
    if arguments.password_file is not None:
        try:
            secret = Secret(file=str(arguments.password_file.absolute())).read(desk.home.root)
        except BadValue as bad:
            raise WrongUsage(f"--password-file: {bad.problem}") from None
        return user, secret
    is_typed = sys.stdin.isatty()
    password = getpass.getpass(f"Password of {user}: ") if is_typed else sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise WrongUsage("no password was given")
    return user, password


def _line(prompt: str) -> str:
    print(prompt, file=sys.stderr, end="", flush=True)
    line = sys.stdin.readline().strip()
    if not line:
        raise WrongUsage("no user was given; give one with --user, or in conf/tradeproc.toml")
    return line


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
