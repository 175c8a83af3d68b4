"""The market: it plays no more in one go than is good, and a tape begins again without taking back what was."""

from decimal import Decimal
from pathlib import Path

import pytest

from tradeproc.domain.orders import OrderType, Side
from tradeproc.domain.units import MINUTE, SECOND, Contracts, Money, Nanos, Ticks, from_iso
from tradeproc.exchange.orders import GroupKind, Placed, Ticket, TicketGroup
from tradeproc.localbroker.market import MOST_TICKS, Market, MarketSettings, NotFlat
from tradeproc.localbroker.tape import Tape, generated

ACCOUNT, CONTRACT = "SIM1F", "ESH24"
START = from_iso("2024-01-08T15:00:00Z")


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> Nanos:
        return Nanos(self.now)


def opened(clock: Clock, tape: Tape, journal: Path | None = None, *, speed: float = 60.0) -> Market:
    settings = MarketSettings({ACCOUNT: Money(Decimal(100_000))}, speed, history_minutes=1)
    return Market(tape, settings, journal=journal, wall=clock, monotonic=clock)


def ticket(kind: OrderType = OrderType.MARKET, limit: Ticks | None = None) -> TicketGroup:
    return TicketGroup(GroupKind.INDEPENDENT, (Ticket(CONTRACT, Side.BUY, Contracts(1), kind, limit),))


def test_a_market_that_is_too_fast_for_the_machine_waits_for_it() -> None:
    clock = Clock()
    tape = generated(CONTRACT, 7, START, 3600, ticks_per_second=20)
    market = opened(clock, tape, speed=3600)
    before = tape.index_after(market.played_until)
    clock.now += SECOND

    first = market.advance()

    assert MOST_TICKS <= first <= MOST_TICKS + 10
    assert before + first == tape.index_after(market.played_until)
    assert market.advance() == 0
    rest = 0
    while not market.is_over:
        clock.now += SECOND
        rest += market.advance()
    assert before + first + rest == len(tape)


def test_a_tape_begins_again_with_its_money_orders_and_ids_and_a_restart_goes_on_from_there(tmp_path: Path) -> None:
    clock, tape, journal = Clock(), generated(CONTRACT, 7, START, 1200), tmp_path / "journal"
    market = opened(clock, tape, journal)
    first = market.place(ACCOUNT, ticket())
    waiting = market.place(ACCOUNT, ticket(OrderType.LIMIT, Ticks(4)))
    assert isinstance(first, Placed) and isinstance(waiting, Placed)
    began = market.now().market
    clock.now += 30 * SECOND
    market.advance()
    assert market.is_over

    with pytest.raises(NotFlat, match="1 open orders and 1 open positions"):
        market.rewind()
    closed = market.rewind(is_closing=True)

    assert (closed, market.is_over) == ({"orders": 1, "positions": 1}, False)
    assert market.now().market == began == tape.first_at + MINUTE
    assert market.exchange.holdings(ACCOUNT) == []
    assert len(market.exchange.orders(ACCOUNT)) == 3
    assert len(market.bars(CONTRACT, 1, 99)) <= 2
    clock.now += SECOND
    market.advance()
    later = market.place(ACCOUNT, ticket())
    assert isinstance(later, Placed)
    assert later.orders[0].id not in {first.orders[0].id, waiting.orders[0].id}
    stood = market.played_until
    market.close()

    again = opened(clock, tape, journal)

    assert again.now().market == stood < tape.last_at
    assert len(again.exchange.orders(ACCOUNT)) == 4
    again.close()
