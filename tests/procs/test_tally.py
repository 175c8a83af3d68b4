"""What a session has made: the sum of realized and open profit is the money that moved, whatever the fills."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.book import FILL, POSITION
from tradeproc.domain.book import Fill, Position
from tradeproc.domain.orders import Side
from tradeproc.domain.units import Contracts, Money, Price
from tradeproc.engine.state import Holding
from tradeproc.engine.turn import after_fill
from tradeproc.procs.tally import Tally

POINT = Money(Decimal(50))
fills = st.builds(
    lambda side, quantity, quarters: replace(
        FILL, side=side, quantity=Contracts(quantity), price=Price(Decimal(quarters) / 4)
    ),
    st.sampled_from(Side),
    st.integers(1, 9),
    st.integers(16_000, 20_000),
)


def position_after(made: list[Fill]) -> Position:
    holding = Holding()
    for fill in made:
        holding = after_fill(holding, fill)
    return replace(POSITION, quantity=holding.quantity, average=holding.average)


@settings(max_examples=100, deadline=None)
@given(st.lists(fills, max_size=25), st.integers(16_000, 20_000))
def test_realized_and_unrealized_together_are_the_cash_identity(made: list[Fill], quarters: int) -> None:
    last = quarters / 4
    position = position_after(made)
    tally = Tally(POINT, made)

    total = tally.realized(position) + tally.unrealized(position, last)

    cash = sum((-fill.side.sign * fill.quantity * fill.price for fill in made), Decimal(0))
    assert total == pytest.approx((cash + position.quantity * Decimal(last)) * POINT, abs=Decimal("1e-9"))
    assert tally.fills == len(made)


def test_a_flat_session_has_only_realized_profit() -> None:
    made = [
        replace(FILL, side=Side.BUY, quantity=Contracts(2), price=Price(Decimal("4800.25"))),
        replace(FILL, side=Side.SELL, quantity=Contracts(2), price=Price(Decimal("4801.25"))),
    ]

    tally = Tally(POINT, made)

    assert tally.realized(position_after(made)) == 100
    assert tally.unrealized(position_after(made), 9999.0) == 0


def test_a_position_taken_over_from_the_broker_is_no_profit() -> None:
    """Somebody traded by hand: three contracts appear without a fill of ours."""
    tally = Tally(POINT)
    adopted = replace(POSITION, quantity=Contracts(3), average=Price(Decimal(4800)))

    tally.settle(adopted)

    assert tally.realized(adopted) == 0
    assert tally.unrealized(adopted, 4801.0) == 150

    sold = replace(FILL, side=Side.SELL, quantity=Contracts(3), price=Price(Decimal(4802)))
    tally.add(sold)
    flat = replace(POSITION, quantity=Contracts(0), average=None)
    assert tally.realized(flat) == 300


@settings(max_examples=60, deadline=None)
@given(st.lists(fills, max_size=10), st.lists(fills, max_size=10), st.integers(-5, 5), st.integers(16_000, 20_000))
def test_taking_over_a_position_changes_nothing_realized(
    before: list[Fill], after: list[Fill], quantity: int, quarters: int
) -> None:
    average = Price(Decimal(quarters) / 4) if quantity else None
    adopted = replace(POSITION, quantity=Contracts(quantity), average=average)
    tally = Tally(POINT, before)
    realized = tally.realized(position_after(before))

    tally.settle(adopted)

    assert tally.realized(adopted) == pytest.approx(realized, abs=Decimal("1e-9"))
    holding = Holding(adopted.quantity, adopted.average)
    for fill in after:
        tally.add(fill)
        holding = after_fill(holding, fill)
    told = replace(POSITION, quantity=holding.quantity, average=holding.average)
    known = tally.realized(told)
    tally.settle(told)  # the same position again: nothing to take over
    assert tally.realized(told) == known
