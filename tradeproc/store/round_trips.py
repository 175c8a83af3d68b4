"""From fills to round-trip trades: first in, first out.

An entry's contracts are closed by later fills of the other side, oldest first; what a closing fill has too much
opens the other direction (a reversal). Contracts of different codes never meet. A partial close gives a trade of
its own for each pair of entry and exit fill. What the broker took back never was: a reversal and the fills that it
undoes make no trades. Pure; `procs/jobs/main.py` runs it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from tradeproc.domain.book import Fill, Trade
from tradeproc.domain.fills import standing
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.units import Contracts, Money


def round_trips(fills: Sequence[Fill]) -> list[Trade]:
    """Return the round trips of one session's fills, given in the order of booking, in the order of closing.

    Raises:
        UnknownInstrument: a fill's contract is of no known instrument.
    """
    open_fills: dict[str, deque[Fill]] = {}
    trades: list[Trade] = []
    for fill in standing(fills):
        waiting = open_fills.setdefault(fill.contract, deque())
        left: int = fill.quantity
        while left and waiting and waiting[0].side is not fill.side:
            entry = waiting.popleft()
            closed = min(left, entry.quantity)
            trades.append(_trade(entry, fill, Contracts(closed)))
            left -= closed
            if closed < entry.quantity:
                waiting.appendleft(replace(entry, quantity=Contracts(entry.quantity - closed)))
        if left:
            waiting.append(replace(fill, quantity=Contracts(left)))
    return trades


def _trade(entry: Fill, exit_: Fill, quantity: Contracts) -> Trade:
    point_value = instrument_of(entry.contract).point_value
    profit = None
    if entry.price is not None and exit_.price is not None:
        profit = Money((exit_.price - entry.price) * entry.side.sign * quantity * point_value)
    return Trade(
        session=entry.session,
        contract=entry.contract,
        side=entry.side,
        quantity=quantity,
        entry_price=entry.price,
        exit_price=exit_.price,
        entered_at=entry.at,
        exited_at=exit_.at,
        profit=profit,
        entry_order=entry.order_id,
        exit_order=exit_.order_id,
    )
