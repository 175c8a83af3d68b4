"""A second data login as a witness: prices that stay apart close entries and nothing else, until they agree."""

from typing import Any

import pytest

from tests.engine.desk import Desk, Scripted
from tradeproc.domain.orders import OrderRole, Side
from tradeproc.domain.records import BadValue
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import Contracts
from tradeproc.engine import events
from tradeproc.engine.events import StreamKind
from tradeproc.engine.limits import closed_gate
from tradeproc.engine.witness import said
from tradeproc.strategies.contract import SubmitOrder

BUY = SubmitOrder(Side.BUY, Contracts(1))
EXIT = SubmitOrder(Side.SELL, Contracts(1), role=OrderRole.EXIT)
SAID = "last prices differ: 4800 by login paper, 4802.25 by the witness other"


def witnessed(*plans: Any) -> Desk:
    """Return a desk with a witness that may differ by 8 ticks, 2 points, for 10 s; the last price is 4800."""
    desk = Desk(Scripted(*plans), witness_login="other").start()
    desk.tell(events.WitnessChanged(is_up=True))
    return desk


def test_prices_apart_for_long_enough_close_entries_with_an_alarm_and_open_them_when_they_agree() -> None:
    desk = witnessed()
    desk.tell(events.WitnessPriced(4802.25))

    desk.run(9.5)
    assert closed_gate(desk.state, desk.now) is None
    desk.run(1)
    assert closed_gate(desk.state, desk.now) == SAID
    assert "witness_disagrees" in desk.alarms

    assert said(desk.state) == "4802.25"
    desk.tell(events.WitnessPriced(4802.0))
    assert closed_gate(desk.state, desk.now) is None
    assert desk.alarms == set()


def test_prices_that_agree_between_are_not_apart() -> None:
    desk = witnessed()
    for _ in range(5):
        desk.tell(events.WitnessPriced(4802.25))
        desk.run(6)
        desk.tell(events.WitnessPriced(4801.0))
        desk.run(1)

    assert desk.alarms == set()


def test_a_witness_that_disagrees_stops_no_exit() -> None:
    desk = witnessed(BUY, BUY, EXIT)
    desk.bar()
    desk.tell(events.WitnessPriced(4802.25))
    desk.run(11)

    desk.bar()
    assert desk.refusals == [SAID]
    desk.bar()

    assert desk.position == 0


def test_a_feed_that_is_frozen_is_found_by_a_witness_that_moves() -> None:
    desk = witnessed()
    for price in range(4800, 4830):
        desk.tell(events.WitnessPriced(float(price)))
        desk.run(1)

    assert "witness_disagrees" in desk.alarms


def test_a_witness_that_is_down_testifies_to_nothing_and_is_missed_after_a_minute() -> None:
    desk = witnessed()
    desk.tell(events.WitnessPriced(4900.0))
    desk.run(11)
    assert "witness_disagrees" in desk.alarms

    desk.tell(events.WitnessChanged(is_up=False, reason="cut"))
    assert closed_gate(desk.state, desk.now) is None
    desk.run(61)
    assert desk.alarms == {"witness_missing"}
    assert "cut" in desk.state.engine.alarms["witness_missing"]
    assert said(desk.state) == "tells no prices: cut"

    desk.tell(events.WitnessChanged(is_up=True))
    desk.run(1)
    assert desk.alarms == set()


def test_a_witness_that_never_came_is_missed_but_not_while_the_market_stream_is_down_too() -> None:
    desk = Desk(Scripted(), witness_login="other").start()
    desk.tell(events.StreamChanged(StreamKind.MARKET, is_up=False, reason="cut"))
    desk.run(90)
    assert "witness_missing" not in desk.alarms

    desk.tell(events.StreamChanged(StreamKind.MARKET, is_up=True))
    desk.run(1)
    assert "witness_missing" in desk.alarms


def test_a_session_without_a_witness_misses_none() -> None:
    desk = Desk(Scripted()).start()
    desk.run(120)

    assert desk.alarms == set()
    assert not {"witness_login", "witness_ticks", "witness_seconds"} & desk.setup.spec.to_dict().keys()


def test_a_witness_is_another_login_than_the_one_that_serves_the_bars() -> None:
    plain = Desk(Scripted(), witness_login="other").setup.spec.to_dict()
    assert SessionSpec.from_dict(plain).witness_login == "other"
    with pytest.raises(BadValue, match="witness_login: serves the bars already"):
        Desk(Scripted(), witness_login="paper")
