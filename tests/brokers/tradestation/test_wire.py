from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.brokers.tradestation.examples import PATIENT, bar_record, order_record, position_record
from tradeproc.brokers.contract import BrokerOrder, UnreadableRecord
from tradeproc.brokers.tradestation.market import read_bar, read_details
from tradeproc.brokers.tradestation.wire import (
    Foreign,
    Unreadable,
    add_positions,
    must_read_again,
    read_account,
    read_balance,
    read_list,
    read_order,
    read_position,
    read_positions,
)
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.book import Balance, Position
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderState
from tradeproc.domain.units import Contracts, Nanos, Price, from_iso

DONE: dict[str, Any] = {"ClosedDateTime": "2026-02-10T15:31:09Z"}
FULL = {"ExecQuantity": "2", "QuantityRemaining": "0", "ExecutionPrice": "5311.75"}
HALF = {"ExecQuantity": "1", "QuantityRemaining": "1", "ExecutionPrice": "5311.75"}


@pytest.mark.parametrize(
    ("record", "state", "filled"),
    [
        (order_record(Status="DON"), OrderState.PENDING, 0),
        (order_record(Status="OSO"), OrderState.PENDING, 0),
        (order_record(), OrderState.SUBMITTED, 0),
        (order_record(Status="STP", **DONE), OrderState.SUBMITTED, 0),
        (order_record(HALF, FilledPrice="5311.75"), OrderState.PARTIALLY_FILLED, 1),
        (order_record(HALF, Status="FPR"), OrderState.PARTIALLY_FILLED, 1),
        (order_record(FULL), OrderState.FILLED, 2),
        (order_record(FULL, Status="FLL", **DONE), OrderState.FILLED, 2),
        (order_record(Status="UCN"), OrderState.SUBMITTED, 0),
        (order_record(Status="OUT"), OrderState.CANCELLED, 0),
        (order_record(HALF, Status="FLP", **DONE), OrderState.CANCELLED, 1),
        (order_record(Status="EXP", **DONE), OrderState.EXPIRED, 0),
        (order_record(Status="REJ", RejectReason="EC601"), OrderState.REJECTED, 0),
        (order_record(Status="UCH"), OrderState.SUBMITTED, 0),
        (order_record(Status="UCH", **DONE), OrderState.PENDING, 0),
        (order_record(Status="XYZ"), OrderState.PENDING, 0),
    ],
)
def test_an_order_is_in_the_state_its_fills_and_status_say(
    record: dict[str, Any], state: OrderState, filled: int
) -> None:
    order = read_order(record)

    assert isinstance(order, BrokerOrder)
    assert (order.state, order.filled) == (state, filled)


def test_a_filled_order_carries_its_average_and_times() -> None:
    order = read_order(order_record(FULL, Status="FLL", FilledPrice="5311.75", **DONE))

    assert isinstance(order, BrokerOrder)
    assert order.average == Price(Decimal("5311.75"))
    assert order.opened_at == from_iso("2026-02-10T15:31:08Z")
    assert order.closed_at == from_iso("2026-02-10T15:31:09Z")


def test_an_end_without_a_price_of_its_fill_tells_no_price() -> None:
    for status in ("EXP", "OUT", "REJ", "CAN"):
        for price in ({"FilledPrice": "0"}, {"FilledPrice": None}, {"FilledPrice": ""}):
            order = read_order(order_record({"ExecQuantity": "2"}, Status=status, **price))

            assert isinstance(order, BrokerOrder)
            assert (order.filled, order.average) == (2, None)


@pytest.mark.parametrize(
    ("leg", "fields", "average"),
    [
        ({"ExecutionPrice": "0"}, {"Status": "FLL", "OrderType": "Market", "LimitPrice": None}, "0"),
        ({"ExecutionPrice": "0"}, {"Status": "FLL", "LimitPrice": "0.5"}, "0"),
        ({"ExecutionPrice": "-37.63"}, {"Status": "FLL", "FilledPrice": "-37.63", "LimitPrice": "1"}, "-37.63"),
        ({"ExecutionPrice": "-37.63"}, {"Status": "FLL", "FilledPrice": "0", "LimitPrice": "1"}, "-37.63"),
        ({"ExecutionPrice": "0"}, {"Status": "OUT", "LimitPrice": "0"}, "0"),
        ({"ExecutionPrice": "0"}, {"Status": "OUT", "LimitPrice": "5312"}, None),
        ({"ExecutionPrice": "0", "BuyOrSell": "Sell"}, {"Status": "FLL", "LimitPrice": "5312"}, None),
        ({"ExecutionPrice": "0"}, {"Status": "ACK"}, None),
        ({}, {"Status": "FLL", "FilledPrice": "0"}, None),
    ],
)
def test_zero_is_the_price_of_a_fill_only_where_the_record_says_so(
    leg: dict[str, Any], fields: dict[str, Any], average: str | None
) -> None:
    order = read_order(order_record({"ExecQuantity": "2", **leg}, **fields))

    assert isinstance(order, BrokerOrder)
    assert order.average == (None if average is None else Decimal(average))


@pytest.mark.parametrize("price", ["0", "-1.25", "-0.0"])
def test_a_limit_and_a_stop_at_or_below_zero_are_prices(price: str) -> None:
    limit = read_order(order_record(LimitPrice=price))
    stop = read_order(order_record(OrderType="StopMarket", LimitPrice="0", StopPrice=price))

    assert isinstance(limit, BrokerOrder)
    assert limit.limit == Decimal(price)
    assert isinstance(stop, BrokerOrder)
    assert (stop.limit, stop.stop) == (None, Decimal(price))


def test_a_position_and_a_bar_at_or_below_zero_are_read() -> None:
    position = read_position(position_record(AveragePrice="0", TotalCost="0"))
    bar = read_bar(bar_record(Open="1", High="1", Low="-40.32", Close="-37.63"), "CLK20", 1)

    assert isinstance(position, Position)
    assert position.average == 0
    assert isinstance(bar, Candle)
    assert (bar.low, bar.close) == (-40.32, -37.63)


def test_a_number_with_separators_of_thousands_is_that_number() -> None:
    order = read_order(order_record(FULL, Status="FLL", FilledPrice="5,300.25", LimitPrice="12,345,678"))

    assert isinstance(order, BrokerOrder)
    assert (order.average, order.limit) == (Decimal("5300.25"), Decimal(12_345_678))


@pytest.mark.parametrize("price", ["5300,25", "5,30.25", "1_000", "5300.25 USD", "NaN", "1e400", "9" * 40, {"a": 1}])
def test_a_price_that_is_none_makes_its_order_unreadable_and_never_one_without_a_price(price: object) -> None:
    order = read_order(order_record(LimitPrice=price))

    assert isinstance(order, UnreadableRecord)
    assert (order.broker_id, order.contract) == ("1000000001", "ESH26")
    assert "LimitPrice" in order.reason


@pytest.mark.parametrize(
    "written",
    ["2026-02-10T15:31:09", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2300-01-01T00:00:00Z", "soon", 12345],
)
def test_a_time_that_cannot_be_is_unknown_and_said(written: object) -> None:
    order = read_order(order_record(Status="OUT", OpenedDateTime=written, ClosedDateTime=written))

    assert isinstance(order, BrokerOrder)
    assert (order.opened_at, order.closed_at) == (None, None)
    assert "OpenedDateTime" in order.doubt
    assert "ClosedDateTime" in order.doubt


def test_an_order_that_was_told_as_replaced_at_an_absurd_time_is_still_read_again() -> None:
    record = order_record(Status="UCH", ClosedDateTime="9999-12-31T00:00:00Z")
    order = read_order(record)

    assert isinstance(order, BrokerOrder)
    assert order.state is OrderState.PENDING
    assert must_read_again(order, record, Nanos(1))


@pytest.mark.parametrize("word", ["UNKNOWN", "FUTURES", "FUTURE ", "", "Perpetual"])
def test_a_future_under_a_word_that_we_do_not_know_is_still_a_future(word: str) -> None:
    order, position = read_order(order_record({"AssetType": word})), read_position(position_record(AssetType=word))

    assert isinstance(order, BrokerOrder)
    assert isinstance(position, Position)
    assert (order.contract, position.contract, position.quantity) == ("ESH26", "ESH26", -1)


@pytest.mark.parametrize("field", ["CashBalance", "Equity"])
def test_money_that_cannot_be_read_is_unknown(field: str) -> None:
    good = {"AccountID": "A", "CashBalance": "50,000.5", "Equity": "1", "BalanceDetail": {"RealizedProfitLoss": "-1"}}

    balance = read_balance(good, Nanos(0))
    assert isinstance(balance, Balance)
    assert (balance.cash, balance.realized) == (Decimal("50000.5"), -1)
    assert isinstance(read_balance(good | {field: "much"}, Nanos(0)), Unreadable)
    assert isinstance(read_balance(good | {"BalanceDetail": {"RealizedProfitLoss": "bad"}}, Nanos(0)), Unreadable)
    assert isinstance(read_balance(good | {"BalanceDetail": "none"}, Nanos(0)), Unreadable)


def test_a_bar_of_a_year_to_come_is_none_and_one_of_a_fast_tape_is_one() -> None:
    now = from_iso("2026-02-10T15:31:00Z")

    assert isinstance(read_bar(bar_record(TimeStamp="2026-12-31T00:00:00Z"), "ESH26", 1, now), Candle)
    assert isinstance(read_bar(bar_record(TimeStamp="2028-01-01T00:00:00Z"), "ESH26", 1, now), Unreadable)


def test_texts_are_bounded_and_free_of_what_a_database_does_not_take() -> None:
    order = read_order(order_record(Status="REJ", RejectReason="no\x00\n\x1b[31m" + "x" * 9_000))

    assert isinstance(order, BrokerOrder)
    assert len(order.reason) == 500
    assert order.reason.isprintable()


def test_a_waiting_leg_names_its_entry() -> None:
    order = read_order(order_record(Status="OSO", ConditionalOrders=[{"Relationship": "OSP", "OrderID": "55"}]))

    assert isinstance(order, BrokerOrder)
    assert order.parent == "55"


def test_shares_and_spreads_are_not_ours_to_see_but_unknown_futures_are() -> None:
    unknown = read_order(order_record({"Symbol": "QQH26"}))

    assert isinstance(read_order(order_record({"AssetType": "STOCK", "Symbol": "NET"})), Foreign)
    assert isinstance(read_position(position_record(AssetType="STOCK", Symbol="NET")), Foreign)
    assert isinstance(unknown, BrokerOrder)
    assert unknown.contract == "tradestation:QQH26"


@pytest.mark.parametrize(
    ("direction", "quantity", "held"), [("Short", "-1", -1), ("Short", "1", -1), ("Long", "3", 3)]
)
def test_a_position_takes_its_sign_from_its_direction(direction: str, quantity: str, held: int) -> None:
    assert read_position(position_record(LongShort=direction, Quantity=quantity)) == Position(
        "SIM0000001F", "ESH26", Contracts(held), Price(Decimal("5311.75"))
    )


def test_a_direction_that_is_none_is_not_read_as_the_sign_of_the_quantity() -> None:
    position = read_position(position_record(LongShort="Shrt", Quantity="1"))

    assert isinstance(position, UnreadableRecord)
    assert "LongShort 'shrt' makes no sense" in position.reason


def test_a_filled_quantity_that_cannot_be_is_told_and_not_cut_to_one_that_can() -> None:
    negative = read_order(order_record({"ExecQuantity": "-1"}))
    too_many = read_order(order_record({"ExecQuantity": "3"}, Status="FLL", FilledPrice="5311.75"))

    assert isinstance(negative, UnreadableRecord)
    assert "ExecQuantity '-1' makes no sense" in negative.reason
    assert isinstance(too_many, BrokerOrder)
    assert too_many.filled == 2
    assert too_many.doubt == "ExecQuantity 3 is more than was ordered"


def test_lots_of_one_contract_are_one_position_and_lots_that_cancel_out_are_none() -> None:
    lot = Position("A", "ESH26", Contracts(1), Price(Decimal(10)))
    other = Position("A", "ESH26", Contracts(3), Price(Decimal(14)))
    short = Position("A", "ESH26", Contracts(-1), Price(Decimal(9)))

    assert add_positions([lot, other]) == (Position("A", "ESH26", Contracts(4), Price(Decimal(13))),)
    assert add_positions([lot, short]) == ()


def test_an_empty_list_is_empty_only_when_no_error_came_with_it() -> None:
    error = {"AccountID": "A", "Error": "Forbidden", "Message": "Request not supported for account type."}

    assert read_list({"Positions": []}, "Positions", read_position) == Known(())
    assert read_list({"Positions": [], "Errors": []}, "Positions", read_position) == Known(())
    assert read_list({"Positions": [], "Errors": [error]}, "Positions", read_position) == Unknown(
        "Forbidden: Request not supported for account type."
    )
    assert isinstance(read_list({}, "Positions", read_position), Unknown)
    (broken,) = read_positions([{}])
    assert isinstance(broken, UnreadableRecord)


def test_a_balance_takes_profits_from_the_detail() -> None:
    record = {
        "AccountID": "A",
        "CashBalance": "50000.5",
        "Equity": "-599.999999",
        "TodaysProfitLoss": "1",
        "BalanceDetail": {"RealizedProfitLoss": "12.5", "UnrealizedProfitLoss": "-3"},
        "CurrencyDetails": [{"Currency": "USD"}],
    }

    balance = read_balance(record, Nanos(7))

    assert not isinstance(balance, Unreadable)
    assert (balance.cash, balance.equity) == (Decimal("50000.5"), Decimal("-599.999999"))
    assert (balance.realized, balance.unrealized, balance.at) == (Decimal("12.5"), Decimal(-3), 7)


@pytest.mark.parametrize(
    ("kind", "status", "is_tradable"), [("Futures", "Active", True), ("Margin", "Active", False)]
)
def test_only_active_futures_accounts_are_tradable(kind: str, status: str, is_tradable: bool) -> None:
    account = read_account({"AccountID": "A", "AccountType": kind, "Status": status, "Currency": "USD"})

    assert not isinstance(account, Unreadable)
    assert account.is_tradable is is_tradable


def test_a_bar_is_stamped_with_its_end() -> None:
    bar = read_bar(bar_record(), "ESH26", 5)

    assert bar == Candle(
        opened_at=from_iso("2026-02-10T15:26:00Z"),
        closed_at=from_iso("2026-02-10T15:31:00Z"),
        open=5310.25,
        high=5312.5,
        low=5310.0,
        close=5311.75,
        volume=1840,
        ticks=835,
        is_closed=True,
    )


def test_the_terms_of_the_yen_are_told_on_the_scale_of_the_exchange() -> None:
    shape = {"Increment": "0.00005", "PointValue": "125000"}
    record = {"Symbol": "JYH26", "Exchange": "CME", "PriceFormat": shape, "ExpirationDate": "2026-03-16T00:00:00Z"}

    details = read_details(record, Contract("6J", 2026, 3))

    assert not isinstance(details, Unreadable)
    assert (details.tick_size, details.point_value) == (Decimal("0.0000005"), Decimal(12_500_000))
    assert details.expires_on == "2026-03-16"


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
records = st.dictionaries(
    st.sampled_from(
        [*order_record(), "ClosedDateTime", "PositionID", "Symbol", "Quantity", "LongShort", "TimeStamp"]
    ),
    anything
    | st.lists(st.dictionaries(st.sampled_from([*order_record()["Legs"][0]]), anything, max_size=4), max_size=2),
)


@PATIENT
@given(records, st.booleans())
def test_no_record_makes_a_reader_raise(record: dict[str, Any], is_whole: bool) -> None:
    spoiled = order_record() | position_record() | bar_record() | record if is_whole else record

    assert isinstance(read_order(spoiled), BrokerOrder | UnreadableRecord | Foreign)
    assert isinstance(read_position(spoiled), Position | UnreadableRecord | Foreign)
    assert isinstance(read_bar(spoiled, "ESH26", 1), Candle | Unreadable)
    assert isinstance(read_balance(spoiled, Nanos(0)), Balance | Unreadable)
