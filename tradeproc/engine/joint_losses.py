"""Limits on the losses of a portfolio or an account, as pure rules that serve a server and a backtest alike.

    marks = followed(marks, figures, day)            at each look: the gain of all, its peak, the market day
    reason = reached(limits, marks, figures)         which limit is reached, None when none is
    marks = rearmed(marks, figures, at)              a person looked at it: losses count from here

Only differences of profits are added, so a session that joins or leaves changes the sum by nothing. While the profit
of one session is unknown nothing moves: no limit is reached, and whoever asks is told that the sum is unknown. What
was lost meanwhile counts as soon as it is known again. A day that began while nobody looked counts what was lost
since the last look as lost on the new day. A deposit looks like a profit of an account and a withdrawal like a loss
from its highest equity, because a balance does not tell them apart: re-arm the limit after one.

The broker begins its day at another time than the market day begins, and its profit of the day then jumps while the
equity does not. The loss of the market day goes on over that jump, and what the broker still tells of the day before
is none of the new one.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from decimal import Decimal

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.joint_limits import JointLimits, JointMarks
from tradeproc.domain.market_hours import Stretch, market_hours
from tradeproc.domain.units import SECOND, Money, Nanos, plain

EQUITY = ""
"""The place of an account's equity among the profits."""
TODAY = "today"
"""The place of what the broker told last that an account made today."""
_NONE = Money(Decimal(0))
_UTC_DAY = 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a portfolio or an account at one moment.

    `profits` are the whole profits that are known, realized and open, by session number as a text; of an account its
    equity. `members` are the sessions that belong to it. Of `lost_track` the profit cannot be followed, because a
    fill has no price; it counts anew from where it is known again. `today` is what the broker says that an account
    made today, None of a portfolio. `unknown` says whose profit is not known, empty when all are.
    """

    profits: Mapping[str, Money]
    members: frozenset[str]
    lost_track: frozenset[str] = frozenset()
    today: Money | None = None
    unknown: str = ""
    currency: str = field(default="USD", kw_only=True)


def market_day(limits: JointLimits, now: Nanos) -> Stretch:
    """Return the market day of a moment; where the calendar does not know it, the day of UTC."""
    day = market_hours(limits.market_hours).day_at(now)
    if day is not None:
        return day
    opened_at = now // _UTC_DAY * _UTC_DAY
    return Stretch(Nanos(opened_at), Nanos(opened_at + _UTC_DAY))


def followed(marks: JointMarks | None, scope: str, figures: Figures, day: Stretch) -> JointMarks:
    """Return the marks after a look at the figures of a moment in this market day."""
    if marks is None:
        marks = JointMarks(scope, day.opened_at)
    known = {
        member: profit
        for member, profit in marks.profits.items()
        if member in figures.members and member not in figures.lost_track
    }
    if figures.unknown:
        # whoever joins is counted from now on, and nothing else moves
        joined = {member: _text(profit) for member, profit in figures.profits.items() if member not in known}
        told = {TODAY: marks.profits[TODAY]} if TODAY in marks.profits else {}
        return _changed(marks, profits={**joined, **known, **told})
    before = marks.gain
    more = sum((profit - Decimal(known[key]) for key, profit in figures.profits.items() if key in known), Decimal(0))
    gain = Money(plain(before + more))
    profits = {**known, **{key: _text(profit) for key, profit in figures.profits.items()}}
    if figures.today is None:
        day_start = Money(max(before, gain)) if day.opened_at > marks.day_opened_at else marks.day_start
    else:
        day_start = _day_start_of_account(marks, figures.today, Decimal(gain - before), day)
        profits[TODAY] = _text(figures.today)
    return _changed(
        marks,
        day_opened_at=max(day.opened_at, marks.day_opened_at),
        day_start=day_start,
        peak=Money(max(marks.peak, gain)),
        gain=gain,
        profits=profits,
    )


def continued(marks: JointMarks | None, limits: JointLimits, created_at: Nanos) -> JointMarks | None:
    """Return the marks from which a portfolio that was created at `created_at` counts; 0 of an account.

    Those of one of the same name that was removed count on the market day on which it is created again.
    """
    if marks is None or not created_at or marks.day_opened_at >= market_day(limits, created_at).opened_at:
        return marks
    return None


def _day_start_of_account(marks: JointMarks, today: Money, gained: Decimal, day: Stretch) -> Money:
    """Return from which profit of the broker's day the loss counts; `gained` is the equity's since the last look.

    On a new market day it is what the broker tells now, except for what was lost since the last look.
    """
    if day.opened_at > marks.day_opened_at:
        return Money(plain(today - min(gained, _NONE)))
    if TODAY not in marks.profits:
        return marks.day_start
    before = Decimal(marks.profits[TODAY])
    moved = today - before
    jump = moved - gained
    # A deposit or a withdrawal moves the equity and hardly the profit of the day, a new day of the broker does the
    # reverse. A fall below zero is a loss, although the equity that goes with it has not been told yet.
    is_jump = 2 * abs(jump) >= abs(before) and 2 * abs(moved) >= abs(jump)
    is_anew = is_jump and (jump > 0 < moved or (jump < 0 and moved < 0 <= today))
    return Money(plain(marks.day_start + jump)) if is_anew else marks.day_start


def rearmed(marks: JointMarks, figures: Figures, at: Nanos) -> JointMarks:
    """Return the marks of which losses count from now on; a person said so at `at`."""
    start = marks.gain if figures.today is None else figures.today
    return replace(marks, day_start=start, peak=marks.gain, armed_at=at)


def reached(limits: JointLimits, marks: JointMarks, figures: Figures) -> str | None:
    """Return which limit is reached, None when none is, or when that is not known."""
    if figures.unknown:
        return None
    currency = figures.currency
    lost, fallen = lost_today(marks, figures), marks.peak - marks.gain
    if limits.max_daily_loss is not None and lost >= limits.max_daily_loss:
        return f"max_daily_loss {limits.max_daily_loss} {currency} is reached: {lost:.2f} lost this market day"
    if limits.max_drawdown is not None and fallen >= limits.max_drawdown:
        return f"max_drawdown {limits.max_drawdown} {currency} is reached: {fallen:.2f} below the highest profit"
    return None


def lost_today(marks: JointMarks, figures: Figures) -> Decimal:
    """Return how much was lost since the open of the market day, negative for a profit."""
    return marks.day_start - (marks.gain if figures.today is None else figures.today)


def used(limits: JointLimits, marks: JointMarks | None, figures: Figures | None) -> dict[str, str]:
    """Return of each limit on losses that is set how much is used, in words; unknown where the profit is."""
    found: dict[str, str] = {}
    is_known = marks is not None and figures is not None and not figures.unknown
    for name, limit in (("max_daily_loss", limits.max_daily_loss), ("max_drawdown", limits.max_drawdown)):
        if limit is None:
            continue
        if not is_known or marks is None or figures is None:
            found[name] = "unknown"
            continue
        loss = lost_today(marks, figures) if name == "max_daily_loss" else marks.peak - marks.gain
        found[name] = f"{max(loss, Decimal(0)):.2f}"
    return found


def _changed(marks: JointMarks, **changes: object) -> JointMarks:
    """Return the same object where nothing has changed, so that nothing is written again."""
    made = replace(marks, **changes)  # type: ignore[arg-type]
    return marks if made == marks else made


def _text(amount: Money) -> str:
    return f"{plain(amount):f}"
