"""No entry works while trading is closed: what would fill after a halt is an entry too, whoever closed trading.

A person's halt cancels at once (`commands.py`). Every other latch ends here: that of a change by others, of a failed
strategy, of a roll, of a loss, and one that a trader finds in the database when it starts. An entry stays asked to be
cancelled until it is over; where the broker refuses the cancel it is asked again, at most every 5 s.
"""

from tradeproc.domain.orders import OrderRole, OrderSource
from tradeproc.domain.units import SECOND
from tradeproc.engine import sending
from tradeproc.engine.events import TradingState
from tradeproc.engine.turn import Turn

AGAIN = 5 * SECOND


def review(turn: Turn) -> None:
    """Cancel entries that still work although trading is not active."""
    engine = turn.state.engine
    if not engine.open_ids or engine.trading is TradingState.ACTIVE:
        return
    for order in engine.open_orders:
        if order.role is not OrderRole.ENTRY or order.in_flight == "cancel" or order.id in engine.cancels_wanted:
            continue
        if turn.has_latched or turn.now - order.changed_at >= AGAIN:
            sending.cancel(turn, order, OrderSource.TRADER, f"trading is {engine.trading.value}")
