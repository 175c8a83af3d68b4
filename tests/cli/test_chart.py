"""Candles as text."""

import pytest

from tradeproc.cli.chart import Axis, ChartBar, Scale, colour, column, draw, scale_of

AXIS = Axis(tick=0.25, decimals=2)


@pytest.mark.parametrize(
    ("bar", "bottom_to_top"),
    [
        (ChartBar(0, 8, 0, 8), "┃┃┃┃"),
        (ChartBar(8, 8, 0, 0), "┃┃┃┃"),
        (ChartBar(2, 8, 0, 5), "│┃┃│"),
        (ChartBar(3, 8, 0, 5), "│╿┃│"),
        (ChartBar(2, 6.5, 1, 4), "╵┃╽╷"),
        (ChartBar(4, 4, 4, 4), "  ╻ "),
        (ChartBar(5, 5, 5, 5), "  ╹ "),
        (ChartBar(1, 1, 1, 1), "╹   "),
        (ChartBar(7, 8, 7, 8), "   ╹"),
    ],
)
def test_a_candle_is_drawn_from_its_prices(bar: ChartBar, bottom_to_top: str) -> None:
    assert column(bar, Scale(0.0, 8.0, 8)) == bottom_to_top


def test_a_market_that_does_not_move_is_drawn_in_the_middle() -> None:
    bars = [ChartBar(100.0, 100.0, 100.0, 100.0)] * 3

    lines = draw(bars, 12, 5, AXIS).plain.splitlines()

    assert [line[:3] for line in lines if line[:3].strip()] == ["╻╻╻"]


def test_the_scale_holds_every_bar() -> None:
    scale = scale_of([ChartBar(5, 7, 4, 6), ChartBar(6, 9, 5, 8)], 4)

    assert (scale.low, scale.high) == (4, 9)
    assert scale.half(4) == 0
    assert scale.half(9) == scale.halves - 1


def test_only_the_newest_bars_are_shown_when_they_do_not_fit() -> None:
    bars = [ChartBar(i, i + 1, i, i + 1) for i in range(100)]

    lines = draw(bars, 20, 6, AXIS).plain.splitlines()

    assert all(len(line) <= 20 for line in lines)
    assert len(lines) == 6


def test_the_last_close_stands_on_the_axis_and_our_trades_under_their_bars() -> None:
    bars = [
        ChartBar(4800, 4801, 4799, 4800.5, mark=1),
        ChartBar(4800.5, 4802, 4800, 4801.25),
        ChartBar(4801, 4803, 4801, 4802, mark=-2),
    ]

    text = draw(bars, 13, 8, AXIS).plain

    assert "4802.00" in text
    assert text.splitlines()[-1] == "▲ ▼"


def test_no_bars_say_so() -> None:
    assert draw([], 40, 8, AXIS).plain == "waiting for the first bar"


def test_the_forming_bar_looks_different() -> None:
    assert colour(ChartBar(1, 2, 1, 2)) == "green"
    assert colour(ChartBar(2, 2, 1, 1)) == "red"
    assert colour(ChartBar(2, 2, 1, 1, is_closed=False)) == "bold red"


def test_candles_stand_apart_where_there_is_room() -> None:
    bars = [ChartBar(1, 2, 1, 2, mark=1)] * 3

    assert draw(bars, 40, 4, AXIS).plain.splitlines()[-1] == "▲ ▲ ▲ "
    assert draw(bars, 9, 4, AXIS).plain.splitlines()[-1] == "▲▲▲"


def test_the_axis_names_prices_that_can_be_traded() -> None:
    bars = [ChartBar(4800.25, 4811.75, 4800.25, 4805)] * 3

    labels = [line.split()[-1] for line in draw(bars, 40, 20, AXIS).plain.splitlines() if "." in line]

    assert len(labels) > 4
    assert all(float(label) % 0.25 == 0 for label in labels)


def test_prices_below_zero_have_room_and_zero_has_no_sign() -> None:
    bars = [ChartBar(2.0, 5.0, -37.75, -37.5), ChartBar(-37.5, 5.0, -37.75, 0.0)]

    lines = draw(bars, 30, 8, AXIS).plain.splitlines()

    assert max(map(len, lines)) <= 30
    assert AXIS.label(-0.01) == "0.00"
    assert AXIS.label(-37.63) == "-37.75"
