"""What a trader that begins anew knows: rows of the database into the first event of its life."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field

from tradeproc.domain.book import Fill, FillKind, Position
from tradeproc.domain.fills import standing
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.market_hours import Stretch
from tradeproc.domain.orders import Order
from tradeproc.domain.roll_steps import Roll
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.tally import NEVER, LossMarks, tally_of
from tradeproc.domain.units import Nanos
from tradeproc.engine.effects import KeepLatch
from tradeproc.engine.events import Started, TradingState
from tradeproc.engine.external import KEPT_EXTERNALS
from tradeproc.engine.latched_by import EXTERNAL
from tradeproc.engine.loss_watch import KnownLosses
from tradeproc.engine.state import Holding
from tradeproc.engine.turn import after_fill
from tradeproc.protocol import scopes


@dataclass(frozen=True, slots=True)
class KnownRows:
    """The rows of a session: its newest orders and those still open, oldest first, and all its fills.

    `saved_at` is when its position was written last, None if it never was. `claimed` are the broker's ids of its
    orders with ours. `latches` are those that count for it, `rolls` are its rolls at their newest steps.
    """

    orders: Sequence[Order] = ()
    open_orders: Sequence[Order] = ()
    fills: Sequence[Fill] = ()
    saved_at: Nanos | None = None
    claimed: Mapping[str, str] = field(default_factory=dict)
    latches: Sequence[KeepLatch] = ()
    rolls: Sequence[Roll] = ()


def remembered(session: int, spec: SessionSpec, rows: KnownRows, switch_off: Collection[str]) -> Started:
    """Return our copy: open orders and the newest ended ones, and the position that all fills of the session make.

    Args:
        session: its number.
        spec: its specification; fills of other contracts do not count.
        rows: what the database knows.
        switch_off: who sets a latch that keeps the strategy from being called.
    """
    # what has ended in a contract that the session has left cannot be filled any more
    newest = [each for each in rows.orders if each.contract == spec.contract or not each.state.is_terminal]
    known = {order.id for order in newest}
    older = [order for order in rows.open_orders if order.id not in known]
    held = [fill for fill in standing(rows.fills) if fill.contract == spec.contract]
    return Started(
        (*older, *newest),
        # a session that has rolled into its contract was flat there before
        _position(spec, held) if held or rows.rolls or rows.saved_at is not None else None,
        claimed=rows.claimed,
        saved_at=rows.saved_at or Nanos(0),
        externals=tuple(fill for fill in held if fill.kind is FillKind.EXTERNAL)[-KEPT_EXTERNALS:],
        strategy_off=_latched_by(switch_off, rows.latches, session),
        latched=_latched_by((EXTERNAL,), rows.latches, session),
        roll=next((each for each in reversed(rows.rolls) if not each.step.is_over), None),
        is_adopted=_is_adopted(held),
    )


def known_losses(
    fills: Sequence[Fill], marks: LossMarks | None, day: Stretch | None, *, rearmed_at: Nanos, latched: str
) -> KnownLosses:
    """Return what loss limits count.

    Args:
        fills: all of the session.
        marks: those saved last, None when there are none.
        day: the present market day, None where no calendar knows it.
        rearmed_at: when a person lifted the newest latch of a loss limit, 0 for never.
        latched: why a loss limit has latched the session, empty when none has.
    """
    armed_at = NEVER if marks is None else marks.armed_at
    earlier = [fill for fill in fills if day is not None and fill.at < day.opened_at]
    return KnownLosses(tally_of(fills, armed_at), tally_of(earlier, armed_at), marks, rearmed_at, latched)


def _position(spec: SessionSpec, fills: Sequence[Fill]) -> Position:
    holding = Holding()
    for fill in fills:
        holding = after_fill(holding, fill)
    return Position(spec.account, spec.contract, holding.quantity, holding.average)


def _is_adopted(fills: Iterable[Fill]) -> bool:
    """Tell whether a change by no order of ours is part of the position that the fills make."""
    held, is_adopted = 0, False
    for fill in fills:
        held += fill.quantity * fill.side.sign
        is_adopted = held != 0 and (is_adopted or fill.kind is FillKind.EXTERNAL)
    return is_adopted


def _latched_by(rules: Collection[str], latches: Sequence[KeepLatch], session: int) -> str:
    """Return why a rule of an earlier life latched the session, empty when none did or a person has resumed since."""
    scope = scopes.of_session(session)
    closed = [latch for latch in latches if latch.scope == scope and latch.state is not TradingState.ACTIVE]
    return "".join(latch.reason or "no reason is known" for latch in closed if latch.by in rules)
