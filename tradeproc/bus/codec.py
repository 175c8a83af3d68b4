"""What travels: envelope, request and reply as frames; pure.

    published   topic | header (version, epoch, sequence, sent_at), body
    request     header (version, id, budget, sent_at, machine) | method | body
    reply       header (version, status, id) | body

Bodies are JSON objects. Times in a published header are wall clock ns; a request's are monotonic ns, which only
processes of the same machine can compare, hence `machine`.
"""

import struct
from enum import IntEnum
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.texts import storable_value
from tradeproc.errors import Refusal
from tradeproc.protocol.writing import plain, plain_default

Body = dict[str, Any]
B = TypeVar("B")

VERSION = 1
_PUBLISHED = struct.Struct(">BQQQ")
_REQUEST = struct.Struct(">BQQQQ")
_REPLY = struct.Struct(">BBQ")
_LARGEST = 2**64 - 1


class BadFrames(Refusal):
    """Bytes that are no message of ours; counted and dropped by the socket that got them."""


class Unencodable(Refusal):
    """A body that cannot be written: a number beyond 64 bits, a text that is no Unicode.

    The process that waits for the message is told.
    """


class ReplyStatus(IntEnum):
    """How a request ended on the side that served it."""

    ANSWERED = 0
    REFUSED = 1
    UNAVAILABLE = 2


class Envelope(NamedTuple, Generic[B]):
    """A published message; `sent_at` is the publisher's wall clock in ns."""

    publisher: str
    topic: str
    epoch: int
    sequence: int
    sent_at: int
    body: B


@dataclass(frozen=True, slots=True)
class Request:
    """A question: `budget` ns from `sent_at` (monotonic on `machine`) until nobody wants the answer any more."""

    id: int
    budget: int
    sent_at: int
    machine: int
    method: str
    body: Any


@dataclass(frozen=True, slots=True)
class WireReply:
    """What came back for request `id`."""

    status: ReplyStatus
    id: int
    body: Body


def encode_body(body: Any) -> bytes:
    """Return a body as bytes: a JSON object, or what `Codec.write` makes of a value.

    Half a character in a text, as odd bytes of a command line leave it, is replaced.

    Raises:
        Unencodable: something in it cannot be written.
    """
    try:
        return orjson.dumps(body, default=plain_default)
    except (TypeError, ValueError, RecursionError):
        return _encode_storable(body)


def _encode_storable(body: Any) -> bytes:
    try:
        return orjson.dumps(storable_value(plain(body)), default=plain_default)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unencodable(f"a message that cannot be written: {error}") from error


def decode_body(data: bytes | memoryview) -> Body:
    """Return the object that bytes hold.

    Raises:
        BadFrames: they hold no JSON object.
    """
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadFrames(f"body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadFrames("body is no object")
    return body


def encode_published(topic: bytes, epoch: int, sequence: int, sent_at: int, body: Any) -> list[bytes]:
    """Return the frames of a published message.

    Raises:
        Unencodable: something in the body cannot be written.
    """
    # two frames, not three: each costs both sides a microsecond, a fifth of all
    return [topic, _PUBLISHED.pack(VERSION, epoch, sequence, sent_at) + encode_body(body)]


def decode_published(publisher: str, frames: list[bytes]) -> Envelope[Body]:
    """Return the envelope that frames hold.

    Raises:
        BadFrames: they are no published message of this version.
    """
    try:
        topic, told = frames
        version, epoch, sequence, sent_at = _PUBLISHED.unpack_from(told)
    except (ValueError, struct.error):
        raise BadFrames(f"{len(frames)} frames are no published message") from None
    if version != VERSION:
        raise BadFrames(f"version {version} is not {VERSION}")
    body = decode_body(memoryview(told)[_PUBLISHED.size :])
    return Envelope(publisher, _text(topic), epoch, sequence, sent_at, body)


def encode_request(request: Request) -> list[bytes]:
    """Return the frames of a request."""
    header = _REQUEST.pack(
        VERSION, request.id, min(request.budget, _LARGEST), request.sent_at, request.machine & _LARGEST
    )
    return [header, request.method.encode(), encode_body(request.body)]


def decode_request(frames: list[bytes]) -> Request:
    """Return the request that frames hold.

    Raises:
        BadFrames: they are no request of this version.
    """
    if len(frames) != 3 or len(frames[0]) != _REQUEST.size:
        raise BadFrames(f"{len(frames)} frames are no request")
    version, number, budget, sent_at, machine = _REQUEST.unpack(frames[0])
    if version != VERSION:
        raise BadFrames(f"version {version} is not {VERSION}")
    return Request(number, budget, sent_at, machine, _text(frames[1]), decode_body(frames[2]))


def encode_reply(status: ReplyStatus, number: int, body: Any) -> list[bytes]:
    """Return the frames of a reply to request `number`."""
    return [_REPLY.pack(VERSION, status, number), encode_body(body)]


def decode_reply(frames: list[bytes]) -> WireReply:
    """Return the reply that frames hold.

    Raises:
        BadFrames: they are no reply of this version.
    """
    if len(frames) != 2 or len(frames[0]) != _REPLY.size:
        raise BadFrames(f"{len(frames)} frames are no reply")
    version, status, number = _REPLY.unpack(frames[0])
    if version != VERSION or status not in ReplyStatus.__members__.values():
        raise BadFrames(f"version {version}, status {status} are no reply of ours")
    return WireReply(ReplyStatus(status), number, decode_body(frames[1]))


def _text(frame: bytes) -> str:
    try:
        return frame.decode()
    except UnicodeDecodeError as error:
        raise BadFrames("a name that is no text") from error
