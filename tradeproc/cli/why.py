"""Why a session does not trade, in the words of a person: its trader's own reason, and what its market does."""

from collections.abc import Sequence
from pathlib import Path

from tradeproc.cli import tables
from tradeproc.clock import wall_ns
from tradeproc.config import BadConfig
from tradeproc.desk.installation import Desk
from tradeproc.desk.listed import SessionListed
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.errors import TradeprocError
from tradeproc.home import Home
from tradeproc.localbroker.client import LocalBroker
from tradeproc.localbroker.control_key import key_file_of
from tradeproc.protocol import names
from tradeproc.protocol.trader_messages import DecisionCounts, RefusedDecision, SessionState
from tradeproc.supervision.deaths import Death, read_deaths

_SECONDS = 2.0
_AHEAD = 14 * 86_400 * SECOND
_SHOWN = 3
_LATELY = 3600 * SECOND
# the trader's reasons that follow from a market that is closed or over
_TAPE = "the tape of the local broker"
_NO_DATA = ("no market data", "the market is closed", "the market stream is down")

Rows = list[tuple[str, str]]


def why_rows(row: SessionListed, state: SessionState | None, market: str, died: Sequence[Death] = ()) -> Rows:
    """Return what `session show` says first: entries, the strategy, its decisions and the newest refused ones."""
    line, interrupted = entries(row, state, market), _interrupted(state, died)
    if interrupted:
        # a gate that is closed by itself is the first reason
        line = f"{line}; {interrupted}" if line.startswith("closed") else f"open: {interrupted}"
    rows: Rows = [("entries", line)]
    if state is None:
        return rows
    told = state.decisions
    if told.off or told.failed:
        rows.append(("strategy", strategy_line(told)))
    rows.append(("decisions", decisions_line(told)))
    return [
        *rows,
        *(("  refused", _refusal(each)) for each in told.newest[: -_SHOWN - 1 : -1]),
    ]


def _interrupted(state: SessionState | None, died: Sequence[Death]) -> str:
    """Return that a trader dies before it decides a bar, which its present life does not know; else empty."""
    recent = [each for each in died if wall_ns() - each.at < _LATELY]
    if not recent or state is None or state.decisions.bars or state.decisions.off:
        return ""
    often = "once" if len(recent) == 1 else f"{len(recent)} times"
    return f"no bar was decided since its trader died, {often} within the hour: {recent[0].reason}"


def entries(row: SessionListed | None, state: SessionState | None, market: str) -> str:
    """Return whether the session may enter now, and why nothing is entered; `market` says why it stands still.

    Without a `state`, `market` says why the trader tells none.
    """
    if state is None:
        if row is not None and row.desired == "stopped":
            return f"closed: the session is stopped; scripts/tradectl session start {row.id}"
        return f"closed: {market or 'its trader is not running'}"
    why, gate, is_off = state.why, state.entries, bool(state.decisions.off)
    if market and not is_off and (gate == "allowed" or gate.startswith(_NO_DATA)):
        return f"closed: {market}"
    if is_off or gate != "allowed":
        # a tape that is over does not go on by itself, whatever else is so
        return f"closed: {why or gate}" + (f"; {market}" if market.startswith(_TAPE) else "")
    return f"open: {why}" if why else "open"


def strategy_line(told: DecisionCounts) -> str:
    """Return how the strategy failed since its trader's start."""
    if told.off:
        return f"off: {told.off}"
    return f"failed on {told.failed} bars; the newest: {told.failure}"


def death_rows(home: Home, row: SessionListed) -> Rows:
    """Return the last death of each process that a session needs, the newest first, where any is kept."""
    rows = [
        (each, death) for each in needed_by(row) if (death := next(iter(read_deaths(home, each)), None)) is not None
    ]
    rows.sort(key=lambda pair: -pair[1].at)
    return [("last death", death_line(process, death)) for process, death in rows[:_SHOWN]]


def needed_by(row: SessionListed) -> list[str]:
    """Return the names of the processes that a session needs."""
    feeds = [names.account_feed(row.login, kind, row.account) for kind in ("orders", "positions")]
    bars = names.bars_feed(row.logins[-1], row.contract, row.minutes)
    links = [names.link(each) for each in dict.fromkeys(row.logins)]
    return [names.trader(row.id), names.account(row.id), *links, bars, *feeds]


def death_line(process: str, death: Death) -> str:
    """Return a death in one line: when, who, why."""
    return f"{tables.when(death.at)} {process}: {death.reason}"


def decisions_line(told: DecisionCounts) -> str:
    """Return how many decisions there were since the trader's start."""
    return f"{told.wanted} on {told.bars} bars, {told.refused} of them refused"


def _refusal(each: RefusedDecision) -> str:
    return refusal_line(each.market_at, each.at, each.decision, each.refusal)


def refusal_line(market_at: int, at: int, decision: str, refusal: str) -> str:
    """Return one refused decision: its market time, what it was, why it was refused."""
    return f"{tables.when(market_at or at)} {decision}: {refusal}"


def headline(state: SessionState) -> str:
    """Return in a few words what keeps a session from trading as it should; empty when nothing does."""
    told = state.decisions
    if told.off:
        return "strategy off"
    if told.failed:
        return f"strategy failed on {told.failed} bars"
    return f"{told.refused} refused" if told.refused else ""


def market_of(desk: Desk, row: SessionListed) -> str:
    """Return why the market of a session stands still: closed until when, or its tape is over; empty if it moves."""
    try:
        config = desk.config
        if config.localbroker.enabled and config.is_at_local_broker(row.logins[-1]):
            return _tape(f"127.0.0.1:{config.localbroker.port}", key_file_of(desk.home))
    except BadConfig:
        return ""
    return _calendar(row.market_hours or instrument_of(row.contract).market_hours, wall_ns())


def _tape(address: str, key: Path) -> str:
    try:
        with LocalBroker(f"http://{address}", key, seconds=_SECONDS) as broker:
            told = broker.status()
    except TradeprocError:
        return "the local broker does not answer; see scripts/tradectl status"
    if told["over"]:
        return f"{_TAPE} is over; scripts/tradectl localbroker rewind begins it again"
    return "the local broker's market is paused; scripts/tradectl localbroker resume" if told["paused"] else ""


def _calendar(key: str, now: Nanos) -> str:
    try:
        hours = market_hours(key)
    except TradeprocError:
        return ""
    if hours.is_open(now):
        return ""
    edges: Sequence[Nanos] = [edge for edge in hours.edges(now, Nanos(now + _AHEAD)) if edge > now]
    return f"the market is closed until {tables.when(edges[0])} UTC" if edges else "the market is closed"
