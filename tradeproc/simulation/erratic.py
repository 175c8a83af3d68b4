"""A strategy that does anything a strategy may do, decided by its seed and the bar alone.

What it decides does not depend on what happened before, so that a life with fewer troubles stays like the one with
all of them.
"""

import random
from dataclasses import dataclass

from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.units import SECOND, Contracts
from tradeproc.strategies.contract import (
    NOTHING,
    CancelOrders,
    ClosePosition,
    Decision,
    ModifyOrders,
    OrderChange,
    SubmitBracket,
    SubmitOrder,
    View,
)


class Erratic:
    """Brackets most of the time; single orders, changes, cancels, exits and closes now and then."""

    name = "erratic"

    @dataclass(frozen=True)
    class Arguments:
        """None."""

    def __init__(self, seed: int, largest: int) -> None:
        self._seed, self._largest = seed, largest
        self.is_resting = False

    def warmup(self, _arguments: object) -> int:
        """Return how many bars it wants."""
        return 2

    def start(self, _arguments: object) -> int:
        """Return its state, which it does not use."""
        return 0

    def on_candle(self, view: View, state: int, _arguments: object) -> tuple[Decision, int]:
        """Decide on a bar."""
        if self.is_resting:
            return NOTHING, state
        chance = random.Random(self._seed * 1_000_003 + view.candle.opened_at // SECOND)
        return self._decide(view, chance), state

    def _decide(self, view: View, chance: random.Random) -> Decision:
        close, side = view.candle.close, chance.choice((Side.BUY, Side.SELL))
        quantity = Contracts(chance.randint(1, self._largest))
        near, far = close - side.sign * chance.uniform(1, 9), close + side.sign * chance.uniform(1, 9)
        what = chance.randrange(10)
        if what <= 4:
            kind, limit, stop = OrderType.MARKET, None, None
            if what == 3:
                kind, limit = OrderType.LIMIT, close - side.sign * chance.uniform(0, 2)
            elif what == 4:
                kind, stop = OrderType.STOP, close + side.sign * chance.uniform(0.5, 2)
            target = far if chance.random() < 0.6 else None
            return SubmitBracket(
                side, quantity, stop_loss=near, profit_target=target, type=kind, limit=limit, stop=stop
            )
        if what == 5:
            return SubmitOrder(side, quantity, type=OrderType.LIMIT, limit=near)
        if what == 6 and view.orders:
            order = chance.choice(view.orders)
            wanted = Contracts(chance.randint(1, self._largest)) if chance.random() < 0.3 else None
            return ModifyOrders((OrderChange(order.id, quantity=wanted, stop=near, limit=near),))
        if what == 7 and view.orders:
            return CancelOrders((chance.choice(view.orders).id,))
        if what == 8 and view.position:
            leaving = Side.SELL if view.position > 0 else Side.BUY
            return SubmitOrder(leaving, quantity, role=OrderRole.EXIT)
        if what == 9 and view.position:
            return ClosePosition("enough")
        return NOTHING
