"""What a session's fills moved: cash, open contracts, and how often in a row it lost from flat to flat.

Together with the last price it gives the whole profit, realized and open: `Tally.worth`. Only differences of that
profit are compared with limits, so what an unknown price leaves out cancels once a person has taken the profit of
that moment as the new beginning.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from decimal import Decimal

from tradeproc.domain.book import Fill, FillKind
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.units import Contracts, Count, Money, Nanos, Price

_NONE = Money(Decimal(0))
NEVER = Nanos(0)


@dataclass(frozen=True, slots=True)
class Streak:
    """Round trips from flat to flat that lost, in a row, and when the newest of them ended; `began` is its cash."""

    losses: Count = 0
    lost_at: Nanos = Nanos(0)
    began: Money = _NONE


@dataclass(frozen=True, slots=True)
class LossMarks:
    """From where a session's losses are counted.

    `day_start` is the whole profit at the open of the market day that began at `day_opened_at`, `peak` the highest
    since the session began or since a person re-armed its limits, which was at `armed_at` (0: never).
    `account_start` is the account's profit of the day, as the broker tells it, when they were re-armed on this day,
    else 0.
    """

    session: int
    day_opened_at: Nanos
    day_start: Money
    peak: Money
    armed_at: Nanos = Nanos(0)
    account_start: Money = _NONE


@dataclass(frozen=True, slots=True)
class Tally:
    """The sum of fills: `cash` in the currency of the instruments, before fees.

    `held` are the open contracts by contract's code, signed, without those that are flat. `unpriced` are contracts
    that were traded at a price nobody knows, by order. `peak` is the highest cash of a moment without a position.
    `streak` counts losing round trips, `streak_before` is what it was before the newest round trip ended.
    """

    cash: Money = _NONE
    held: Mapping[str, Contracts] = field(default_factory=dict)
    unpriced: Mapping[str, Contracts] = field(default_factory=dict)
    peak: Money = _NONE
    streak: Streak = Streak()
    streak_before: Streak = Streak()

    def worth(self, contract: str, last: Price | None) -> Money | None:
        """Return realized and open profit at the last price; None when a price that it needs is unknown."""
        if self.unpriced or self.held.keys() - {contract}:
            return None
        held = self.held.get(contract)
        if held is None:
            return self.cash
        return None if last is None else Money(self.cash + held * last * instrument_of(contract).point_value)


def counted(tally: Tally, fill: Fill) -> Tally:
    """Return the tally after a fill; one that turns the position over ends a round trip and begins the next."""
    change = fill.quantity * fill.side.sign
    held = tally.held.get(fill.contract, 0)
    if held * change < 0 and abs(change) > abs(held):
        return _moved(_moved(tally, fill, -held), fill, change + held)
    return _moved(tally, fill, change)


def rearmed(tally: Tally) -> Tally:
    """Return the tally without losses to count and without unknown prices: losses are counted from now on."""
    streak = replace(tally.streak, losses=0)
    return replace(tally, unpriced={}, streak=streak, streak_before=replace(tally.streak_before, losses=0))


def tally_of(fills: Iterable[Fill], armed_at: Nanos = NEVER) -> Tally:
    """Return the sum of a session's fills in the order of booking, re-armed after those up to `armed_at`."""
    tally, is_armed = Tally(), armed_at == NEVER
    for fill in fills:
        if not is_armed and fill.at > armed_at:
            tally, is_armed = rearmed(tally), True
        tally = counted(tally, fill)
    return tally if is_armed else rearmed(tally)


def _moved(tally: Tally, fill: Fill, change: int) -> Tally:
    """Return the tally after `change` contracts of a fill, which do not turn the position over."""
    cash = tally.cash
    unpriced = dict(tally.unpriced)
    if fill.price is None:
        unpriced[fill.order_id] = Contracts(unpriced.get(fill.order_id, 0) + change)
        unpriced = {order_id: contracts for order_id, contracts in unpriced.items() if contracts}
    else:
        cash = Money(cash - change * fill.price * instrument_of(fill.contract).point_value)
    held = dict(tally.held)
    held[fill.contract] = Contracts(held.get(fill.contract, 0) + change)
    held = {contract: contracts for contract, contracts in held.items() if contracts}
    moved = replace(tally, cash=cash, held=held, unpriced=unpriced)
    if tally.held and not held:
        return _ended(moved, fill.at)
    if held and not tally.held and fill.kind is FillKind.REVERSAL:
        # the fill that ended the newest round trip never was
        return replace(moved, streak=tally.streak_before)
    return moved


def _ended(tally: Tally, at: Nanos) -> Tally:
    """Return the tally after a round trip; one of an unknown result counts as a loss."""
    before, result = tally.streak, tally.cash - tally.streak.began
    streak = replace(before, began=tally.cash)
    if result < 0 or tally.unpriced:
        streak = replace(streak, losses=before.losses + 1, lost_at=at)
    elif result > 0:
        streak = replace(streak, losses=0)
    return replace(tally, streak=streak, streak_before=before, peak=Money(max(tally.peak, tally.cash)))
