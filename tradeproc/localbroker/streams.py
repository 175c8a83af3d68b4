"""Answers without an end: lines of JSON in chunks, heartbeats in silence, a farewell at the end; and their faults."""

import asyncio
import itertools
import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.domain.units import iso
from tradeproc.localbroker.faults import GARBLING, FaultName, FaultTable, InjectedFault, garbled
from tradeproc.localbroker.wakeups import ChangeSignals, Waiter
from tradeproc.localbroker.wire_forms import Line, RecordFields, StreamForm

HEARTBEAT_SECONDS = 5.0
# _FRAMES act from the beginning of the snapshot, _LIVE only after its end
_LIVE = frozenset({FaultName.FAREWELL, FaultName.TAKEN_OVER, FaultName.CUT, FaultName.STALL})
_FRAMES = frozenset({FaultName.SPLIT, FaultName.DROP_ORDER_FRAMES, FaultName.REPEAT_FRAMES}) | GARBLING


class Source(Protocol):
    """Supplies the lines of a stream."""

    @property
    def form(self) -> StreamForm:
        """Return the stream's own lines: heartbeat, end of snapshot, farewells."""
        ...

    def snapshot(self) -> Iterable[Line]:
        """Return the lines of the beginning, without the line that ends them."""
        ...

    def changes(self) -> Iterable[Line]:
        """Return what is new since the last call, without waiting."""
        ...


@dataclass(slots=True)
class OpenStream:
    """A stream as the status shows it, with the faults that act on it now."""

    id: int
    endpoint: str
    subject: str
    accounts: tuple[str, ...]
    topics: tuple[str, ...]
    opened_at: int
    lines: int = 0
    heartbeats: int = 0
    lost: int = 0
    suffered: dict[int, InjectedFault] = field(default_factory=dict)
    until: dict[int, int] = field(default_factory=dict)

    def suffer(self, fault: InjectedFault) -> None:
        """Note a fault that acts on this stream from now on."""
        self.suffered[fault.id] = fault
        if fault.seconds is not None:
            self.until[fault.id] = monotonic_ns() + int(fault.seconds * SECOND)

    def has(self, name: FaultName) -> bool:
        """Tell whether such a fault acts on it now."""
        return any(fault.name is name and self._lasts(fault) for fault in self.suffered.values())

    def next_relief(self) -> float:
        """Return the seconds until the first of the acting faults ends by itself, at most 60."""
        ends = [end - monotonic_ns() for end in self.until.values() if end > monotonic_ns()]
        return min([60.0, *(end / SECOND for end in ends)])

    def _lasts(self, fault: InjectedFault) -> bool:
        end = self.until.get(fault.id)
        return not fault.is_cleared and (end is None or end > monotonic_ns())

    @property
    def body(self) -> dict[str, Any]:
        """Return it as the control API shows it."""
        return {
            "id": self.id,
            "endpoint": self.endpoint,
            "subject": self.subject,
            "opened_at": self.opened_at,
            "lines": self.lines,
            "heartbeats": self.heartbeats,
            "lost": self.lost,
            "faults": [str(fault.name) for fault in self.suffered.values() if self._lasts(fault)],
        }


class Streams:
    """All open streams and what they share; after `heartbeat` seconds of silence a heartbeat is sent."""

    def __init__(self, signals: ChangeSignals, faults: FaultTable, heartbeat: float, fields: RecordFields) -> None:
        self.signals, self.faults, self.heartbeat, self.fields = signals, faults, heartbeat, fields
        self.open: dict[int, OpenStream] = {}
        self._ids = itertools.count(1)
        self._dismissed: set[int] = set()

    def enter(self, endpoint: str, subject: str, accounts: tuple[str, ...], topics: tuple[str, ...]) -> OpenStream:
        """Register a stream that is about to begin."""
        stream = OpenStream(next(self._ids), endpoint, subject, accounts, topics, wall_ns())
        self.open[stream.id] = stream
        return stream

    def dismiss(self, prefix: str) -> None:
        """End the streams whose endpoint begins with `prefix`, because what they told is no longer true."""
        self._dismissed |= {stream.id for stream in self.open.values() if stream.endpoint.startswith(prefix)}
        self.signals.notify_all()

    def is_ending(self, stream: OpenStream) -> bool:
        """Tell whether a stream has to say farewell and end."""
        return self.signals.is_closing or stream.id in self._dismissed

    def leave(self, stream: OpenStream) -> None:
        """Forget a stream that has ended."""
        self.open.pop(stream.id, None)
        self._dismissed.discard(stream.id)


class StreamAnswer:
    """The ASGI answer of one stream."""

    def __init__(self, streams: Streams, stream: OpenStream, source: Source) -> None:
        self._streams, self._stream, self._source = streams, stream, source
        self._form = source.form
        self._waiter = Waiter()
        self._chance = random.Random(stream.id)  # noqa: S311 - where an object is cut
        self._said_at = monotonic_ns()
        self._is_over = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send lines until the client leaves, the server ends or a fault ends the stream."""
        self._send, self._scope = send, scope
        watch = asyncio.ensure_future(self._watch(receive))
        self._streams.signals.listen(self._waiter, self._stream.topics)
        try:
            await self._begin()
            await self._suffer(_FRAMES)
            await self._tell(self._source.snapshot(), is_snapshot=True)
            if self._form.snapshot_end is not None:
                await self._write([self._form.snapshot_end])
            while not self._is_over and not self._waiter.has_left:
                await self._turn()
        finally:
            watch.cancel()
            self._streams.signals.forget(self._waiter)
            self._streams.leave(self._stream)

    async def _begin(self) -> None:
        kind = self._form.content_type.encode()
        headers = [(b"content-type", kind), (b"cache-control", b"no-store, no-cache, max-age=0")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        # the headers are only sent with the first part of the body, and the client waits for them
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})

    async def _watch(self, receive: Receive) -> None:
        message: Message = {"type": ""}
        while message["type"] != "http.disconnect":
            message = await receive()
        self._waiter.leave()

    async def _turn(self) -> None:
        await self._suffer(_LIVE | _FRAMES)
        stream = self._stream
        if self._is_over:
            return
        if self._streams.is_ending(stream):
            await self._say_farewell()
            return
        if stream.has(FaultName.STALL):
            await self._waiter.wait(stream.next_relief())
            return
        await self._tell(self._source.changes())
        silence = (monotonic_ns() - self._said_at) / SECOND
        heartbeat = self._streams.heartbeat
        if silence >= heartbeat:
            stream.heartbeats += 1
            await self._write([self._form.heartbeat(stream.heartbeats, iso(wall_ns()))])
            silence = 0.0
        await self._waiter.wait(min(heartbeat - silence, stream.next_relief()))

    async def _suffer(self, names: frozenset[FaultName]) -> None:
        stream = self._stream
        fault = self._streams.faults.take(names, stream.endpoint, stream.accounts, stream.suffered, stream.subject)
        if fault is None:
            return
        stream.suffer(fault)
        if fault.name is FaultName.FAREWELL:
            await self._say_farewell()
        if fault.name is FaultName.TAKEN_OVER:
            await self._end(self._form.taken_over)
        if fault.name is FaultName.CUT:
            reset(self._scope)
            self._is_over = True
            while not self._waiter.has_left:
                await self._waiter.wait(1.0)
        if not self._is_over:
            # another fault may match this stream too
            await self._suffer(names)

    async def _say_farewell(self) -> None:
        await self._end(self._form.farewell)

    async def _end(self, farewell: Line) -> None:
        await self._write([farewell])
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        self._is_over = True

    async def _tell(self, lines: Iterable[Line], *, is_snapshot: bool = False) -> None:
        told = list(lines)
        if not is_snapshot and self._stream.has(FaultName.DROP_ORDER_FRAMES):
            self._stream.lost += len(told)
            return
        for name in GARBLING:
            if self._stream.has(name):
                told = garbled(told, name, self._streams.fields)
        if self._stream.has(FaultName.REPEAT_FRAMES):
            told = [line for line in told for _ in range(2)]
        await self._write(told)

    async def _write(self, lines: list[Line]) -> None:
        if not lines:
            return
        self._stream.lines += len(lines)
        raw = b"".join(orjson.dumps(line) + b"\r\n" for line in lines)
        pieces = self._pieces(raw) if self._stream.has(FaultName.SPLIT) else [raw]
        for number, piece in enumerate(pieces):
            if number:
                # the pause keeps the pieces from being joined in one packet
                await asyncio.sleep(0.005)
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        self._said_at = monotonic_ns()

    def _pieces(self, raw: bytes) -> list[bytes]:
        cuts = sorted(self._chance.sample(range(1, len(raw)), min(3, len(raw) - 1)))
        return [raw[start:end] for start, end in itertools.pairwise([0, *cuts, len(raw)])]


def refused_stream(line: Line, *, form: StreamForm) -> Response:
    """Return a stream that holds one error and ends, with status 200, as a real broker refuses streams."""
    return Response(orjson.dumps(line) + b"\r\n", media_type=form.content_type)


def reset(scope: Scope) -> None:
    """End the request's connection with a TCP reset; wait for the disconnect before returning to the server."""
    transport: asyncio.Transport = scope["state"]["transport"]
    if not transport.is_closing():
        found = transport.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    transport.abort()
