"""Recorded events come back as they were, and an engine that is told them again does the same."""

import contextlib
import dataclasses
import random
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.desk import Desk, Faults, Scripted
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.book import Fill, Position
from tradeproc.domain.broker_orders import Accepted, BrokerOrder, Refused, Unanswered
from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import Order, OrderRole, Side
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.engine import events
from tradeproc.engine.events import Event, TradingState
from tradeproc.engine.recording import (
    BadRecording,
    Header,
    Recorded,
    event_line,
    header_line,
    lost_line,
    read_event,
    read_events,
    read_header,
)
from tradeproc.engine.replay import replay
from tradeproc.engine.state import new_state
from tradeproc.protocol.scopes import of_session
from tradeproc.strategies.contract import NOTHING, SubmitBracket, SubmitOrder

WHOLE = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(Decimal, st.decimals(-(10**6), 10**6, places=10))
st.register_type_strategy(int, WHOLE)
st.register_type_strategy(str, TEXT)
QUANTITY = st.integers(0, 10**6).map(Contracts)
COUNT = st.integers(0, 2**63 - 1)
ORDER = st.builds(BrokerOrder, quantity=QUANTITY, filled=QUANTITY)
# what their types say of quantities and counts, the strategies of hypothesis do not read
ONE_OR_MORE = st.integers(1, 10**6).map(Contracts)
st.register_type_strategy(BrokerOrder, ORDER)
st.register_type_strategy(Candle, st.builds(Candle, volume=COUNT, ticks=COUNT))
st.register_type_strategy(Order, st.builds(Order, quantity=ONE_OR_MORE, filled=QUANTITY, revision=COUNT))
st.register_type_strategy(Fill, st.builds(Fill, quantity=ONE_OR_MORE, cumulative=QUANTITY, revision=COUNT))
OUTCOME = st.one_of(
    st.builds(Accepted, st.dictionaries(TEXT, TEXT)),
    st.builds(Refused, TEXT),
    st.builds(Unanswered, TEXT, st.booleans()),
)


def answers(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(value.map(Known), TEXT.map(Unknown))


SPECIAL: dict[type[Any], st.SearchStrategy[Any]] = {
    events.SubmitAnswered: st.builds(events.SubmitAnswered, TEXT, OUTCOME),
    events.ModifyAnswered: st.builds(events.ModifyAnswered, TEXT, OUTCOME),
    events.CancelAnswered: st.builds(events.CancelAnswered, TEXT, OUTCOME),
    events.OrdersAnswered: st.builds(events.OrdersAnswered, WHOLE, answers(st.lists(ORDER, max_size=3).map(tuple))),
    events.PositionAnswered: st.builds(events.PositionAnswered, WHOLE, answers(st.from_type(Position))),
    events.OrderUpdated: st.builds(events.OrderUpdated, ORDER),
    events.Started: st.builds(events.Started, claimed=st.dictionaries(TEXT, TEXT)),
}


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_an_event_of_every_kind_comes_back_as_it_was(kind: type[Any]) -> None:
    @settings(max_examples=50)
    @given(SPECIAL.get(kind, st.from_type(kind)), st.integers(0, 2**62))
    def comes_back(event: Event, now: int) -> None:
        line = event_line(event, Nanos(now), ())

        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert read_event(line) == Recorded(event, Nanos(now), 0)

    comes_back()


def test_the_header_comes_back_as_it_was() -> None:
    latches = {"host": TradingState.HALTED}
    header = Header(7, 3, "abcd", {"name": "test", "minutes": 1}, latches, Nanos(1), "0.1.0")

    assert read_header(header_line(header)) == header


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"[]",
        b'[1,"Nonsense",{},0]\n',
        b'[1,"CandleReceived",{"candle":{}},0]\n',
        b'[1,"SubmitAnswered",{"order_id":"a","outcome":{"outcome":"maybe"}},0]\n',
        b'[1,"SubmitAnswered",[],0]\n',
        b'["1","TimePassed",{},0]\n',
        b"\xff\xfe\n",
        b"\x00" * 40,
    ],
)
def test_a_line_that_is_no_event_is_said_and_nothing_else(line: bytes) -> None:
    with pytest.raises(BadRecording):
        read_event(line)
    with pytest.raises(BadRecording):
        read_header(line)


@given(st.binary(max_size=80))
def test_any_bytes_are_an_event_or_a_bad_recording(data: bytes) -> None:
    for read in (read_event, read_header):
        with contextlib.suppress(BadRecording):
            read(data)


def test_a_line_that_a_crash_cut_short_is_left_out() -> None:
    whole = event_line(events.TimePassed(), Nanos(5), ())

    assert list(read_events([whole, whole[:-1]])) == [Recorded(events.TimePassed(), Nanos(5), 0)]


def test_a_scope_is_recorded_as_its_text() -> None:
    latched = events.TradingStateSet(of_session(7), TradingState.HALTED, "me", "why")

    assert read_event(event_line(latched, Nanos(1), ())).event == latched


def test_lost_events_end_a_replay() -> None:
    desk = Desk()

    with pytest.raises(BadRecording, match="missing"):
        list(replay(new_state(desk.setup), read_events([lost_line(3, Nanos(9))])))


PLANS = [
    SubmitBracket(Side.BUY, Contracts(1), stop_loss=4790.0),
    NOTHING,
    SubmitOrder(Side.SELL, Contracts(1), role=OrderRole.EXIT),
    SubmitBracket(Side.SELL, Contracts(1), stop_loss=4810.0, profit_target=4795.0),
    NOTHING,
] * 4


def lived(seed: int) -> Desk:
    """Return a desk that traded through lost and late messages."""
    chance = random.Random(seed)
    faults = Faults(chance, lost_reply=0.1, lost_request=0.1, lost_picture=0.2, doubled=0.2, unknown=0.2, slowest=2.0)
    desk = Desk(Scripted(*PLANS), faults=faults).start()
    for _ in range(20):
        desk.bar(4800.0 + chance.randrange(-8, 9), seconds=20.0)
    return desk


@pytest.mark.parametrize("seed", range(4))
def test_a_life_that_is_replayed_has_the_same_effects_bit_for_bit(seed: int) -> None:
    desk = lived(seed)
    lines = [event_line(event, now, effects) for event, now, effects in desk.history]
    setup = dataclasses.replace(desk.setup, strategy=Scripted(*PLANS))

    again = list(replay(new_state(setup), read_events(lines)))

    assert len(again) == len(desk.history) > 100
    assert [each.effects for each in again] == [effects for _, _, effects in desk.history]
    assert all(each.is_same for each in again)
    assert sum(each.recorded.digest != 0 for each in again) > 20


def test_a_strategy_that_decides_otherwise_is_found_at_its_first_other_decision() -> None:
    desk = lived(0)
    lines = [event_line(event, now, effects) for event, now, effects in desk.history]
    setup = dataclasses.replace(desk.setup, strategy=Scripted(NOTHING, *PLANS[1:]))

    first = next(each for each in replay(new_state(setup), read_events(lines)) if not each.is_same)

    assert isinstance(first.recorded.event, events.CandleReceived)
