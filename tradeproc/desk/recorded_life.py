"""Runs a trader's recorded life through the engine again, with the strategy as its file is now.

Everything comes from files: the recording, whose header holds the specification of that life, the strategy's file and
`conf/market_hours.toml`. No process is asked, so the desk may be down, and a trader that runs may go on writing.
"""

import contextlib
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import tradeproc
from tradeproc.config import apply_market_hours
from tradeproc.desk.exit_status import WrongUsage
from tradeproc.domain.answers import Known
from tradeproc.domain.market_hours import MarketHours, market_hours
from tradeproc.domain.orders import Order
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.texts import one_line, shown
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.engine.effects import Effect
from tradeproc.engine.heat import of_session
from tradeproc.engine.recording import (
    BadRecording,
    Header,
    Recorded,
    read_events,
    read_header,
    recorded_effects,
)
from tradeproc.engine.replay import replay
from tradeproc.engine.state import Setup, State, new_state
from tradeproc.errors import TradeprocError
from tradeproc.home import Home
from tradeproc.procs.trader.recorder import lines_of, lives
from tradeproc.protocol.names import GroupName, session_group
from tradeproc.strategies.contract import AnyStrategy
from tradeproc.strategies.loading import build_arguments, digest_of_file, load_strategy

_PART = re.compile(r"(\d{20})-fence(\d+)\.(\d{4,})\.")
_LONGEST = 2000
_YEAR_2200 = 7_258_118_400 * SECOND


class CannotReplay(WrongUsage):
    """The recording, the strategy or the configuration does not allow a replay; ends the command with code 2."""


@dataclass(frozen=True, slots=True)
class RecordedLife:
    """The parts of one life of a trader, in their order; `fence` is the number of its lease, which names it."""

    session: int
    fence: int
    began_at: Nanos
    parts: tuple[Path, ...]

    def header(self) -> Header:
        """Return what the life began with.

        Raises:
            CannotReplay: the file has none, or one of a version that this program does not read.
        """
        try:
            line = next(whole_lines(self.parts[:1]), b"")
            return read_header(line)
        except BadRecording as bad:
            raise CannotReplay(f"the life under lease {self.fence}: {bad}") from None


@dataclass(frozen=True, slots=True)
class Difference:
    """The first event that has other effects than it had; `number` counts from 1.

    `recorded` names the effects that it had, or says that the recording does not; `got` are those that it has now.
    """

    number: int
    at: Nanos
    event: str
    recorded: str
    got: tuple[str, ...]


@dataclass(slots=True)
class ReplayReport:
    """What a replay has shown.

    `events` were run, up to the moment `at`; `acted` of them had effects. `difference` is the first, None when there
    is none. `ended` says why the replay stopped before the end of the recording, empty when it did not. `notes` are
    what else differs from the time of the recording. `state` is the engine's after the last event.
    """

    header: Header
    state: State
    events: int = 0
    acted: int = 0
    at: Nanos = Nanos(0)
    difference: Difference | None = None
    ended: str = ""
    is_whole: bool = True
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Until:
    """Where a replay stops: after this many events, or before the first that is later than this moment."""

    events: int = sys.maxsize
    at: int = _YEAR_2200

    def includes(self, number: int, each: Recorded) -> bool:
        """Tell whether an event is still to be run."""
        return number <= self.events and each.now <= self.at


def recorded_lives(home: Home, session: int) -> list[RecordedLife]:
    """Return the recorded lives of a session, oldest first."""
    found = []
    for parts in lives(home.recordings / session_group(session)):
        if named := _PART.match(parts[0].name):
            found.append(RecordedLife(session, int(named[2]), Nanos(int(named[1])), tuple(parts)))
    return found


def find_life(home: Home, named: str, fence: int | None) -> RecordedLife:
    """Return a life of the session with this number or name: the newest, or that under a lease.

    Raises:
        CannotReplay: nothing of that kind is kept; the text says what is.
    """
    kept = recorded_lives(home, _session_of(home, named))
    if not kept:
        raise CannotReplay(f"no recording of session {named} is kept; recordings are under {home.recordings}")
    chosen = [each for each in kept if fence in (None, each.fence)]
    if not chosen:
        leases = ", ".join(str(each.fence) for each in kept)
        raise CannotReplay(f"no life under lease {fence} of session {named} is kept; kept are those under {leases}")
    return chosen[-1]


def _session_of(home: Home, named: str) -> int:
    """Return the number of a session; a name is looked up in the newest header of each recorded session."""
    folders = home.recordings.iterdir() if home.recordings.is_dir() else ()
    numbers = sorted(each for folder in folders if (each := GroupName(folder.name).session) is not None)
    if named.isdecimal() and int(named) in numbers:
        return int(named)
    for number in reversed(numbers):
        for life in recorded_lives(home, number)[::-1]:
            with contextlib.suppress(CannotReplay):
                if life.header().spec.get("name") == named:
                    return number
    raise CannotReplay(f"no recording of session {named} is kept; recordings are under {home.recordings}")


def whole_lines(parts: Sequence[Path]) -> Iterator[bytes]:
    """Yield the lines of a life that end with their newline; a trader that runs may be in the midst of its last.

    Raises:
        BadRecording: a file cannot be read, or its compression is damaged.
    """
    try:
        yield from (line for line in lines_of(parts) if line.endswith(b"\n"))
    except (OSError, zlib.error) as error:
        raise BadRecording(f"a file of the recording cannot be read: {error}") from None


def missing_parts(life: RecordedLife) -> str:
    """Return which parts of a life are not kept any more, in words; empty when none is missing."""
    numbers = [int(named[3]) for each in life.parts if (named := _PART.match(each.name))]
    if numbers[0]:
        return "its beginning is not kept any more"
    if any(after != before + 1 for before, after in pairwise(numbers)):
        return "a part of it is not there"
    return ""


def run_again(home: Home, life: RecordedLife, until: Until) -> ReplayReport:
    """Run a life through the engine until its first difference, its end, or where it is to stop.

    Raises:
        CannotReplay: the life is not whole, or what it ran with cannot be loaded.
    """
    if missing := missing_parts(life):
        raise CannotReplay(f"the life under lease {life.fence} cannot be replayed: {missing}")
    header = life.header()
    try:
        apply_market_hours(home)
        spec = SessionSpec.from_dict(dict(header.spec))
        strategy = load_strategy(spec.strategy, home.root)
        setup = setup_of(header, spec, strategy, market_hours(spec.calendar))
    except TradeprocError as error:
        raise CannotReplay(f"what it ran with cannot be loaded: {error}") from None
    report = ReplayReport(header, new_state(setup, dict(header.latches)), at=header.began_at)
    report.notes = _notes(header, digest_of_file(strategy))
    _run(report, life, until)
    return report


def setup_of(header: Header, spec: SessionSpec, strategy: AnyStrategy, hours: MarketHours) -> Setup:
    """Return what the engine of a recorded life ran with, as its trader gave it.

    Raises:
        BadStrategy: the strategy does not take the arguments any more.
    """
    return Setup(
        session=header.session,
        fence=header.fence,
        installation=header.installation,
        spec=spec,
        strategy=strategy,
        arguments=build_arguments(strategy, spec.arguments),
        session_opened_at=hours.session_opened_at,
        hours=hours,
    )


def _notes(header: Header, digest: str) -> list[str]:
    notes = []
    if header.program != tradeproc.__version__:
        notes.append(f"recorded by version {header.program}, replayed by {tradeproc.__version__}")
    if not header.strategy_digest:
        notes.append("whether the strategy's file has changed since is unknown: its digest was not recorded")
    elif header.strategy_digest != digest:
        notes.append("the strategy's file has changed since this life began")
    return notes


def _run(report: ReplayReport, life: RecordedLife, until: Until) -> None:
    newest: list[Recorded] = []

    def told() -> Iterator[Recorded]:
        lines = whole_lines(life.parts)
        next(lines, b"")  # the header
        for each in read_events(lines):
            if not until.includes(report.events + 1, each):
                report.ended = "it was to stop here"
                return
            newest[:] = [each]
            yield each

    events = told()
    try:
        for again in replay(report.state, events):
            report.events += 1
            report.at = again.recorded.now
            report.acted += again.recorded.digest != 0
            if not again.is_same:
                report.difference = _difference(report.events, again.recorded, again.effects)
                report.ended = "of the difference"
                return
    except BadRecording as bad:
        report.ended, report.is_whole = str(bad), False
    except Exception as error:  # noqa: BLE001 - the engine's own fault, of which a trader dies
        _failed(report, newest[0], error, is_last=_is_over(events))


def _is_over(events: Iterator[Recorded]) -> bool:
    try:
        return next(events, None) is None
    except BadRecording:
        return False


def _failed(report: ReplayReport, event: Recorded, error: Exception, *, is_last: bool) -> None:
    """Note that the engine fails on an event: of the last one its trader may have died in the same way."""
    report.events, report.at = report.events + 1, event.now
    fault = one_line(f"{type(error).__name__}: {error}")
    report.ended = f"the engine fails: {fault}"
    if not is_last or event.digest:
        report.difference = _difference(report.events, event, (), fault)


def _difference(number: int, each: Recorded, effects: Sequence[Effect], fault: str = "") -> Difference:
    if each.digest == 0:
        recorded = "nothing"
    elif each.kinds:
        recorded = ", ".join(each.kinds)
    else:
        recorded = "something; recordings of this version do not say what"
    got = tuple(_in_words(effect) for effect in recorded_effects(effects))
    event = "lost" if each.event is None else _in_words(each.event)
    return Difference(number, each.now, event, recorded, (fault,) if fault else got or ("nothing",))


def _in_words(value: object) -> str:
    """Return an event or an effect in one line of bounded length, whatever texts it holds."""
    return shown(one_line(repr(value), _LONGEST))


def state_rows(state: State) -> dict[str, Any]:
    """Return what the engine knows at the end of a replay, as plain values; what nobody knows is "unknown"."""
    engine, heat = state.engine, of_session(state)
    holding, own = engine.holding, state.strategy
    return {
        "position": holding.quantity,
        "average": "unknown" if holding.quantity and holding.average is None else holding.average,
        "reconciled": state.broker.is_reconciled,
        "trading": engine.trading.value,
        "latches": {str(scope): each.value for scope, each in engine.latches.items()},
        "orders": [_order_row(each) for each in engine.open_orders],
        "alarms": {str(name): detail for name, detail in engine.alarms.items()},
        "heat": str(heat.value) if isinstance(heat, Known) else f"unknown: {heat.reason}",
        "closing": None if engine.closing is None else engine.closing.phase.value,
        "rolling": engine.roll.open is not None,
        "bars": len(own.candles),
        "last_bar": None if own.candles.newest is None else _in_words(own.candles.newest),
        "strategy_off": own.off,
        "strategy_memory": _memory(own.memory),
    }


def _memory(memory: object) -> str:
    try:
        return _in_words(memory)
    except Exception as error:  # noqa: BLE001 - the strategy's own class may fail to describe itself
        return f"unknown: its repr raises {type(error).__name__}"


def _order_row(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "role": order.role.value,
        "side": order.side.value,
        "quantity": order.quantity,
        "filled": order.filled,
        "type": order.type.value,
        "limit_ticks": order.limit,
        "stop_ticks": order.stop,
        "state": order.state.value,
        "broker_id": order.broker_id or "unknown",
    }
