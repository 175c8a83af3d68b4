"""What a session has made: the sum of realized and open profit is the money that moved, whatever the fills."""

import random
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.book import FILL
from tradeproc.domain.book import Fill, FillKind
from tradeproc.domain.orders import Side
from tradeproc.domain.units import Contracts, Money, Price
from tradeproc.procs.trader.session_profit import SessionProfit
from tradeproc.store import round_trips

POINT = Money(Decimal(50))


def fill(quantity: int, price: str | int | None, **changes: object) -> Fill:
    """Return a fill of a signed quantity."""
    made = replace(
        FILL,
        side=Side.BUY if quantity > 0 else Side.SELL,
        quantity=Contracts(abs(quantity)),
        price=None if price is None else Price(Decimal(price)),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


quarters = st.integers(-4000, 4000)
fills = st.builds(
    lambda quantity, quarter, kind: fill(quantity, str(Decimal(quarter) / 4), kind=kind),
    st.integers(-9, 9).filter(bool),
    quarters,
    st.sampled_from([FillKind.OWN, FillKind.EXTERNAL]),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(fills, max_size=25), quarters)
def test_realized_and_unrealized_together_are_the_cash_identity_at_any_price_also_below_zero(
    made: list[Fill], quarter: int
) -> None:
    last = quarter / 4
    profit = SessionProfit(POINT, made)

    realized, unrealized = profit.realized, profit.unrealized(last)

    cash = sum((-each.side.sign * each.quantity * each.price for each in made if each.price is not None), Decimal(0))
    held = sum(each.side.sign * each.quantity for each in made)
    assert realized is not None
    assert unrealized is not None
    assert realized + unrealized == pytest.approx((cash + held * Decimal(last)) * POINT, abs=Decimal("1e-9"))
    assert (profit.fills, profit.held.quantity) == (len(made), held)


def test_a_flat_session_has_only_realized_profit() -> None:
    profit = SessionProfit(POINT, [fill(2, "4800.25"), fill(-2, "4801.25")])

    assert profit.realized == 100
    assert profit.unrealized(9999.0) == 0


def test_a_position_taken_over_from_the_broker_is_no_profit_and_its_sale_is() -> None:
    """Somebody bought by hand: three contracts appear without an order of ours."""
    profit = SessionProfit(POINT, [fill(3, 4800, kind=FillKind.EXTERNAL)])

    assert profit.realized == 0
    assert profit.unrealized(4801.0) == 150

    profit.add(fill(-3, 4802))
    assert profit.realized == 300


def test_zero_is_a_price_and_none_is_unknown() -> None:
    at_zero, unknown = SessionProfit(POINT, [fill(1, 0)]), SessionProfit(POINT, [fill(1, None)])

    assert (at_zero.realized, at_zero.unrealized(-37.63)) == (0, Decimal("-1881.50"))
    assert (unknown.realized, unknown.unrealized(-37.63)) == (0, None)
    at_zero.add(fill(-1, "-37.63"))
    unknown.add(fill(-1, "-37.63"))
    assert (at_zero.realized, unknown.realized) == (Decimal("-1881.50"), None)


def test_what_was_realized_before_a_price_was_unknown_stays_known_until_that_is_closed() -> None:
    profit = SessionProfit(POINT, [fill(1, 100), fill(-1, 101), fill(1, 100), fill(1, None)])

    assert profit.realized == 50
    profit.add(fill(-1, 105))
    assert profit.realized is None


def test_a_fill_that_was_taken_back_never_was() -> None:
    first, second = fill(1, 100, order_id="a"), fill(1, 110, order_id="b")
    undone = fill(-1, 100, order_id="a", kind=FillKind.REVERSAL, revision=1, cumulative=Contracts(0))
    profit = SessionProfit(POINT, [first, second])

    profit.add(undone)

    assert (profit.held.quantity, profit.held.average, profit.realized) == (1, 110, 0)
    profit.add(fill(-1, 115, order_id="c"))
    assert profit.realized == 250


@settings(max_examples=200, deadline=None)
@given(st.lists(fills, max_size=12), st.integers(0, 1000), quarters)
def test_tally_and_round_trips_agree_and_the_same_fills_give_the_same_after_a_restart(
    made: list[Fill], seed: int, quarter: int
) -> None:
    """Fills of our orders, changes by others and fills taken back, in any sequence; flat at the end."""
    chance = random.Random(seed)
    rows: list[Fill] = []
    live = SessionProfit(POINT)
    for number, each in enumerate(made):
        rows.append(replace(each, order_id=str(number)))
        live.add(rows[-1])
        if chance.random() < 0.3:
            left = [row for row in rows if row.kind is not FillKind.REVERSAL and row.revision == 0]
            victim = chance.choice(left)
            rows[rows.index(victim)] = victim = replace(victim, revision=9)  # once only
            undone = replace(victim, side=victim.side.opposite, kind=FillKind.REVERSAL)
            rows.append(undone)
            live.add(undone)
    if live.held.quantity:
        rows.append(fill(-live.held.quantity, str(Decimal(quarter) / 4), order_id="last"))
        live.add(rows[-1])

    again = SessionProfit(POINT, rows)

    assert (live.realized, live.held) == (again.realized, again.held)
    trades = round_trips(rows)
    profits = sum((trade.profit for trade in trades if trade.profit is not None), Decimal(0))
    assert live.realized == pytest.approx(profits, abs=Decimal("1e-9"))
    assert live.held.quantity == 0
