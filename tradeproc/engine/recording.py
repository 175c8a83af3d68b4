"""A trader's life as lines of JSON: each event with its moment, so that the engine can be run over it again.

    {"header": …}                            what the life began with: session, fence, specification, latches
    [moment, "TimePassed", {}, 0]            one event that had no effects
    [moment, "CandleReceived", {…}, digest, "Persist Send"]
                                             one with effects: the CRC-32 of all, and the kind of each
    [moment, "Lost", {"events": 12}, 0]      the recorder could not keep up or write: what follows cannot be replayed

Reading gives the same event back: floats keep every bit, Decimals every digit. Effects themselves are not recorded;
a replay computes them and compares digests. Lines and notes for people (`Publish`, `Log`) are no part of either.
Version 2 had no kinds of effects and no digest of the strategy's file, and is read.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, get_args

import msgspec

from tradeproc.domain.answers import Answer
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import ListedOrder, Outcome
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Nanos
from tradeproc.engine import events
from tradeproc.engine.effects import Effect, Log, Publish
from tradeproc.engine.events import Event, TradingState
from tradeproc.errors import Refusal
from tradeproc.protocol.codec import BadMessage, Codec

VERSION = 3
_READ = (2, VERSION)
LOST = "Lost"

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}


def _plain(value: Any) -> str:
    """Return a scope or a process name, whose types derive from str, as plain text."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be recorded")


_encode = msgspec.json.Encoder(decimal_format="string", enc_hook=_plain).encode
_decode_idle = msgspec.json.Decoder(tuple[int, str, msgspec.Raw, int]).decode
_decode_acted = msgspec.json.Decoder(tuple[int, str, msgspec.Raw, int, str]).decode


class BadRecording(Refusal):
    """A line that holds no event of this version; caught by whoever replays."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a life began with; `spec` is `SessionSpec.to_dict()`, `latches` the stored states by scope.

    `strategy_digest` is the SHA-256 of the strategy's file, empty where it is not known.
    """

    session: int
    fence: int
    installation: str
    spec: Mapping[str, Any]
    latches: Mapping[str, TradingState]
    began_at: Nanos
    program: str
    version: int = VERSION
    strategy_digest: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event as it was told, and the digest of what it led to; `event` is None where events were lost.

    `kinds` names each effect, in their order; it is empty where there were none, and in recordings of version 2.
    """

    event: Event | None
    now: Nanos
    digest: int
    kinds: tuple[str, ...] = ()


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
    kept = recorded_effects(effects)
    line = (now, type(event).__name__, _fields(event), digest_of(kept))
    return _encode((*line, " ".join(type(each).__name__ for each in kept)) if kept else line) + b"\n"


def lost_line(count: int, now: Nanos) -> bytes:
    """Return the line that stands where `count` events are missing."""
    return _encode((now, LOST, {"events": count}, 0)) + b"\n"


def recorded_effects(effects: Iterable[Effect]) -> list[Effect]:
    """Return the effects that a replay compares: all but the lines and notes for people."""
    return [each for each in effects if not isinstance(each, Publish | Log)]


def digest_of(effects: Iterable[Effect]) -> int:
    """Return the CRC-32 of what is written down, sent and asked, in its order; 0 when there is nothing of it."""
    found = [(type(each).__name__, each) for each in recorded_effects(effects)]
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
    if header.version not in _READ:
        raise BadRecording(f"the recording has version {header.version}, this program reads {_READ[0]} to {VERSION}")
    return header


def read_event(line: bytes) -> Recorded:
    """Return the event that a line holds.

    Raises:
        BadRecording: it holds none of this version.
    """
    try:
        now, name, fields, digest, kinds = _split(line)
        if name == LOST:
            return Recorded(None, Nanos(now), digest)
        return Recorded(_READERS[name](bytes(fields)), Nanos(now), digest, tuple(kinds.split()))
    except KeyError as unknown:
        raise BadRecording(f"no event of this version: {unknown}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, BadMessage) as error:
        raise BadRecording(f"a line that is no event: {error}") from None


def _split(line: bytes) -> tuple[int, str, msgspec.Raw, int, str]:
    try:
        return (*_decode_idle(line), "")
    except msgspec.ValidationError:
        return _decode_acted(line)


def read_events(lines: Iterable[bytes]) -> Iterator[Recorded]:
    """Yield what the lines after the header hold; a last line that a crash cut short is left out.

    Raises:
        BadRecording: a whole line holds no event of this version.
    """
    for line in lines:
        if line.endswith(b"\n"):
            yield read_event(line)
