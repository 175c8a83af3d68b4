"""Fills of ours that the broker has not told yet, though something else tells that they happened.

The legs of a bracket begin to work when its entry fills, and an order that the market trades through is filled by a
broker that works. So an open order of which one of both is known has filled, whatever a list that is some seconds old
or a frame that is late says of it: a position that differs by no more than what is open of it is not a stranger's.
"""

from tradeproc.engine.state import State


def explain(state: State, missing: int) -> bool:
    """Tell whether an order that must have filled explains signed contracts that the broker has and we do not.

    Never while a closing is under way, which waits for our count and the broker's to agree.
    """
    engine = state.engine
    if engine.closing is not None:
        return False
    filled = {order.parent for order in engine.open_orders if order.state.is_working}
    filled |= engine.traded_through.passed.keys()
    return any(
        order.id in filled and 0 < missing * order.side.sign <= order.quantity - order.filled
        for order in engine.open_orders
    )
