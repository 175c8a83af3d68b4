"""The sum over sessions from what each trader last said of itself: pure; what is missing is named, never a 0."""

from collections.abc import Collection, Mapping
from decimal import Decimal

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Money
from tradeproc.engine.events import TradingState
from tradeproc.protocol.portfolio_messages import Profit, SummedPosition, SummedSession, Sums
from tradeproc.protocol.trader_messages import SessionState, TradingWord

_NOTHING = Profit(Money(Decimal(0)), Money(Decimal(0)))


@dataclass(frozen=True, slots=True)
class Report:
    """What one trader last said; `at` is monotonic nanoseconds."""

    state: SessionState
    at: int


def sum_up(reports: Mapping[int, Report], expected: Collection[int] | None, now: int, *, patience: int) -> Sums:
    """Return positions, profit and what is missing.

    Args:
        reports: the newest report of each session.
        expected: sessions that should run; None while nobody knows.
        now: monotonic nanoseconds.
        patience: a report older than this many nanoseconds is missing.
    """
    fresh = {session: report.state for session, report in sorted(reports.items()) if now - report.at <= patience}
    missing = tuple(sorted(set(expected or ()) - set(fresh)))
    positions: dict[tuple[str, str], int] = {}
    profit: dict[str, Profit] = {}
    unpriced = []
    for session, state in fresh.items():
        place = (state.account, state.contract)
        positions[place] = positions.get(place, 0) + state.position
        profit[state.currency] = _with(profit.get(state.currency, _NOTHING), state)
        if state.realized is None or state.unrealized is None:
            unpriced.append(session)
    return Sums(
        is_complete=expected is not None and not missing and not unpriced,
        missing=missing,
        unpriced=tuple(unpriced),
        sessions=tuple(map(SummedSession.of, fresh.values())),
        positions=tuple(
            SummedPosition(account, contract, quantity) for (account, contract), quantity in sorted(positions.items())
        ),
        profit=dict(sorted(profit.items())),
    )


def most_severe(states: Collection[str]) -> TradingWord:
    """Return the most severe of several trading states, active when there is none."""
    ranked = max(map(TradingState, states), key=lambda state: state.severity, default=TradingState.ACTIVE)
    return ranked.value


def _with(profit: Profit, state: SessionState) -> Profit:
    """Return a profit with what is known of a session's added to it."""
    return Profit(
        Money(profit.realized + (state.realized or 0)),
        Money(profit.unrealized + (state.unrealized or 0)),
    )
