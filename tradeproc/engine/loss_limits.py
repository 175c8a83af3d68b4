"""Limits on what a session loses: in a market day, from its highest profit, and in round trips in a row.

Profit is realized and open together, at the last price that was heard, in the instrument's currency before fees.

    max_daily_loss      against the profit at the open of the exchange's market day (Globex opens it in the evening)
    max_account_daily_loss   what the broker tells of the whole account's day, other sessions and hands included; it
                        is asked once a minute, and entries wait while it has not been told for five
    max_drawdown        against the highest profit since the session began, or since its limits were re-armed
    max_losses_in_row   round trips from flat to flat; with `cool_down_minutes` entries only wait so long after the
                        last of them, without it the session is latched

A limit that is reached latches the session to `reducing`: entries that work are cancelled, the strategy may still
exit, stops go on protecting, nothing is closed by force. A person lifts the latch with a reason; then the day's loss,
the drawdown and the row count from that moment. While the profit is not known (a fill without a price), entries wait.

Here is what stands against an entry, as pure questions; `loss_marks.py` keeps count.
"""

from decimal import Decimal
from functools import lru_cache

from tradeproc.domain.instruments import Instrument
from tradeproc.domain.units import MINUTE, Money, Nanos, Price
from tradeproc.engine.state import State

_ACCOUNT_OLD = 5 * MINUTE


def against_entry(state: State, now: Nanos) -> str | None:
    """Return which loss limit stands against an entry, None when none does."""
    limits, watch = state.setup.spec.limits, state.engine.losses
    if not limits.watch_losses:
        return None
    if watch.tripped:
        return watch.tripped
    if limits.max_account_daily_loss is not None and account_profit(state, now) is None:
        return "the account's profit of the day is not known: the broker has not told it for 5 min"
    if watch.tally.unpriced:
        return unknown(state)
    profit = profit_now(state)
    if profit is None or watch.marks is None:
        return "the session's profit is not known yet: no price was heard" if profit is None else None
    return reached(state, profit) or _cooling(state, now)


def profit_now(state: State) -> Money | None:
    """Return realized and open profit at the last price; None when it is unknown."""
    return state.engine.losses.tally.worth(state.setup.spec.contract, last_price(state))


def account_profit(state: State, now: Nanos | None = None) -> Money | None:
    """Return what the account made today, realized and open, as the broker told it last.

    None when it has not been told, or with `now`, not for five minutes.
    """
    balance, heard_at = state.broker.balance, state.engine.losses.account_heard_at
    if balance is None or (now is not None and now - heard_at > _ACCOUNT_OLD):
        return None
    return Money(balance.realized + balance.unrealized)


def last_price(state: State) -> Price | None:
    """Return the price that was heard last, None before the first candle."""
    candle = state.strategy.candles.partial or state.strategy.candles.newest
    if candle is None:
        return None
    return _on_grid(state.setup.instrument, candle.close)


@lru_cache(maxsize=256)
def _on_grid(instrument: Instrument, close: float) -> Price:
    return instrument.price(instrument.nearest(close))


def unknown(state: State) -> str:
    """Return why the profit is unknown, of a tally that has unpriced contracts."""
    order_id = next(iter(state.engine.losses.tally.unpriced))
    return f"the session's profit is unknown: order {order_id} was filled at a price that nobody knows"


def reached(state: State, profit: Money) -> str | None:
    """Return which limit that latches is reached, None when none is."""
    limits, watch = state.setup.spec.limits, state.engine.losses
    marks, currency = watch.marks, state.setup.instrument.currency
    if marks is None:
        return None
    lost, fallen = marks.day_start - profit, marks.peak - profit
    if limits.max_daily_loss is not None and lost >= limits.max_daily_loss:
        return f"max_daily_loss {limits.max_daily_loss} {currency} is reached: {_said(lost)} lost this market day"
    if limits.max_drawdown is not None and fallen >= limits.max_drawdown:
        return f"max_drawdown {limits.max_drawdown} {currency} is reached: {_said(fallen)} below the highest profit"
    account = account_profit(state)
    if limits.max_account_daily_loss is not None and account is not None:
        gone = marks.account_start - account
        if gone >= limits.max_account_daily_loss:
            most_gone = limits.max_account_daily_loss
            return f"max_account_daily_loss {most_gone} is reached: the account lost {_said(gone)} today"
    losses = watch.tally.streak.losses
    most = None if limits.cool_down_minutes is not None else limits.max_losses_in_row
    if most is not None and losses >= most:
        return f"max_losses_in_row {most} is reached: {losses} round trips lost in a row"
    return None


def _cooling(state: State, now: Nanos) -> str | None:
    limits, streak = state.setup.spec.limits, state.engine.losses.tally.streak
    most, minutes = limits.max_losses_in_row, limits.cool_down_minutes
    if most is None or minutes is None or not streak.losses or streak.losses % most:
        return None
    left = streak.lost_at + minutes * MINUTE - now
    if left <= 0:
        return None
    return f"max_losses_in_row {most} is reached: entries wait {-(-left // MINUTE)} min more (cool_down_minutes)"


def _said(amount: Decimal) -> str:
    return f"{amount:.2f}"


def used(state: State) -> dict[str, str]:
    """Return of each loss limit that is set how much is used, in words; unknown where the profit is."""
    limits = state.setup.spec.limits
    watch, profit = state.engine.losses, profit_now(state)
    found: dict[str, str] = {}
    for name, limit in (("max_daily_loss", limits.max_daily_loss), ("max_drawdown", limits.max_drawdown)):
        if limit is None:
            continue
        if profit is None or watch.marks is None:
            found[name] = "unknown"
            continue
        mark = watch.marks.day_start if name == "max_daily_loss" else watch.marks.peak
        found[name] = _said(max(Decimal(0), mark - profit))
    if limits.max_account_daily_loss is not None:
        account = account_profit(state)
        is_known = account is not None and watch.marks is not None
        start = watch.marks.account_start if watch.marks is not None else Decimal(0)
        found["max_account_daily_loss"] = _said(max(Decimal(0), start - (account or 0))) if is_known else "unknown"
    if limits.max_losses_in_row is not None:
        found["max_losses_in_row"] = str(watch.tally.streak.losses)
    return found
