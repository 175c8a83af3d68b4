"""Round trips: first in, first out; what the trades earn is what the money did."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.book import FILL
from tradeproc.domain.book import Fill, Trade
from tradeproc.domain.orders import Side
from tradeproc.domain.units import Contracts, Nanos, Price
from tradeproc.store import round_trips

FILLS = st.lists(
    st.tuples(
        st.sampled_from(["ESH24", "MESM24"]), st.sampled_from(Side), st.integers(1, 5), st.integers(-40, 40_000)
    ),
    max_size=25,
)
POINT_VALUES = {"ESH24": 50, "MESM24": 5}


def fills(*told: tuple[int, str], contract: str = "ESH24") -> list[Fill]:
    """Return fills of signed quantities at prices."""
    return [
        replace(
            FILL,
            order_id=f"o{number}",
            contract=contract,
            side=Side.BUY if quantity > 0 else Side.SELL,
            quantity=Contracts(abs(quantity)),
            price=Price(Decimal(price)),
            at=Nanos(number),
        )
        for number, (quantity, price) in enumerate(told)
    ]


def short(trades: list[Trade]) -> list[tuple[str, int, str, str, str]]:
    return [(t.side.value, t.quantity, t.entry_order, t.exit_order, str(t.profit.normalize())) for t in trades]


def test_one_contract_in_and_out() -> None:
    (trade,) = round_trips(fills((1, "4750.25"), (-1, "4752.50")))

    assert (trade.profit, trade.entered_at, trade.exited_at) == (Decimal("112.5"), 0, 1)
    assert (trade.entry_price, trade.exit_price) == (Decimal("4750.25"), Decimal("4752.50"))


def test_a_short_earns_when_the_price_falls() -> None:
    assert short(round_trips(fills((-2, "100"), (2, "99")))) == [("sell", 2, "o0", "o1", "1E+2")]


def test_partial_closes_are_trades_of_their_own_oldest_entry_first() -> None:
    made = round_trips(fills((1, "100"), (2, "101"), (-2, "102"), (-1, "100")))

    assert short(made) == [
        ("buy", 1, "o0", "o2", "1E+2"),
        ("buy", 1, "o1", "o2", "5E+1"),
        ("buy", 1, "o1", "o3", "-5E+1"),
    ]


def test_a_reversal_closes_and_opens_the_other_side() -> None:
    made = round_trips(fills((1, "100"), (-3, "101"), (2, "100")))

    assert short(made) == [("buy", 1, "o0", "o1", "5E+1"), ("sell", 2, "o1", "o2", "1E+2")]


def test_contracts_of_different_months_never_meet() -> None:
    assert round_trips(fills((1, "100")) + fills((-1, "101"), contract="ESM24")) == []


def test_an_open_position_is_no_trade() -> None:
    assert round_trips(fills((1, "100"), (1, "101"))) == []
    assert round_trips([]) == []


@settings(max_examples=150, deadline=None)
@given(FILLS)
def test_profits_are_the_cash_that_flowed_and_what_is_left_is_open(told: list[tuple[str, Side, int, int]]) -> None:
    booked = [
        replace(FILL, contract=contract, side=side, quantity=Contracts(quantity), price=Price(Decimal(ticks) / 4))
        for contract, side, quantity, ticks in told
    ]
    closing = [
        replace(FILL, contract=contract, side=Side.SELL if held > 0 else Side.BUY, quantity=Contracts(abs(held)))
        for contract in POINT_VALUES
        if (held := sum(f.side.sign * f.quantity for f in booked if f.contract == contract))
    ]

    made = round_trips(booked + closing)

    cash = sum(-f.side.sign * f.quantity * f.price * POINT_VALUES[f.contract] for f in booked + closing)
    assert sum(trade.profit for trade in made) == cash
    assert 2 * sum(trade.quantity for trade in made) == sum(f.quantity for f in booked + closing)


@settings(max_examples=60, deadline=None)
@given(FILLS, st.integers(0, 25))
def test_later_fills_never_change_earlier_trades(told: list[tuple[str, Side, int, int]], count: int) -> None:
    booked = [
        replace(FILL, contract=contract, side=side, quantity=Contracts(quantity), price=Price(Decimal(ticks) / 4))
        for contract, side, quantity, ticks in told
    ]
    early, late = round_trips(booked[:count]), round_trips(booked)

    assert late[: len(early)] == early
