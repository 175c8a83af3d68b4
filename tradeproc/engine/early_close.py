"""A market that turns out to be closed although the calendar has it open; for sessions that are to be flat.

Two signs: the stream of bars is up and tells nothing for `silent_minutes`, or the broker rejects an order because the
market is closed. Then people hear of it, and the position is closed as soon as the broker takes an exit. While it
takes none, the exit is tried seldom, and again at once when bars come.
"""

import re

from tradeproc.domain.orders import Order, OrderSource, OrderState
from tradeproc.domain.schedule import Schedule
from tradeproc.domain.units import MINUTE, Nanos
from tradeproc.engine import closing
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.events import MarketHoursReceived, StreamKind
from tradeproc.engine.state import BrokerConfirmed
from tradeproc.engine.turn import Turn

_SAYS_CLOSED = re.compile(
    r"\b(market|exchange|product|session|trading)\b[^.;:]{0,30}\b(closed|not open|halted|suspended)\b"
    r"|\b(closed|halted) (market|exchange|session)\b|\boutside (of )?(the )?(regular )?(market|trading) hours\b",
    re.IGNORECASE,
)


def says_closed(reason: str) -> bool:
    """Tell whether a broker's reason for a rejection is that the market is closed."""
    return _SAYS_CLOSED.search(reason) is not None


def rejected(turn: Turn, order: Order) -> None:
    """Note that the broker rejected an order because the market is closed, if it did so now."""
    if order.state is OrderState.REJECTED and order.changed_at == turn.now and says_closed(order.reason):
        turn.state.broker.said_closed = order.reason


def hours_told(turn: Turn, event: MarketHoursReceived) -> None:
    """Note whether the exchange's calendar has the market open, and since when we know."""
    turn.state.broker.calendar_open_since = turn.now if event.is_open else None


def heard(turn: Turn) -> None:
    """Take back what we thought: bars come, so the market trades."""
    broker, engine = turn.state.broker, turn.state.engine
    broker.traded_at, broker.said_closed = turn.now, ""
    if engine.alarms and AlarmName.CLOSED_EARLY.value in engine.alarms:
        turn.clear(AlarmName.CLOSED_EARLY)
        if engine.closing is not None:
            engine.closing.not_before = turn.now


def on_time(turn: Turn) -> None:
    """Close the position of a session that is to be flat when its market turns out to be closed."""
    schedule, engine = turn.state.setup.spec.schedule, turn.state.engine
    if schedule is None or not schedule.flatten_at_end:
        return
    if not engine.holding.quantity and not engine.open_orders:
        turn.clear(AlarmName.CLOSED_EARLY)
        return
    why = _why_closed(turn.state.broker, schedule, turn.now)
    if why:
        turn.alarm(AlarmName.CLOSED_EARLY, f"{why}, although the calendar has the market open; look at the broker")
        closing.begin(turn, OrderSource.TRADER, why)


def _why_closed(broker: BrokerConfirmed, schedule: Schedule, now: Nanos) -> str:
    if broker.calendar_open_since is None:
        return ""
    if broker.said_closed:
        return f"the broker says that the market is closed ({broker.said_closed})"
    up_since = broker.market_up_since
    if broker.streams[StreamKind.MARKET] or up_since is None or not schedule.silent_minutes:
        return ""
    silent = now - max(broker.traded_at, broker.calendar_open_since, up_since)
    return f"no bar for {silent // MINUTE} min" if silent >= schedule.silent_minutes * MINUTE else ""
