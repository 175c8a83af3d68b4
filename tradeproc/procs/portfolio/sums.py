"""The sum over sessions from what each trader last said of itself: pure; what is missing is named, never a 0."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from tradeproc.engine.events import TradingState
from tradeproc.errors import Refusal

_KEPT = ("session", "name", "account", "contract", "position", "average", "realized", "unrealized", "currency")
_ALSO = ("trading_state", "reconciled", "market_at", "alarms")


class BadReport(Refusal):
    """A trader's summary without what a sum needs; caught by the bus, counted, the session stays unreported."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one trader last said; `at` is monotonic nanoseconds."""

    session: int
    body: Mapping[str, Any]
    at: int


def read_report(body: Mapping[str, Any], at: int) -> Report:
    """Return the report of a trader's summary.

    Raises:
        BadReport: it lacks something or a number cannot be read.
    """
    try:
        for key in ("realized", "unrealized"):
            _money(body[key])
        kept = {key: body[key] for key in _KEPT} | {key: body.get(key) for key in _ALSO}
        return Report(int(body["session"]), {**kept, "position": int(body["position"])}, at)
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise BadReport(f"a trader's summary that cannot be summed: {error!r}") from None


def sum_up(
    reports: Mapping[int, Report], expected: Collection[int] | None, now: int, *, patience: int
) -> dict[str, Any]:
    """Return positions, profit and what is missing.

    Args:
        reports: the newest report of each session.
        expected: sessions that should run; None while nobody knows.
        now: monotonic nanoseconds.
        patience: a report older than this many nanoseconds is missing.
    """
    fresh = {session: report for session, report in sorted(reports.items()) if now - report.at <= patience}
    missing = sorted(set(expected or ()) - set(fresh))
    positions: dict[tuple[str, str], int] = {}
    profit: dict[str, dict[str, Decimal]] = {}
    unpriced = []
    for session, report in fresh.items():
        body = report.body
        place = (str(body["account"]), str(body["contract"]))
        positions[place] = positions.get(place, 0) + body["position"]
        money = profit.setdefault(str(body["currency"]), {"realized": Decimal(0), "unrealized": Decimal(0)})
        for key, total in money.items():
            amount = _money(body[key])
            if amount is None:
                unpriced.append(session)
            else:
                money[key] = total + amount
    return {
        "is_complete": expected is not None and not missing and not unpriced,
        "missing": missing,
        "unpriced": sorted(set(unpriced)),
        "sessions": [dict(report.body) for report in fresh.values()],
        "positions": [
            {"account": account, "contract": contract, "quantity": quantity}
            for (account, contract), quantity in sorted(positions.items())
        ],
        "profit": {each: {key: str(amount) for key, amount in profit[each].items()} for each in sorted(profit)},
    }


def most_severe(states: Collection[str]) -> str:
    """Return the trading state that counts of several, active when there is none."""
    ranked = max(map(TradingState, states), key=lambda state: state.severity, default=TradingState.ACTIVE)
    return ranked.value


def _money(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))
