"""When the broker is asked for orders by itself: for what is in doubt, what is overdue, what rests, and now and then.

The most urgent reason counts. Each says how long after the last question it asks, and for how many seconds the
question may wait at the link, so that sessions of one account share an answer.
"""

from tradeproc.domain.orders import Order, OrderState, OrderType
from tradeproc.domain.units import SECOND
from tradeproc.engine import lost_legs, resting, unpriced
from tradeproc.engine.limits import is_dormant
from tradeproc.engine.state import Waiting
from tradeproc.engine.turn import ROUTINE_WITHIN, Turn

Reason = tuple[str, int, float]
"""Why orders are asked for, how long after the last question, and how many seconds the new one may wait."""

DISPUTED_AFTER = 60 * SECOND
"""After so long the broker contradicts itself if it still shows fewer contracts filled than were booked."""
_TURNS_UP_WITHIN = 60 * SECOND
_ROUTINE: Reason = ("every 5 minutes", 300 * SECOND, ROUTINE_WITHIN)


def on_time(turn: Turn) -> None:
    """Ask for orders when something is due; called when time passes."""
    reason, wait, within = _most_urgent(turn)
    if turn.state.broker.orders.is_due(turn.now, wait):
        turn.ask_orders(reason, within=within)


def _most_urgent(turn: Turn) -> Reason:
    broker, engine = turn.state.broker, turn.state.engine
    if broker.orders.again:
        return broker.orders.again, 1 * SECOND, 0.0
    if not broker.has_orders:
        return "start", 2 * SECOND, 0.0
    if engine.pending and any(pending.waiting is Waiting.RESOLVE for pending in engine.pending.values()):
        is_awaited = lost_legs.is_awaited(turn.state, turn.now)
        return "an order's fate is unknown", lost_legs.ASK_EVERY if is_awaited else 3 * SECOND, 0.0
    if not engine.open_ids:
        return _doubted(turn) or _ROUTINE
    if lost_legs.is_awaited(turn.state, turn.now):
        return "a leg of a filled entry does not work", lost_legs.ASK_EVERY, 0.0
    found = (_doubted(turn), _overdue(turn), resting.due(turn.state, turn.now), _ROUTINE)
    return min((each for each in found if each is not None), key=lambda each: each[1])


def _doubted(turn: Turn) -> Reason | None:
    """Return why the last pictures leave a doubt that an answer may settle."""
    broker = turn.state.broker
    differs = broker.suspicion
    if (
        differs is not None
        and turn.now - differs.since >= SECOND
        and broker.orders_known_number <= differs.orders_number
    ):
        return "the position differs", 2 * SECOND, 0.0
    if broker.unpriced:
        return "a fill has no price", unpriced.ASK_EVERY, 0.0
    if broker.vanished:
        return "a stop ended by no order of ours", 2 * SECOND, 0.0
    if broker.shrunk and any(turn.now - shrunk.since < DISPUTED_AFTER for shrunk in broker.shrunk.values()):
        return "fewer contracts are filled than were booked", 5 * SECOND, 0.0
    if broker.foreign and broker.foreign.keys() - broker.told_foreign:
        return "an order is not where it should be", 3 * SECOND, 0.0
    if broker.missing:
        return "an order is not listed", 5 * SECOND, 0.0
    if 0 <= turn.now - broker.given_up_at < _TURNS_UP_WITHIN:
        return "an order that was given up may turn up", 5 * SECOND, 1.0
    return None


def _overdue(turn: Turn) -> Reason | None:
    """Return that the broker should have told something by now."""
    late = [turn.now - order.changed_at for order in turn.state.engine.open_orders if _expects_news(turn, order)]
    if late:
        return "an order should have moved", 5 * SECOND if min(late) < 60 * SECOND else 30 * SECOND, 0.0
    return None


def _expects_news(turn: Turn, order: Order) -> bool:
    """Tell whether the broker should have said something about an order by now; a quiet stream is not trusted."""
    if turn.now - order.changed_at < 5 * SECOND:
        return False
    if order.in_flight is not None or order.state is OrderState.PRE_SENT or order.type is OrderType.MARKET:
        return True
    return order.state is OrderState.PENDING and not is_dormant(turn.state, order)
