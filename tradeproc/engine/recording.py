"""A trader's life as lines of JSON: each event with its moment, so that the engine can be run over it again.

    {"header": …}                            what the life began with: session, fence, specification, latches
    [moment, "CandleReceived", {…}, digest]      one event; `digest` is the CRC-32 of the effects it had, 0 for none
    [moment, "Lost", {"events": 12}, 0]      the recorder could not keep up or write: what follows cannot be replayed

Reading gives the same event back: floats keep every bit, Decimals every digit. Effects are not recorded; a replay
computes them and compares digests. Lines and notes for people (`Publish`, `Log`) are no part of the digest.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from tradeproc.domain.answers import Answer
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import ListedOrder, Outcome
from tradeproc.domain.units import Nanos
from tradeproc.engine import events
from tradeproc.engine.effects import Effect, Log, Publish
from tradeproc.engine.events import Event, TradingState
from tradeproc.errors import Refusal
from tradeproc.protocol.codec import BadMessage, Codec

VERSION = 2
LOST = "Lost"

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}


def _plain(value: Any) -> str:
    """Return a scope or a process name, whose types derive from str, as plain text."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be recorded")


_encode = msgspec.json.Encoder(decimal_format="string", enc_hook=_plain).encode


class BadRecording(Refusal):
    """A line that holds no event of this version; caught by whoever replays."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a life began with; `spec` is `SessionSpec.to_dict()`, `latches` the stored states by scope."""

    session: int
    fence: int
    installation: str
    spec: Mapping[str, Any]
    latches: Mapping[str, TradingState]
    began_at: Nanos
    program: str
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event as it was told, and the digest of what it led to; `event` is None where events were lost."""

    event: Event | None
    now: Nanos
    digest: int


# --- events whose fields are one of several values: the value says which

_OUTCOMES = (events.SubmitAnswered, events.ModifyAnswered, events.CancelAnswered)
_OUTCOME: Codec[Outcome] = Codec(Outcome, "outcome")
_Orders = Answer[tuple[ListedOrder, ...]]
_Position = Answer[Position]
_ORDERS: Codec[_Orders] = Codec(_Orders, "answer")
_POSITION: Codec[_Position] = Codec(_Position, "answer")


def _fields(event: Event) -> Any:
    match event:
        case events.SubmitAnswered() | events.ModifyAnswered() | events.CancelAnswered():
            return {"order_id": event.order_id, "outcome": _OUTCOME.plain(event.outcome)}
        case events.OrdersAnswered():
            return {"number": event.number, "answer": _ORDERS.plain(event.answer)}
        case events.PositionAnswered():
            return {"number": event.number, "answer": _POSITION.plain(event.answer)}
        case _:
            return event


def _outcome_of(kind: Callable[[str, Any], Event]) -> Callable[[bytes], Event]:
    def read(data: bytes) -> Event:
        body = msgspec.json.decode(data)
        return kind(body["order_id"], _OUTCOME.read(body["outcome"]))

    return read


def _orders_answered(data: bytes) -> Event:
    body = msgspec.json.decode(data)
    return events.OrdersAnswered(body["number"], _ORDERS.read(body["answer"]))


def _position_answered(data: bytes) -> Event:
    body = msgspec.json.decode(data)
    return events.PositionAnswered(body["number"], _POSITION.read(body["answer"]))


_READERS: dict[str, Callable[[bytes], Any]] = {
    **{kind.__name__: _outcome_of(kind) for kind in _OUTCOMES},
    "OrdersAnswered": _orders_answered,
    "PositionAnswered": _position_answered,
}
_READERS |= {name: msgspec.json.Decoder(kind).decode for name, kind in _KINDS.items() if name not in _READERS}

# --- lines


def header_line(header: Header) -> bytes:
    """Return the first line of a recording."""
    return _encode({"header": header}) + b"\n"


def event_line(event: Event, now: Nanos, effects: Iterable[Effect]) -> bytes:
    """Return the line of an event that was told at `now` and had these effects."""
    return _encode((now, type(event).__name__, _fields(event), digest_of(effects))) + b"\n"


def lost_line(count: int, now: Nanos) -> bytes:
    """Return the line that stands where `count` events are missing."""
    return _encode((now, LOST, {"events": count}, 0)) + b"\n"


def digest_of(effects: Iterable[Effect]) -> int:
    """Return the CRC-32 of what is written down, sent and asked, in its order; 0 when there is nothing of it."""
    found = [(type(each).__name__, each) for each in effects if not isinstance(each, Publish | Log)]
    return zlib.crc32(_encode(found)) if found else 0


def read_header(line: bytes) -> Header:
    """Return the header that the first line of a recording holds.

    Raises:
        BadRecording: it holds none, or one of another version.
    """
    try:
        header = msgspec.json.decode(line, type=dict[str, Header])["header"]
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
        raise BadRecording(f"the recording has no header: {error}") from None
    if header.version != VERSION:
        raise BadRecording(f"the recording has version {header.version}, this program reads {VERSION}")
    return header


def read_event(line: bytes) -> Recorded:
    """Return the event that a line holds.

    Raises:
        BadRecording: it holds none of this version.
    """
    try:
        now, name, fields, digest = msgspec.json.decode(line, type=tuple[int, str, msgspec.Raw, int])
        if name == LOST:
            return Recorded(None, Nanos(now), digest)
        return Recorded(_READERS[name](bytes(fields)), Nanos(now), digest)
    except KeyError as unknown:
        raise BadRecording(f"no event of this version: {unknown}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, BadMessage) as error:
        raise BadRecording(f"a line that is no event: {error}") from None


def read_events(lines: Iterable[bytes]) -> Iterator[Recorded]:
    """Yield what the lines after the header hold; a last line that a crash cut short is left out.

    Raises:
        BadRecording: a whole line holds no event of this version.
    """
    for line in lines:
        if line.endswith(b"\n"):
            yield read_event(line)
