"""The asking side: many questions under way at once, each answered exactly once, by a reply or by its deadline."""

import itertools
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import zmq

from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import BadFrames, ReplyStatus, Unencodable, WireReply, decode_reply, encode_request
from tradeproc.bus.deadlines import new_request
from tradeproc.bus.loop import Loop
from tradeproc.bus.sockets import Context, Socket, connect_requester
from tradeproc.bus.timers import Timer
from tradeproc.domain.frozen import dataclass
from tradeproc.errors import Outage, Refusal
from tradeproc.protocol.codec import BadMessage, Codec

log = logging.getLogger(__name__)

A = TypeVar("A")


class NoReply(Outage):
    """Nobody answered: whether it was done is not known; caught by the one who asked."""


class RequestRefused(Refusal):
    """The other process said no, in the words of the message; caught by the one who asked."""


@dataclass(frozen=True, slots=True)
class Answered(Generic[A]):
    """The other process did it, and this is what it said."""

    body: A


@dataclass(frozen=True, slots=True)
class RequestWasRefused:
    """The other process said no; nothing was done."""

    reason: str


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nobody answered in time or the answer was that nobody knows; it may have been done."""

    reason: str


Reply = Answered[A] | RequestWasRefused | NoAnswer
OnReply = Callable[[Reply[A]], None]


def silence(process: str, method: str, seconds: float) -> str:
    """Return the error text for a question that nobody answered."""
    return f"{process}: no answer to {method!r} within {seconds:g} s"


def to_reply(process: str, method: str, reply: WireReply, codec: Codec[Any] | None = None) -> Reply[Any]:
    """Return what a reply off the wire means to the one who asked; an answer that cannot be read is none."""
    if reply.status is ReplyStatus.ANSWERED:
        try:
            return Answered(reply.body if codec is None else codec.read(reply.body))
        except BadMessage as bad:
            return NoAnswer(f"{process}: the answer to {method!r} cannot be read: {bad}")
    reason = str(reply.body.get("reason", "no reason given"))
    if reply.status is ReplyStatus.REFUSED:
        return RequestWasRefused(reason)
    return NoAnswer(f"{process}: could not answer {method!r}: {reason}")


@dataclass(frozen=True, slots=True)
class _Pending:
    process: str
    method: str
    on_reply: OnReply[Any]
    deadline: Timer
    codec: Codec[Any] | None


class Requests:
    """All questions that one node has under way."""

    def __init__(self, loop: Loop, context: Context, directory: Directory, counts: Counter[str]) -> None:
        self._loop, self._context, self._directory, self._counts = loop, context, directory, counts
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._sockets: dict[str, Socket] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def request(
        self,
        process: str,
        method: str,
        params: Any,
        seconds: float,
        on_reply: OnReply[Any],
        codec: Codec[Any] | None = None,
    ) -> int:
        """Ask, and return the question's number at once; `codec` reads the answer, without one it stays plain."""
        socket = self._sockets.get(process) or self._connect(process)
        number = next(self._numbers)
        try:
            frames = encode_request(new_request(number, method, params, seconds))
        except Unencodable as problem:
            refused = RequestWasRefused(f"{process}: was not asked {method!r}: {problem}")
            self._loop.after(0, lambda: on_reply(refused))
            return number
        reason = silence(process, method, seconds)
        deadline = self._loop.after(seconds, lambda: self._finish(number, NoAnswer(reason)))
        self._pending[number] = _Pending(process, method, on_reply, deadline, codec)
        try:
            socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            full = f"{process}: has been away so long that no more requests are kept for it"
            self._loop.after(0, lambda: self._finish(number, NoAnswer(full)))
        return number

    def abandon(self, reason: str) -> None:
        """Answer all that is under way with `NoAnswer`; questions asked meanwhile are left alone."""
        for number in list(self._pending):
            self._finish(number, NoAnswer(reason))

    def close(self) -> None:
        """Close all sockets."""
        for socket in self._sockets.values():
            self._loop.remove(socket)
            socket.close(0)
        self._sockets.clear()

    def _connect(self, process: str) -> Socket:
        socket = connect_requester(self._context, self._directory, process)
        self._sockets[process] = socket
        self._loop.add(socket, lambda: self._read(process, socket))
        return socket

    def _read(self, process: str, socket: Socket) -> None:
        while not socket.closed:
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                reply = decode_reply(frames)
            except BadFrames as bad:
                self._counts["garbage"] += 1
                log.warning("reply_garbled process=%s reason=%s", process, bad)
                continue
            asked = self._pending.get(reply.id)
            if asked is None or asked.process != process:
                self._counts["late_replies"] += 1
                continue
            self._finish(reply.id, to_reply(process, asked.method, reply, asked.codec))

    def _finish(self, number: int, reply: Reply[Any]) -> None:
        asked = self._pending.pop(number, None)
        if asked is None:
            return
        asked.deadline.cancel()
        try:
            asked.on_reply(reply)
        except Refusal as refusal:
            self._counts["refused"] += 1
            log.warning("reply_refused process=%s method=%s reason=%s", asked.process, asked.method, refusal)
