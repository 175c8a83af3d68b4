"""The hearing side: one socket a publisher, every loss noticed and told to those it concerns.

A subscription goes: first contact -> `on_resync("start")`; a message lost -> `on_resync("gap")`; the publisher
began anew -> `on_resync("epoch")`. Each time the subscriber asks for a snapshot; `follow.py` does that for it.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import zmq

from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import BadFrames, Body, Envelope, decode_published
from tradeproc.bus.gaps import Heard, Sequences
from tradeproc.bus.loop import Loop
from tradeproc.bus.sockets import Context, connect_subscriber
from tradeproc.clock import monotonic_ns
from tradeproc.errors import Refusal
from tradeproc.protocol.codec import Codec
from tradeproc.protocol.process_messages import HEARTBEAT

log = logging.getLogger(__name__)

OnMessage = Callable[[Envelope[Any]], None]
OnResync = Callable[[str], None]

_MOST_A_TURN = 512


@dataclass(slots=True, eq=False)
class _Listener:
    prefix: str
    on_message: OnMessage
    on_resync: OnResync | None
    codec: Codec[Any] | None
    is_started: bool = False

    def hears(self, topic: str) -> bool:
        """Tell whether a topic is what it listens to: the one that it has the form of, or all with its prefix."""
        return topic.startswith(self.prefix) if self.codec is None else topic == self.prefix


class _Channel:
    """All that we hear of one publisher."""

    def __init__(self, context: Context, directory: Directory, process: str, counts: Counter[str]) -> None:
        self.process = process
        self.heard_at: int | None = None
        self.socket = connect_subscriber(context, directory, process)
        self._counts = counts
        self._listeners: list[_Listener] = []
        self._routes: dict[str, list[_Listener]] = {}
        self._sequences = Sequences()
        self._has_newcomers = False

    def add(self, listener: _Listener) -> None:
        """Begin to listen; the heartbeat comes last, so that the greeting it causes finds the topic subscribed."""
        self._listeners.append(listener)
        self._routes.clear()
        self._has_newcomers = True
        self.socket.setsockopt(zmq.SUBSCRIBE, listener.prefix.encode())
        if len(self._listeners) == 1:
            self.socket.setsockopt(zmq.SUBSCRIBE, HEARTBEAT.name.encode())

    def drop(self, prefix: str) -> bool:
        """Stop listening to a prefix; return whether anybody is left."""
        for listener in [one for one in self._listeners if one.prefix == prefix]:
            self._listeners.remove(listener)
            self.socket.setsockopt(zmq.UNSUBSCRIBE, prefix.encode())
        self._routes.clear()
        return bool(self._listeners)

    def read(self) -> None:
        """Take what waits, but leave the loop's other sockets their turn."""
        receive = self.socket.recv_multipart
        for _ in range(_MOST_A_TURN):
            try:
                frames = receive(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self._take(decode_published(self.process, frames))
            except BadFrames as refusal:
                self._counts["garbage"] += 1
                log.warning("message_garbled publisher=%s reason=%s", self.process, refusal)
            if not self._listeners:
                return

    def _take(self, envelope: Envelope[Body]) -> None:
        self.heard_at = monotonic_ns()
        fresh: Sequence[_Listener] = ()
        if self._sequences.is_new(envelope.epoch):
            fresh = self._resync_all("epoch")
        elif self._has_newcomers:
            fresh = self._resync_all("")
        if envelope.topic == HEARTBEAT.name:
            self._take_heartbeat(envelope, fresh)
            return
        heard = self._sequences.hear(envelope.topic, envelope.sequence)
        listeners = self._routes.get(envelope.topic) or self._route(envelope.topic)
        if heard is not Heard.IN_ORDER:
            if heard is Heard.REPEATED:
                self._counts["repeated"] += 1
                return
            self._tell_gap([listener for listener in listeners if listener not in fresh])
        for listener in listeners:
            self._deliver(listener, envelope)

    def _take_heartbeat(self, envelope: Envelope[Body], fresh: Sequence[_Listener]) -> None:
        told = envelope.body.get("topics")
        if not isinstance(told, dict) or not all(isinstance(number, int) for number in told.values()):
            raise BadFrames("a heartbeat without the numbers of its topics")
        lost = self._sequences.missed({topic: told[topic] for topic in told if self._route(topic)})
        if lost:
            hit = [one for one in self._listeners if any(map(one.hears, lost))]
            self._tell_gap([listener for listener in hit if listener not in fresh])
        for listener in self._route(HEARTBEAT.name):
            self._deliver(listener, envelope)

    def _route(self, topic: str) -> list[_Listener]:
        found = self._routes.get(topic)
        if found is None:
            found = [listener for listener in self._listeners if listener.hears(topic)]
            self._routes[topic] = found
        return found

    def _resync_all(self, reason: str) -> list[_Listener]:
        """Start newcomers, tell `reason` (if any) to the others, and return all who were told something."""
        self._has_newcomers = False
        told = [listener for listener in self._listeners if reason or not listener.is_started]
        for listener in told:
            was_started, listener.is_started = listener.is_started, True
            self._resync(listener, reason if was_started else "start")
        return told

    def _tell_gap(self, listeners: Sequence[_Listener]) -> None:
        for listener in listeners:
            self._resync(listener, "gap")

    def _resync(self, listener: _Listener, reason: str) -> None:
        self._counts[f"resync_{reason}"] += 1
        if reason != "start":
            log.warning("resync publisher=%s topic=%s reason=%s", self.process, listener.prefix, reason)
        if listener.on_resync is not None:
            listener.on_resync(reason)

    def _deliver(self, listener: _Listener, envelope: Envelope[Body]) -> None:
        try:
            listener.on_message(envelope if listener.codec is None else _typed(envelope, listener.codec))
        except Refusal as refusal:
            self._counts["refused"] += 1
            log.warning("message_refused publisher=%s topic=%s reason=%s", self.process, envelope.topic, refusal)


def _typed(envelope: Envelope[Body], codec: Codec[Any]) -> Envelope[Any]:
    publisher, topic, epoch, sequence, sent_at, body = envelope
    return Envelope(publisher, topic, epoch, sequence, sent_at, codec.read(body))


class Subscriptions:
    """All publishers that one node hears."""

    def __init__(self, loop: Loop, context: Context, directory: Directory, counts: Counter[str]) -> None:
        self._loop, self._context, self._directory, self._counts = loop, context, directory, counts
        self._channels: dict[str, _Channel] = {}

    def subscribe(
        self,
        process: str,
        topic: str,
        on_message: OnMessage,
        on_resync: OnResync | None,
        codec: Codec[Any] | None = None,
    ) -> None:
        """Listen to a topic of `process` whose bodies have a form, or without one to all that begin with `topic`."""
        channel = self._channels.get(process)
        if channel is None:
            channel = _Channel(self._context, self._directory, process, self._counts)
            self._channels[process] = channel
            self._loop.add(channel.socket, channel.read)
        channel.add(_Listener(topic, on_message, on_resync, codec))

    def unsubscribe(self, process: str, topic: str) -> None:
        """Stop all listening of ours to that topic of `process`."""
        channel = self._channels.get(process)
        if channel is not None and not channel.drop(topic):
            del self._channels[process]
            self._loop.remove(channel.socket)
            channel.socket.close(0)

    def heard_at(self, process: str) -> int | None:
        """Return when `process` was last heard, its heartbeats included, in monotonic ns; None before that."""
        channel = self._channels.get(process)
        return channel.heard_at if channel else None

    def close(self) -> None:
        """Close all sockets."""
        for channel in self._channels.values():
            self._loop.remove(channel.socket)
            channel.socket.close(0)
        self._channels.clear()
