"""Keeping count of a session's profit: from where losses are counted, and the latch when a limit is reached.

The marks that losses count from are written down at most every ten seconds, outside of the way from a candle to an
order. A trader that died finds them again; its highest profit may be short of what those ten seconds added. One that
did not run when the market day began, with a position over night, counts that position from the first price it hears.
What stands against an entry is `loss_limits.py`.
"""

from dataclasses import replace
from decimal import Decimal

from tradeproc.domain.market_hours import Stretch
from tradeproc.domain.orders import OrderSource
from tradeproc.domain.tally import LossMarks, rearmed
from tradeproc.domain.units import SECOND, Money, Nanos
from tradeproc.engine import loss_limits, sending
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import SaveLossMarks
from tradeproc.engine.latched_by import LIMIT
from tradeproc.engine.loss_watch import KnownLosses
from tradeproc.engine.state import Setup, State
from tradeproc.engine.turn import Turn

_SAVE_EVERY = 10 * SECOND
# the keeper stores a resume a moment before or after the trader has obeyed it
_SAME_RESUME = 60 * SECOND
_NONE = Money(Decimal(0))
_UTC_DAY = 86_400 * SECOND


def begin(turn: Turn, known: KnownLosses) -> None:
    """Take over what the database knew; a resume that the trader before did not live to see re-arms now."""
    watch = turn.state.engine.losses
    watch.tally, watch.before_day = known.tally, known.before_day
    watch.marks = watch.saved = known.marks
    armed_at = known.marks.armed_at if known.marks is not None else 0
    if known.rearmed_at > armed_at + _SAME_RESUME:
        watch.rearm_at = known.rearmed_at
        watch.tally = rearmed(watch.tally)
    if known.latched:
        _tell(turn, known.latched)


def resumed(turn: Turn) -> None:
    """Count losses from now on: a person has resumed the session."""
    watch = turn.state.engine.losses
    watch.seen = None
    turn.clear(AlarmName.LOSS_LIMIT_REACHED)
    turn.clear(AlarmName.PROFIT_UNKNOWN)
    if watch.tripped or watch.tally.unpriced:
        watch.tally, watch.tripped, watch.rearm_at = rearmed(watch.tally), "", turn.now
        turn.log("warning", "loss_limits_rearmed", session=turn.state.setup.session)


def review(turn: Turn) -> None:
    """Hold the profit of this moment against the limits; called at the end of every turn."""
    state = turn.state
    limits = state.setup.spec.limits
    if not limits.watch_losses or state.started_at == 0:
        return
    watch = state.engine.losses
    if _is_seen(state, turn.now):
        return
    if watch.tally.unpriced:
        remedy = f"scripts/tradectl resume --session {state.setup.session} --reason WHY counts losses from then on"
        turn.alarm(AlarmName.PROFIT_UNKNOWN, f"{loss_limits.unknown(state)}; entries wait; {remedy}")
    else:
        turn.clear(AlarmName.PROFIT_UNKNOWN)
    if (profit := loss_limits.profit_now(state)) is None:
        return
    _mark(turn, profit)
    if not watch.tripped and (reason := loss_limits.reached(state, profit)):
        _trip(turn, reason)


def _is_seen(state: State, now: Nanos) -> bool:
    """Tell whether price, fills, account and day are those of the last review: then nothing has changed."""
    watch, candles = state.engine.losses, state.strategy.candles
    candle = candles.partial or candles.newest
    present = (None if candle is None else candle.close, watch.tally, state.broker.balance)
    before, watch.seen = watch.seen, present
    if before is None or watch.rearm_at is not None or watch.day is None:
        return False
    is_same = before[0] == present[0] and before[1] is present[1] and before[2] is present[2]
    return is_same and watch.day.opened_at <= now < watch.day.closed_at


def on_time(turn: Turn) -> None:
    """Write the marks down when they have changed; called when time passes."""
    watch = turn.state.engine.losses
    marks, saved = watch.marks, watch.saved
    if marks is None or marks == saved:
        return
    is_peak_only = saved is not None and replace(saved, peak=marks.peak) == marks
    if is_peak_only and 0 <= turn.now - watch.saved_at < _SAVE_EVERY:
        return
    watch.saved, watch.saved_at = marks, turn.now
    turn.do(SaveLossMarks(marks))


def _mark(turn: Turn, profit: Money) -> None:
    """Move the marks to where losses count from at this moment."""
    state, now = turn.state, turn.now
    watch = state.engine.losses
    if watch.day is None or not watch.day.opened_at <= now < watch.day.closed_at:
        watch.day = _market_day(state.setup, now)
    opened_at, marks = watch.day.opened_at, watch.marks
    if marks is None:
        peak = Money(max(watch.tally.peak, profit))
        marks = LossMarks(state.setup.session, opened_at, _at_open(state, profit), peak)
    elif opened_at > marks.day_opened_at:
        marks = replace(marks, day_opened_at=opened_at, day_start=_at_open(state, profit), account_start=_NONE)
    account = loss_limits.account_profit(state)
    if watch.rearm_at is not None:
        marks = replace(marks, day_start=profit, peak=profit, armed_at=watch.rearm_at, account_start=account or _NONE)
    if account is not None and account >= 0 > marks.account_start:
        # the account has made the loss good, or the broker's day began anew
        marks = replace(marks, account_start=_NONE)
    if profit > marks.peak:
        marks = replace(marks, peak=profit)
    watch.marks, watch.before_day, watch.rearm_at = marks, None, None


def _at_open(state: State, profit: Money) -> Money:
    """Return the profit at the open of the day: what it is now for a trader that lived then, else from the fills."""
    before = state.engine.losses.before_day
    if before is None or before.held:
        return profit
    return Money(before.cash)


def _market_day(setup: Setup, now: Nanos) -> Stretch:
    """Return the market day of a moment; without a calendar that knows it, the day of UTC."""
    day = None if setup.hours is None else setup.hours.day_at(now)
    if day is not None:
        return day
    opened_at = now // _UTC_DAY * _UTC_DAY
    return Stretch(Nanos(opened_at), Nanos(opened_at + _UTC_DAY))


def _trip(turn: Turn, reason: str) -> None:
    """Latch the session, unless a person closed it already: then the limit speaks when they open it again."""
    if not turn.latch(LIMIT, reason):
        return
    _tell(turn, reason)
    sending.cancel_entries(turn, OrderSource.TRADER, reason)


def _tell(turn: Turn, reason: str) -> None:
    turn.state.engine.losses.tripped = reason
    remedy = f"scripts/tradectl resume --session {turn.state.setup.session} --reason WHY counts from then on"
    turn.alarm(AlarmName.LOSS_LIMIT_REACHED, f"{reason}; exits only, until {remedy}")
