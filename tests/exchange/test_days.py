"""The end of a trading day: DAY orders expire by the market hours of their contract; balances are kept."""

from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal

import pytest

from tests.exchange.tickets import ACCOUNT, CASH
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.market_hours import Changes, market_hours
from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.domain.units import Contracts, Nanos, Ticks, from_iso, iso
from tradeproc.exchange.days import day_of
from tradeproc.exchange.exchange import Exchange, Rules
from tradeproc.exchange.orders import (
    Clock,
    DayStart,
    DayUpdate,
    Declined,
    DeclineReason,
    ExchangeOrder,
    GroupKind,
    MarketTrade,
    Moment,
    OrderStatus,
    OrderUpdate,
    Placed,
    Replacement,
    Ticket,
    TicketGroup,
)


def at(text: str) -> Moment:
    moment = from_iso(text)
    return Moment(moment, moment)


def trade(contract: str, price: int) -> MarketTrade:
    return MarketTrade(contract, Ticks(price), Contracts(100))


class Days:
    """An exchange of some contracts whose last price is 19200 ticks."""

    def __init__(self, *contracts: str) -> None:
        self.exchange = Exchange(contracts, {ACCOUNT: CASH}, Rules())

    def place(self, contract: str, now: str, tif: TimeInForce = TimeInForce.DAY) -> str:
        """MarketTrade once and place a limit far below, and return its id."""
        self.exchange.step(trade(contract, 19_200), at(now))
        order = Ticket(contract, Side.BUY, Contracts(1), OrderType.LIMIT, Ticks(100), time_in_force=tif)
        placed = self.exchange.place(ACCOUNT, TicketGroup(GroupKind.INDEPENDENT, (order,)), at(now))
        assert isinstance(placed, Placed)
        return placed.orders[0].id

    def order(self, order_id: str) -> ExchangeOrder:
        found = self.exchange.order(order_id)
        assert found is not None
        return found

    def status_at(self, order_id: str, now: str) -> OrderStatus:
        self.exchange.step(Clock(), at(now))
        return self.order(order_id).status


@pytest.mark.parametrize(
    ("contract", "placed", "still_open", "over"),
    [
        # Chicago is six hours behind UTC in winter, five in summer
        ("ESH24", "2024-01-08T15:00:00Z", "2024-01-08T21:59:59Z", "2024-01-08T22:00:00Z"),
        ("ESU24", "2024-07-02T15:00:00Z", "2024-07-02T20:59:59Z", "2024-07-02T21:00:00Z"),
        # the day before Independence Day the exchange closes at 12:15
        ("ESU24", "2024-07-03T15:00:00Z", "2024-07-03T17:14:59Z", "2024-07-03T17:15:00Z"),
        # placed on the evening of Sunday: it is Monday's
        ("ESH24", "2024-01-07T23:30:00Z", "2024-01-08T21:59:59Z", "2024-01-08T22:00:00Z"),
        # placed after the close of Friday: it is Monday's too
        ("ESH24", "2024-01-05T22:30:00Z", "2024-01-08T21:59:59Z", "2024-01-08T22:00:00Z"),
        # corn closes at 13:20
        ("ZCH24", "2024-01-08T15:00:00Z", "2024-01-08T19:19:59Z", "2024-01-08T19:20:00Z"),
        # before all that the calendar knows: the usual close
        ("ESH14", "2014-01-08T15:00:00Z", "2014-01-08T21:59:59Z", "2014-01-08T22:00:00Z"),
    ],
)
def test_a_day_order_expires_at_the_close_of_its_contract(
    contract: str, placed: str, still_open: str, over: str
) -> None:
    market = Days(contract)
    order = market.place(contract, placed)

    assert market.status_at(order, still_open) is OrderStatus.WORKING
    assert market.status_at(order, over) is OrderStatus.EXPIRED
    assert market.order(order).closed_at == from_iso(over)


def test_the_close_of_one_contract_leaves_the_orders_of_another() -> None:
    market = Days("ESH24", "ZCH24")
    equity, corn = (market.place(contract, "2024-01-08T15:00:00Z") for contract in ("ESH24", "ZCH24"))
    lasting = market.place("ZCH24", "2024-01-08T15:00:00Z", TimeInForce.GTC)

    market.exchange.step(Clock(), at("2024-01-08T19:20:00Z"))

    assert [market.order(each).status for each in (equity, corn, lasting)] == [
        OrderStatus.WORKING,
        OrderStatus.EXPIRED,
        OrderStatus.WORKING,
    ]


def test_the_day_ends_before_the_trade_that_comes_after_the_close() -> None:
    market = Days("ESH24")
    order = market.place("ESH24", "2024-01-08T15:00:00Z")

    market.exchange.step(trade("ESH24", 50), at("2024-01-08T23:00:00Z"))

    assert (market.order(order).status, market.order(order).filled) == (OrderStatus.EXPIRED, 0)


def test_an_order_that_is_placed_after_the_close_belongs_to_the_next_day_even_if_nothing_happened_between() -> None:
    market = Days("ESH24")
    before = market.place("ESH24", "2024-01-08T15:00:00Z")
    resting = Ticket("ESH24", Side.BUY, Contracts(1), OrderType.LIMIT, Ticks(100))

    placed = market.exchange.place(
        ACCOUNT, TicketGroup(GroupKind.INDEPENDENT, (resting,)), at("2024-01-08T23:30:00Z")
    )

    assert isinstance(placed, Placed)
    after = placed.orders[0].id
    assert (market.order(before).status, market.order(after).status) == (OrderStatus.EXPIRED, OrderStatus.WORKING)
    assert market.status_at(after, "2024-01-08T23:30:01Z") is OrderStatus.WORKING
    assert market.status_at(after, "2024-01-09T22:00:00Z") is OrderStatus.EXPIRED


@pytest.mark.parametrize("call", ["cancel", "replace"])
def test_an_order_whose_day_is_over_is_neither_cancelled_nor_changed(call: str) -> None:
    market = Days("ESH24")
    order, now = market.place("ESH24", "2024-01-08T15:00:00Z"), at("2024-01-08T22:00:00Z")

    answer = (
        market.exchange.cancel(order, now)
        if call == "cancel"
        else market.exchange.replace(order, Replacement(limit=Ticks(101)), now)
    )

    assert isinstance(answer, Declined)
    assert (answer.why, market.order(order).status) == (DeclineReason.NOT_OPEN, OrderStatus.EXPIRED)
    # a declined call has no place for what happened before it: the next one tells it
    told = market.exchange.step(Clock(), now)
    assert [update.order.id for update in told if isinstance(update, OrderUpdate)] == [order]


@pytest.fixture
def early_close() -> Iterator[None]:
    hours = market_hours("cme_equity")
    before = hours.changes
    yield
    hours.change(before)


def test_an_early_close_that_a_person_writes_down_on_the_day_is_heeded(early_close: None) -> None:
    market = Days("ESH24")
    order = market.place("ESH24", "2024-01-08T15:00:00Z")

    market_hours("cme_equity").change(Changes(early_close={date(2024, 1, 8): time(12)}))
    market.exchange.heed_market_hours(at("2024-01-08T15:00:00Z"))

    assert market.status_at(order, "2024-01-08T17:59:59Z") is OrderStatus.WORKING
    assert market.status_at(order, "2024-01-08T18:00:00Z") is OrderStatus.EXPIRED


def test_an_early_close_that_is_written_down_after_it_ends_the_day_at_once(early_close: None) -> None:
    market = Days("ESH24")
    order = market.place("ESH24", "2024-01-08T18:30:00Z")

    market_hours("cme_equity").change(Changes(early_close={date(2024, 1, 8): time(12)}))
    market.exchange.heed_market_hours(at("2024-01-08T18:31:00Z"))

    assert market.status_at(order, "2024-01-08T18:31:00Z") is OrderStatus.EXPIRED
    after = market.place("ESH24", "2024-01-08T23:30:00Z")
    assert market.status_at(after, "2024-01-09T21:59:59Z") is OrderStatus.WORKING


def test_the_money_at_the_start_of_a_day_is_kept_and_told() -> None:
    market = Days("ESH24")
    order = Ticket("ESH24", Side.BUY, Contracts(1), OrderType.MARKET)
    market.exchange.step(trade("ESH24", 19_200), at("2024-01-08T15:00:00Z"))
    market.exchange.place(ACCOUNT, TicketGroup(GroupKind.INDEPENDENT, (order,)), at("2024-01-08T15:00:00Z"))
    market.exchange.step(trade("ESH24", 19_204), at("2024-01-08T16:00:00Z"))
    assert market.exchange.day_start(ACCOUNT) == DayStart(CASH, Decimal(0))  # type: ignore[arg-type]

    told = market.exchange.step(trade("ESH24", 19_300), at("2024-01-08T23:00:00Z"))

    start = DayStart(CASH, Decimal(50))  # type: ignore[arg-type]
    assert told == (DayUpdate(market.exchange.revision, date(2024, 1, 9), {ACCOUNT: start}),)
    assert market.exchange.day_start(ACCOUNT) == start


def test_a_market_that_begins_again_ends_no_day_by_that() -> None:
    market = Days("ESH24")
    order = market.place("ESH24", "2024-01-09T15:00:00Z")

    market.exchange.forget_market()

    assert market.status_at(order, "2024-01-08T15:00:00Z") is OrderStatus.WORKING
    assert market.status_at(order, "2024-01-08T22:00:00Z") is OrderStatus.EXPIRED


def test_the_end_of_a_day_is_after_every_moment_of_it() -> None:
    hours = market_hours(instrument_of("ESH24").market_hours)
    for hour in range(24 * 400):
        moment = Nanos(from_iso("2024-01-01T00:00:00Z") + hour * 3_600_000_000_000)
        assert day_of(hours, moment)[1] > moment, iso(moment)
