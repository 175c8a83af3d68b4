from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.brokers.tradestation.examples import PATIENT, bar_record, order_record, position_record
from tradeproc.brokers.contract import BrokerOrder
from tradeproc.brokers.tradestation.market import read_bar, read_details
from tradeproc.brokers.tradestation.wire import (
    Foreign,
    Unreadable,
    add_positions,
    read_account,
    read_balance,
    read_list,
    read_order,
    read_position,
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
    assert isinstance(read_list({"Positions": [{}]}, "Positions", read_position), Unknown)


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

    assert isinstance(read_order(spoiled), BrokerOrder | Unreadable | Foreign)
    assert isinstance(read_position(spoiled), Position | Unreadable | Foreign)
    assert isinstance(read_bar(spoiled, "ESH26", 1), Candle | Unreadable)
    assert isinstance(read_balance(spoiled, Nanos(0)), Balance | Unreadable)
