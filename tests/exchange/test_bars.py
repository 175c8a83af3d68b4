"""Bars: the price goes from open by both extremes to close, and meets every order on its way."""

import pytest

from tests.exchange.tickets import Pit, bracket, ticket, ticks
from tradeproc.domain.orders import Side
from tradeproc.exchange.matching import Rules
from tradeproc.exchange.orders import OrderStatus

BUY, SELL = Side.BUY, Side.SELL


def bar(pit: Pit, *prices: str, volume: int = 100) -> None:
    opened, high, low, close = (ticks(price) for price in prices)
    pit.bar(opened, high, low, close, volume)


def test_a_stop_fills_at_its_own_price_and_not_at_the_extreme_of_the_bar() -> None:
    pit = Pit()
    pit.place(ticket(SELL, 1, stop="4797"))

    bar(pit, "4800", "4801", "4790", "4795")

    assert pit.fills() == [("sell", 1, "4797")]


def test_a_stop_that_a_bar_opens_beyond_fills_at_the_open() -> None:
    pit = Pit()
    pit.place(ticket(SELL, 1, stop="4797"))

    bar(pit, "4793", "4801", "4790", "4795")

    assert pit.fills() == [("sell", 1, "4793")]


@pytest.mark.parametrize(
    ("bar_prices", "fills"),
    [
        # a rising bar falls first
        (("4800", "4806", "4794", "4801"), ("sell", 1, "4795")),
        (("4800", "4806", "4794", "4799"), ("sell", 1, "4805")),
    ],
)
def test_the_direction_of_a_bar_says_which_leg_of_a_bracket_is_met_first(
    bar_prices: tuple[str, str, str, str], fills: tuple[str, int, str]
) -> None:
    pit = Pit()
    _, stop, target = pit.place(bracket(1, None, "4795", "4805"))

    bar(pit, *bar_prices)

    assert pit.fills() == [("buy", 1, "4800"), fills]
    assert {pit.order(stop).status, pit.order(target).status} == {OrderStatus.FILLED, OrderStatus.CANCELLED}


def test_the_legs_of_an_entry_that_fills_in_a_bar_are_met_on_the_rest_of_its_way() -> None:
    pit = Pit()
    pit.place(bracket(1, "4798", "4790", "4803"))

    bar(pit, "4800", "4804", "4797", "4802")

    assert pit.fills() == [("buy", 1, "4798"), ("sell", 1, "4803")]


def test_the_volume_of_a_bar_is_given_away_once() -> None:
    pit = Pit()
    pit.place(ticket(BUY, 3, limit="4799"))
    pit.place(ticket(BUY, 3, limit="4798"))

    bar(pit, "4800", "4801", "4795", "4796", volume=4)

    assert pit.fills() == [("buy", 3, "4799"), ("buy", 1, "4798")]


def test_a_bar_whose_touch_is_not_enough_fills_a_limit_beyond_it() -> None:
    pit = Pit(rules=Rules(needs_through=True))
    pit.place(ticket(BUY, 1, limit="4798"))

    bar(pit, "4800", "4801", "4798", "4799")
    assert pit.fills() == []
    bar(pit, "4800", "4801", "4797.75", "4799")

    assert pit.fills() == [("buy", 1, "4798")]


def test_a_bar_that_meets_nothing_leaves_its_close_as_the_last_price() -> None:
    pit = Pit()
    pit.place(ticket(BUY, 1, limit="4700"))

    bar(pit, "4800", "4802", "4799", "4801")

    assert pit.exchange.revision == 1
    pit.place(ticket(BUY, 1))
    assert pit.fills() == [("buy", 1, "4801")]


def test_bars_below_zero_are_bars() -> None:
    pit = Pit(last="1")
    pit.place(ticket(BUY, 1, limit="-37.75"))

    bar(pit, "0", "0", "-40", "-38")

    assert pit.fills() == [("buy", 1, "-37.75")]
