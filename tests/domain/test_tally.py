"""What fills moved: profit at any price, and losing round trips in a row, also when fills are taken back."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.book import Fill, FillKind
from tradeproc.domain.orders import Side
from tradeproc.domain.tally import NEVER, Tally, counted, tally_of
from tradeproc.domain.units import Contracts, Nanos, Price

OWN, REVERSAL = FillKind.OWN, FillKind.REVERSAL


def fill(number: int, change: int, price: str | None, kind: FillKind = OWN, order: str = "", **other: str) -> Fill:
    """Return the fill that changes the position by so many contracts; `number` is its moment too."""
    return Fill(
        order_id=order or f"o{number}",
        broker_id="",
        session=1,
        contract=other.get("contract", "ESH24"),
        side=Side.BUY if change > 0 else Side.SELL,
        quantity=Contracts(abs(change)),
        cumulative=Contracts(abs(change)),
        price=None if price is None else Price(Decimal(price)),
        at=Nanos(number),
        market_at=Nanos(number),
        kind=kind,
    )


def fills(*changes: tuple[int, str | None]) -> list[Fill]:
    return [fill(number, change, price) for number, (change, price) in enumerate(changes, 1)]


def worth(tally: Tally, last: str | None = None) -> Decimal | None:
    return tally.worth("ESH24", None if last is None else Price(Decimal(last)))


@pytest.mark.parametrize(
    ("booked", "losses", "lost_at"),
    [
        ([], 0, 0),
        ([(1, "100"), (-1, "101")], 0, 0),
        ([(1, "100"), (-1, "99")], 1, 2),
        ([(1, "100"), (-1, "99"), (-1, "99"), (1, "100")], 2, 4),
        ([(1, "100"), (-1, "99"), (-1, "99"), (1, "98")], 0, 2),
        # an even trip neither counts nor ends a row
        ([(1, "100"), (-1, "99"), (1, "99"), (-1, "99")], 1, 2),
        # a trip lasts until flat, however often it grew and shrank
        ([(2, "100"), (-1, "99"), (1, "98"), (-1, "97")], 0, 0),
        ([(2, "100"), (-1, "99"), (-1, "102")], 0, 0),
        # turning over ends one trip and begins the next
        ([(1, "100"), (-2, "99"), (1, "100")], 2, 3),
        ([(1, "100"), (-2, "99"), (1, "98")], 0, 2),
        # a result that nobody knows counts as a loss
        ([(1, "100"), (-1, None)], 1, 2),
    ],
)
def test_losing_round_trips_are_counted_from_flat_to_flat(
    booked: Sequence[tuple[int, str | None]], losses: int, lost_at: int
) -> None:
    streak = tally_of(fills(*booked)).streak

    assert (streak.losses, streak.lost_at) == (losses, lost_at)


def test_a_fill_that_the_broker_took_back_takes_its_round_trip_back() -> None:
    lost = tally_of(fills((1, "100"), (-1, "90"), (1, "100"), (-1, "90")))
    assert lost.streak.losses == 2

    reversed_ = counted(lost, fill(5, 1, "90", REVERSAL, "o4"))

    assert reversed_.streak.losses == 1
    assert counted(reversed_, fill(6, -1, "110")).streak.losses == 0


def test_a_price_that_nobody_knows_makes_the_profit_unknown_until_it_is_told() -> None:
    unknown = tally_of([fill(1, 2, None, order="x")])
    assert worth(unknown, "100") is None

    told = counted(counted(unknown, fill(2, -2, None, REVERSAL, "x")), fill(3, 2, "100", order="y"))

    assert worth(told, "101") == 100
    assert worth(told) is None


def test_another_contract_that_is_open_makes_the_profit_unknown_and_one_that_is_closed_counts() -> None:
    old = tally_of([fill(1, 1, "100", contract="ESH24")])
    assert old.worth("ESM24", Price(Decimal(100))) is None

    rolled = counted(counted(old, fill(2, -1, "101", contract="ESH24")), fill(3, 1, "105", contract="ESM24"))

    assert rolled.worth("ESM24", Price(Decimal(105))) == 50


def test_what_was_lost_before_a_person_re_armed_is_counted_no_more() -> None:
    booked = fills((1, "100"), (-1, "99"), (1, None), (-1, "99"), (1, "100"), (-1, "99"))

    assert tally_of(booked, Nanos(4)).streak.losses == 1
    assert tally_of(booked, Nanos(6)).streak.losses == 0
    assert tally_of(booked, NEVER).streak.losses == 3
    assert tally_of(booked, Nanos(4)).unpriced == {}


changes = st.lists(st.tuples(st.integers(-5, 5).filter(bool), st.integers(90, 110)), max_size=12)


@given(changes, st.integers(80, 120))
def test_the_profit_is_the_cash_and_the_position_at_the_last_price(booked: list[tuple[int, int]], last: int) -> None:
    tally = tally_of(fills(*((change, str(price)) for change, price in booked)))

    assert worth(tally, str(last)) == sum(50 * change * (last - price) for change, price in booked)


@given(changes, st.tuples(st.integers(-5, 5).filter(bool), st.integers(90, 110)))
def test_a_fill_and_its_reversal_leave_everything_as_it_was(
    booked: list[tuple[int, int]], one: tuple[int, int]
) -> None:
    tally = tally_of(fills(*((change, str(price)) for change, price in booked)))
    change, price = one

    after = counted(
        counted(tally, fill(50, change, str(price), order="z")), fill(51, -change, str(price), REVERSAL, "z")
    )

    assert (after.cash, after.held, after.unpriced) == (tally.cash, tally.held, tally.unpriced)
