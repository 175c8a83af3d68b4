"""What processes send each other, and what supervisord sends the warden: no bytes may end the one who hears them."""

import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import orjson
import zmq

from tests import bodies as m
from tests.brokers.tradestation import examples
from tests.fuzz import mutations
from tests.fuzz.harness import Target
from tradeproc.bus import codec
from tradeproc.bus.addresses import Directory
from tradeproc.bus.follow import Follow
from tradeproc.bus.requests import Answered, NoAnswer, RequestWasRefused, to_reply
from tradeproc.bus.serving import RequestServer, typed
from tradeproc.bus.subscriptions import Subscriptions
from tradeproc.clock import monotonic_ns
from tradeproc.domain.answers import Known
from tradeproc.domain.broker_orders import Accepted, BrokerOrder
from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import OrderState, OrderType, Side
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.protocol.codec import BadMessage
from tradeproc.protocol.feed_messages import CANDLE
from tradeproc.protocol.link_messages import HISTORY, MOST_CANDLES, ORDERS, HistoryQuestion
from tradeproc.supervision.listener import BadProtocol, EventReader

_BODY = orjson.dumps({"topics": {"candle": 3, "order": 1}, "state": "ready", "at": 1, "pid": 7})
_PUBLISHED = [b"candle", struct.pack(">BQQQ", 1, 5, 1, 9) + _BODY]
_HEARTBEAT = [b"heartbeat", struct.pack(">BQQQ", 1, 5, 1, 9) + _BODY]
_HISTORY = {"contract": "ESH24", "minutes": 1, "count": 5}
_REQUEST = [struct.pack(">BQQQQ", 1, 1, 2**62, 1, 1), b"history", orjson.dumps(_HISTORY)]
_REPLY = [struct.pack(">BBQ", 1, 0, 1), orjson.dumps({"reason": "no", "epoch": 5, "sequences": {"candle": 2}})]


def _frames(random: Random, seed: list[bytes]) -> list[bytes]:
    """Return frames with one or two of them changed, lost or doubled; a body is changed as an object, too."""
    frames = list(seed)
    for _ in range(random.randrange(3)):
        kind, at = random.random(), random.randrange(len(frames)) if frames else 0
        if not frames or kind < 0.05:
            frames.append(random.choice(mutations.PIECES))
        elif kind < 0.1:
            del frames[at]
        elif kind < 0.6:
            frames[at] = mutations.raw(random, frames[at])
        else:
            start = frames[-1].find(b"{")
            if start >= 0:
                try:
                    body = mutations.tree(random, frames[-1][start:])
                except orjson.JSONDecodeError:
                    continue
                frames[-1] = frames[-1][:start] + orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS)
    return frames


# --- the codec

_DECODERS: tuple[tuple[list[bytes], Callable[[list[bytes]], Any]], ...] = (
    (_PUBLISHED, lambda frames: codec.decode_published("core.keeper", frames)),
    (_REQUEST, codec.decode_request),
    (_REPLY, codec.decode_reply),
)


def _draw_frames(random: Random) -> tuple[int, list[bytes]]:
    which = random.randrange(len(_DECODERS))
    return which, _frames(random, _DECODERS[which][0])


def _decode(drawn: tuple[int, list[bytes]]) -> None:
    which, frames = drawn
    found = _DECODERS[which][1](frames)
    codec.encode_body(found.body)
    if isinstance(found, codec.WireReply):
        to_reply("core.keeper", "submit", found)


# --- those who hear


class _Socket:
    """Stands for a ZeroMQ socket that gives what it was given."""

    closed = False
    linger = 0

    def __init__(self) -> None:
        self.waiting: list[list[bytes]] = []
        self.sent: list[list[bytes]] = []

    def recv_multipart(self, _flags: int = 0) -> list[bytes]:
        if not self.waiting:
            raise zmq.Again
        return self.waiting.pop(0)

    def send_multipart(self, frames: list[bytes], _flags: int = 0) -> None:
        self.sent.append(frames)

    def nothing(self, *_: Any) -> None:
        """Take any setting."""

    setsockopt = set_hwm = connect = close = nothing


class _Loop:
    """Stands for the loop: every socket is ready at once."""

    def add(self, _socket: Any, read: Callable[[], None]) -> None:
        self.read = read

    def remove(self, _socket: Any) -> None:
        """Forget it."""

    def is_here(self) -> bool:
        return True


def _hear(drawn: list[list[bytes]]) -> None:
    socket, loop, counts = _Socket(), _Loop(), Counter[str]()
    context: Any = SimpleNamespace(socket=lambda _kind: socket)
    some: Any = loop
    subscriptions = Subscriptions(some, context, Directory(Path("/run/x")), counts)
    heard: list[codec.Envelope] = []
    subscriptions.subscribe("core.keeper", "candle", heard.append, lambda reason: None)
    subscriptions.subscribe("core.keeper", "", heard.append, None)
    socket.waiting = drawn
    loop.read()
    assert not socket.waiting


def _draw_published(random: Random) -> list[list[bytes]]:
    seeds = (_PUBLISHED, _HEARTBEAT)
    return [_frames(random, random.choice(seeds)) for _ in range(random.randrange(1, 4))]


def _serve(frames: list[bytes]) -> None:
    socket, loop = _Socket(), _Loop()
    some: Any = socket
    other: Any = loop
    server = RequestServer(other, some, Counter())

    def history(asked: HistoryQuestion, _seconds: float) -> Known[tuple[Candle, ...]]:
        assert 1 <= asked.count <= MOST_CANDLES
        return Known(())

    server.handle(HISTORY.name, typed(HISTORY, history))
    socket.waiting = [[b"asker", *frames]]
    server.read()
    for _, *answer in socket.sent:
        codec.decode_reply(answer)


def _draw_request(random: Random) -> list[bytes]:
    frames = _frames(random, _REQUEST)
    if frames and len(frames[0]) == 33:
        # one that is not too late, or nothing behind the header would be looked at
        frames[0] = struct.pack(">BQQQQ", frames[0][0], 1, 2**62, monotonic_ns() & (2**64 - 1), 0)
    return frames


# --- a copy of somebody's state

_SNAPSHOT = orjson.dumps({"epoch": 5, "sequences": {"candle": 2}, "candles": []})


class _FollowNode:
    def __init__(self) -> None:
        self.on_reply: Callable[[Any], None] = lambda reply: None

    def subscribe(self, _process: str, _topic: str, _take: Any, resync: Callable[[str], None]) -> None:
        self.resync = resync

    def request(self, _process: str, _method: str, _body: Any, *, seconds: float, on_reply: Any) -> None:
        self.on_reply = on_reply

    def after(self, _seconds: float, _call: Any) -> None:
        """Never come back."""


def _draw_snapshot(random: Random) -> Any:
    body = mutations.tree(random, _SNAPSHOT)
    return random.choice((Answered(body), Answered(body), Answered(body), NoAnswer("x"), RequestWasRefused("x")))


def _follow(reply: Any) -> None:
    if isinstance(reply, Answered) and not isinstance(reply.body, dict):
        return
    node: Any = _FollowNode()
    told: list[codec.Envelope] = []
    follow = Follow(node, "p.q", "candle", on_snapshot=lambda body: None, on_message=told.append)
    node.resync("start")
    follow._take(codec.Envelope("p.q", "candle", 5, 3, 0, {}))
    node.on_reply(reply)
    follow._take(codec.Envelope("p.q", "candle", 5, 4, 0, {}))


# --- values in bodies

_ORDER = BrokerOrder(
    *(
        "1",
        "SIM",
        "ESH26",
        Side.BUY,
        OrderType.LIMIT,
        Contracts(2),
        Contracts(1),
        OrderState.SUBMITTED,
        "ACK",
        Nanos(7),
    ),
    limit=examples.price("5312"),
)
_VALUES: tuple[tuple[Any, Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    (m.broker_order_to_body(_ORDER), m.broker_order_from_body, m.broker_order_to_body),
    (m.request_to_body(examples.request("a1")), m.request_from_body, m.request_to_body),
    (m.request_to_body(examples.bracket()), m.request_from_body, m.request_to_body),
    (m.outcome_to_body(Accepted({"a1": "1"})), m.outcome_from_body, m.outcome_to_body),
    ({"outcome": "unanswered", "reason": "x", "was_sent": True}, m.outcome_from_body, m.outcome_to_body),
    (
        ORDERS.answer_codec.plain(Known((_ORDER,))),
        ORDERS.answer_codec.read,
        ORDERS.answer_codec.plain,
    ),
    (
        {"account": "SIM", "contract": "ESH26", "quantity": -1, "average": "5311.75"},
        m.position_from_body,
        m.position_to_body,
    ),
    (
        {
            **dict.fromkeys(("opened_at", "closed_at", "volume", "ticks", "minutes"), 1),
            **dict.fromkeys(("open", "high", "low", "close"), 5312.25),
            **{"closed": True, "contract": "ESH26"},
        },
        CANDLE.codec.read,
        CANDLE.codec.plain,
    ),
    (
        {"contract": "ESH26", "broker_symbol": "ESH26", "tick_size": "0.25", "point_value": "50", "currency": "USD"}
        | {"exchange": "CME", "description": "", "expires_on": None},
        m.contract_details_from_body,
        m.contract_details_to_body,
    ),
    (
        {
            "account": "SIM",
            "currency": "USD",
            "cash": "1",
            "equity": "1",
            "realized": "0",
            "unrealized": "0",
            "at": 1,
        },
        m.balance_from_body,
        m.balance_to_body,
    ),
)
_VALUE_SEEDS = [orjson.dumps(seed) for seed, _, _ in _VALUES]


def _draw_value(random: Random) -> tuple[int, Any]:
    which = random.randrange(len(_VALUES))
    return which, mutations.tree(random, _VALUE_SEEDS[which])


def _read_value(drawn: tuple[int, Any]) -> None:
    which, body = drawn
    _, read, write = _VALUES[which]
    value = read(body)
    assert read(orjson.loads(codec.encode_body(write(value)))) == value


# --- supervisord's events

_EVENT = (
    b"ver:3.0 server:supervisor serial:21 pool:warden poolserial:10 eventname:PROCESS_STATE_EXITED len:71\n"
    b"processname:trader groupname:session-1 from_state:RUNNING expected:0 pid:2766"
)


def _draw_event(random: Random) -> list[bytes]:
    return mutations.pieces(random, mutations.raw(random, _EVENT * random.randrange(1, 3)))


def _read_event(chunks: list[bytes]) -> None:
    reader = EventReader()
    for chunk in chunks:
        for event in reader.feed(chunk):
            assert isinstance(event.group + event.program + event.name, str)


TARGETS = (
    Target("codec", _draw_frames, _decode, (codec.BadFrames,)),
    Target("subscriptions", _draw_published, _hear),
    Target("serving", _draw_request, _serve),
    Target("snapshots", _draw_snapshot, _follow),
    Target("bodies", _draw_value, _read_value, (BadMessage,)),
    Target("events", _draw_event, _read_event, (BadProtocol,)),
)
