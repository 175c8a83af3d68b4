"""The publishing side: numbers every message of a topic, never waits for anybody."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import zmq

from tradeproc.bus.codec import encode_published
from tradeproc.bus.sockets import Socket
from tradeproc.clock import wall_ns
from tradeproc.protocol.process_messages import HEARTBEAT

_SUBSCRIBED = b"\x01"
_MOST_A_TURN = 256

Greet: TypeAlias = Callable[[], None]


class Publisher:
    """One publishing socket. A subscriber that is too slow loses messages and sees it by their numbers."""

    def __init__(self, socket: Socket, greet: Greet) -> None:
        self.epoch: int = wall_ns()
        self._socket = socket
        self._greet = greet
        self._sequences: dict[str, int] = {}

    def publish(self, topic: str, body: Any) -> None:
        """Send to all who listen now; nobody listening is no error."""
        sequence = self._sequences.get(topic, 0) + 1
        frames = encode_published(topic.encode(), self.epoch, sequence, wall_ns(), body)
        self._sequences[topic] = sequence
        self._socket.send_multipart(frames, zmq.NOBLOCK)

    def renew_epoch(self) -> None:
        """Begin to number anew, so that every subscriber asks again for everything."""
        self.epoch = max(wall_ns(), self.epoch + 1)
        self._sequences.clear()

    def sequences(self, prefix: str = "") -> Mapping[str, int]:
        """Return the last number of each topic that begins with `prefix`, heartbeats left out."""
        return {
            topic: number
            for topic, number in self._sequences.items()
            if topic.startswith(prefix) and topic != HEARTBEAT.name
        }

    def read(self) -> None:
        """Greet whoever subscribed; so a newcomer need not wait for the next heartbeat to know where it stands."""
        has_newcomer = False
        for _ in range(_MOST_A_TURN):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            has_newcomer = has_newcomer or frames[0].startswith(_SUBSCRIBED)
        if has_newcomer:
            self._greet()
