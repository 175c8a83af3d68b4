"""Events are read whole, however the pipe splits them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.supervision.listener import BadProtocol, EventReader, SupervisorEvent

EXITED = b"processname:trader groupname:session-1 from_state:RUNNING expected:0 pid:2766"
TICK = b"when:1201063880"


def framed(name: str, payload: bytes) -> bytes:
    header = f"ver:3.0 server:supervisor serial:21 pool:warden poolserial:10 eventname:{name} len:{len(payload)}\n"
    return header.encode() + payload


STOPPING = framed("SUPERVISOR_STATE_CHANGE_STOPPING", b"")
STREAM = framed("PROCESS_STATE_EXITED", EXITED) + framed("TICK_5", TICK) + STOPPING


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_events_are_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    reader, events, place = EventReader(), [], 0
    for size in [*cuts, len(STREAM)]:
        events += reader.feed(STREAM[place : place + size])
        place += size

    assert [event.name for event in events] == ["PROCESS_STATE_EXITED", "TICK_5", "SUPERVISOR_STATE_CHANGE_STOPPING"]
    assert events[0].fields["expected"] == "0"
    assert (events[0].group, events[0].program) == ("session-1", "trader")
    assert events[1] == SupervisorEvent("TICK_5", {"when": "1201063880"})


@pytest.mark.parametrize("line", [b"hello\n", b"eventname:X\n", b"eventname:X len:many\n"])
def test_what_is_no_event_is_a_fault(line: bytes) -> None:
    with pytest.raises(BadProtocol):
        EventReader().feed(line)
