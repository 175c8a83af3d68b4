"""Halt, resume, reduce, flatten."""

from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Sequence
from functools import partial

from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.commands import flattening
from tradeproc.cli.outcome import Outcome, SubParsers
from tradeproc.desk.collector import config_of
from tradeproc.desk.exit_status import ExitStatus, NotFound, NotRunning, WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.desk.switches import UNSTORED, Thrown, throw
from tradeproc.domain.answers import Known
from tradeproc.domain.texts import storable
from tradeproc.engine.events import TradingState
from tradeproc.protocol import scopes
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import KEEPER
from tradeproc.protocol.portfolio_commands import PORTFOLIOS
from tradeproc.protocol.scopes import Scope
from tradeproc.protocol.session_messages import SESSIONS
from tradeproc.protocol.switch_messages import StandingLatch, TraderHeard

_COMMANDS = (
    ("halt", "enter no more positions; exits and protection go on; stays until resumed, over every restart"),
    ("resume", "allow entries again"),
    ("reduce", "exits only: positions may shrink, not grow"),
    ("flatten", "the same as halt --flatten: cancel all working orders and close all positions at the market, now"),
)
_WORDS = {"halt": "halted", "resume": "active again", "reduce": "reducing", "flatten": "is being flattened"}
_STATES = {
    "halt": TradingState.HALTED,
    "resume": TradingState.ACTIVE,
    "reduce": TradingState.REDUCING,
    "flatten": TradingState.HALTED,
}


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    for name, text in _COMMANDS:
        parser = subparsers.add_parser(name, help=text, description=text, parents=parents)
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--session", metavar="ID|NAME", help="only this session; default: the whole desk")
        only.add_argument("--login", metavar="LOGIN", help="only sessions that need this login, for orders or bars")
        only.add_argument("--portfolio", metavar="PORTFOLIO", help="only sessions of this portfolio")
        only.add_argument("--account", metavar="ACCOUNT", help="only sessions that trade in this account")
        if name in ("halt", "flatten"):
            flattening.add_options(parser, is_choice=name == "halt")
        parser.add_argument("--reason", default="", type=storable, help="goes into the history")
        parser.set_defaults(command=command)


def command(desk: Desk, arguments: Namespace) -> Outcome:
    """Command the trading state of a session or the desk, and say whom it did not reach and what is open still."""
    name: str = "flatten" if getattr(arguments, "flatten", False) else arguments.name
    if name == "halt" and getattr(arguments, "foreign", False):
        raise WrongUsage("--foreign needs --flatten: a halt alone cancels and closes nothing")
    session = None if arguments.session is None else desk.session_number(arguments.session)
    login: str | None = getattr(arguments, "login", None)
    _check_login(desk, login)
    shared = _shared(desk, arguments)
    thrown = partial(throw, desk, session=session, reason=arguments.reason, login=login, shared=shared)
    answer = flattening.thrown(thrown, session, login, shared) if name == "flatten" else thrown(name)
    above = _above(name, answer)
    state = max([_STATES[name], *(TradingState(each.state) for each in above)], key=lambda each: each.severity)
    lines = [_first(name, answer, above), *(_line(heard) for heard in answer.sessions)]
    if not answer.sessions:
        is_shared = answer.scope.kind in ("login", "portfolio", "account")
        whose = "no trader that it concerns runs" if is_shared else "no trader runs"
        lines.append(Text(f"  {whose} now; it counts for those that start", style="dim"))
    lines += [Text(f"  {line}", style="yellow") for line in _others(name, answer)]
    value = {**answer.to_dict(), "trading_state": state.value}
    code = ExitStatus.OK
    if name == "flatten":
        ending = flattening.get_flat(desk, answer, arguments)
        return Outcome(
            {**value, **ending.value, "exit": int(ending.exit)}, Text("\n").join([*lines, *ending.lines]), ending.exit
        )
    if name == "halt":
        stays = flattening.what_stays(desk, answer.scope)
        lines += stays.lines
        value |= stays.value
    if answer.latch == UNSTORED or not all(heard.ok for heard in answer.sessions):
        code = ExitStatus.NOT_RUNNING
    return Outcome({**value, "exit": int(code)}, Text("\n").join(lines), code)


def _check_login(desk: Desk, login: str | None) -> None:
    """Refuse a login that the desk does not have; a configuration that cannot be read holds up no switch."""
    if login is None:
        return
    match config_of(desk):
        case Known(config) if login not in config.logins:
            raise NotFound("login", login, f"conf/tradeproc.toml has {', '.join(config.logins) or 'none'}")
        case _:
            return


def _shared(desk: Desk, arguments: Namespace) -> Scope | None:
    """Return the portfolio or account that is meant, None for neither; one that there is not is refused.

    A keeper that is away holds up no switch.

    Raises:
        NotFound: there is no such portfolio, or no session trades in that account.
    """
    portfolio, account = getattr(arguments, "portfolio", None), getattr(arguments, "account", None)
    try:
        if portfolio is not None:
            known = {each.name for each in desk.ask(KEEPER, PORTFOLIOS, NoBody()).portfolios}
            _check_known("portfolio", portfolio, known)
        elif account is not None:
            known = {str(each.spec["account"]) for each in desk.ask(KEEPER, SESSIONS, NoBody()).sessions}
            _check_known("account", account, known)
    except NotRunning:
        pass
    if portfolio is not None:
        return scopes.of_portfolio(portfolio)
    return None if account is None else scopes.of_account(account)


def _check_known(what: str, named: str, known: Collection[str]) -> None:
    if named not in known:
        raise NotFound(what, named, f"there is {', '.join(sorted(known)) or 'none'}")


def _first(name: str, answer: Thrown, above: Sequence[StandingLatch]) -> Text:
    scope = answer.scope.in_words
    if answer.latch == UNSTORED:
        trouble = answer.trouble or "neither the database nor the disk took it"
        remedy = f"repeat scripts/tradectl {name}{_option(answer.scope)} when that is over"
        return Text(
            f"{scope}: {name} was told to the traders; the latch is NOT stored and ends with each trader's life: "
            f"{trouble}; {remedy}"
        )
    if above and name in ("resume", "reduce"):
        what = "its latch is lifted" if name == "resume" else "its latch says reducing"
        by = " and ".join(f"{each.state} by {Scope(each.scope).in_words}" for each in above)
        lifts = " and ".join(f"scripts/tradectl resume{_option(each.scope)}" for each in above)
        return Text(f"{scope}: {what}; still {by}; {lifts} lifts that; {answer.latch}")
    is_closed = any(heard.ok and heard.trading_state != "active" for heard in answer.sessions)
    if name == "resume" and answer.standing is None and is_closed:
        return Text(f"{scope}: its latch is lifted; another one stands; {answer.latch}")
    is_heard = all(heard.ok for heard in answer.sessions)
    words = _WORDS[name] if is_heard else f"{name} did not reach every trader"
    # the closing is told to the trader and not stored, so the answer must not sound as if it outlived the trader
    kept = f"its halt is {answer.latch}" if name == "flatten" else answer.latch
    return Text(f"{scope}: {words}; {kept}")


def _line(heard: TraderHeard) -> Text:
    line = Text(f"  session {heard.session}: ", style="dim")
    shown = tables.state(heard.trading_state) if heard.ok else Text(f"did not do it: {heard.reason}", "red")
    return line.append_text(shown)


def _above(name: str, answer: Thrown) -> list[StandingLatch]:
    """Return the latches of others that close more than the one that was set, and so count in its place."""
    standing = [each for each in answer.standing or () if each.scope != answer.scope]
    wider = [each for each in standing if Scope(each.scope).session is None]
    return [each for each in wider if TradingState(each.state).severity > _STATES[name].severity]


def _others(name: str, answer: Thrown) -> list[str]:
    """Return a line for each session whose own latch closes more than the one of the desk."""
    own = [each for each in answer.standing or () if Scope(each.scope).session is not None]
    stricter = [each for each in own if TradingState(each.state).severity > _STATES[name].severity]
    return [
        f"{Scope(each.scope).in_words} stays {each.state} by its own latch; "
        f"scripts/tradectl resume{_option(each.scope)} lifts that"
        for each in stricter
        if each.scope != answer.scope
    ]


def _option(scope: str) -> str:
    named = Scope(scope)
    return "" if named.kind == scopes.HOST else f" --{named.kind} {named.name}"
