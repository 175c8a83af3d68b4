"""Calling the strategy: the one place where its code runs, and where its faults end.

A strategy that raises, or returns what is no decision, has failed on that bar: nothing is decided, its state is made
anew by `start`, an alarm says what failed and where. Orders, stops, closings and reconciliation go on, because the
process lives. One that fails `MOST_FAILURES` bars in a row is not called any more, the session is latched to
`reducing`, and a person resumes it. A restart would not help, and would leave the position unwatched meanwhile.
"""

from collections.abc import Callable
from types import CodeType, TracebackType
from typing import Any, TypeVar

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.texts import one_line
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import DecisionNoted
from tradeproc.engine.state import Setup
from tradeproc.engine.turn import Turn
from tradeproc.strategies.contract import Decision, View
from tradeproc.strategies.returned import BadReturn, read_return, whole

MOST_FAILURES = 3
BY = "strategy"
"""Who set the latch of a strategy that is off; a trader that finds it at its start does not call the strategy."""
_MOST_WARMUP = 50_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call failed, in one line: exception, its text, and where in the strategy's file."""

    reason: str


def start(setup: Setup) -> tuple[Any, str]:
    """Return the state of a fresh start, and why there is none when `start` raises."""
    made = _called(setup, "start", lambda: setup.strategy.start(setup.arguments))
    return (None, made.reason) if isinstance(made, Failure) else (made, "")


def begin(turn: Turn, off: str) -> None:
    """Make the strategy's own state at the start of a life; `off` as an earlier life left it."""
    own = turn.state.strategy
    own.wanted = warmup(turn.state.setup)
    own.memory, problem = start(turn.state.setup)
    if off:
        switch_off(turn, off)
    elif problem:
        latch_off(turn, problem)


def warmup(setup: Setup) -> int:
    """Return how many candles to fetch; one that raises or answers with no number gets the least."""
    if setup.spec.warmup is not None:
        return setup.spec.warmup
    found = _called(setup, "warmup", lambda: whole(setup.strategy.warmup(setup.arguments), "warmup"))
    return 0 if isinstance(found, Failure) else min(max(found, 0), _MOST_WARMUP)


def call(turn: Turn, view: View) -> Decision | None:
    """Return what the strategy decides on a candle; None when it is off, or fails on it."""
    setup, own = turn.state.setup, turn.state.strategy
    if own.off:
        return None
    read = _called(
        setup, "on_candle", lambda: read_return(setup.strategy.on_candle(view, own.memory, setup.arguments))
    )
    if isinstance(read, Failure):
        _failed(turn, view, read.reason)
        return None
    decision, own.memory = read
    own.failures = 0
    own.decided += 1
    return decision


def switch_off(turn: Turn, reason: str) -> None:
    """Call the strategy no more, until a person resumes the session; what protects the position goes on."""
    state = turn.state
    session, name = state.setup.session, state.setup.strategy.name
    state.strategy.off = reason
    told = (
        f"strategy {name} is not called any more: {reason}. Entries stop; stops, exits and reconciliation go on. "
        f"Mend it, then scripts/tradectl session stop {session}, session start {session}, resume --session {session}"
    )
    turn.alarm(AlarmName.STRATEGY_OFF, told)


def resumed(turn: Turn) -> None:
    """Begin anew with the strategy after a person resumed the session."""
    own = turn.state.strategy
    turn.clear(AlarmName.STRATEGY_FAILED)
    turn.clear(AlarmName.STRATEGY_OFF)
    if own.off:
        own.memory, own.off = start(turn.state.setup)
        own.failures = 0
        if own.off:
            switch_off(turn, own.off)


def _failed(turn: Turn, view: View, reason: str) -> None:
    state, own = turn.state, turn.state.strategy
    name, candle = state.setup.strategy.name, view.candle
    own.failures += 1
    own.failed += 1
    own.failure = reason
    turn.log("error", "strategy_failed", strategy=name, bar=candle.opened_at, in_a_row=own.failures, reason=reason)
    turn.alarm(AlarmName.STRATEGY_FAILED, f"strategy {name}: {reason}")
    turn.note(DecisionNoted("failed", "", reason, candle.opened_at, own.market_at, turn.now))
    own.memory, problem = start(state.setup)
    if own.failures >= MOST_FAILURES or problem:
        often = f"it failed on {own.failures} bars in a row" if own.failures > 1 else "it failed"
        latch_off(turn, f"{often}: {problem or reason}")


def latch_off(turn: Turn, reason: str) -> None:
    """Switch the strategy off and latch the session, so that a restart does not try it again."""
    switch_off(turn, reason)
    turn.latch(BY, one_line(f"strategy {turn.state.setup.strategy.name}: {reason}"))


def _called(setup: Setup, method: str, action: Callable[[], T]) -> T | Failure:
    """Run the strategy's code.

    Whatever it raises is its failure, SystemExit and KeyboardInterrupt too: real signals have handlers of their own
    and do not arrive as exceptions here.
    """
    try:
        return action()
    except BadReturn as bad:
        return Failure(one_line(f"{bad}{_at(_code(setup, method), None)}"))
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the strategy's
        where = _at(_code(setup, method), error.__traceback__)
        return Failure(one_line(f"{type(error).__name__}: {_text_of(error)}{where}"))


def _text_of(error: BaseException) -> str:
    try:
        return str(error) or "without a text"
    except Exception:  # noqa: BLE001 - a stranger's exception
        return "with a text that cannot be read"


def _code(setup: Setup, method: str) -> CodeType | None:
    function = getattr(setup.strategy, method)
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code if isinstance(code, CodeType) else None


def _at(code: CodeType | None, traceback: TracebackType | None) -> str:
    """Return where in the strategy's own file it happened: the innermost line there, or where the method begins."""
    if code is None:
        return ""
    line, last = code.co_firstlineno, traceback
    while traceback is not None:
        last = traceback
        if traceback.tb_frame.f_code.co_filename == code.co_filename:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    where = f"{_file(code)}, line {line}, {code.co_name}"
    if last is not None and (raised := last.tb_frame.f_code).co_filename != code.co_filename:
        where += f"; raised in {_file(raised)}, line {last.tb_lineno}"
    return f" ({where})"


def _file(code: CodeType) -> str:
    return code.co_filename.rpartition("/")[2]
