"""Hears many processes at once, in one thread, for the live view and for `tradectl tail`."""

from typing import Self

import zmq

from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import BadFrames, Body, Envelope, decode_published
from tradeproc.bus.sockets import Socket, connect_subscriber, new_context

_MOST_AT_ONCE = 1_000


class Subscriber:
    """Subscriptions to any number of processes; a process that dies and comes back is heard again by itself."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._context = new_context()
        self._poller = zmq.Poller()
        self._followed: dict[str, Socket] = {}
        self._names: dict[Socket, str] = {}

    def follow(self, process: str, prefix: str = "") -> None:
        """Hear the topics of a process that begin with `prefix`; the first call for a process counts."""
        if process in self._followed:
            return
        socket = connect_subscriber(self._context, self._directory, process)
        socket.setsockopt(zmq.SUBSCRIBE, prefix.encode())
        self._poller.register(socket, zmq.POLLIN)
        self._followed[process] = socket
        self._names[socket] = process

    def hear(self, seconds: float) -> list[Envelope[Body]]:
        """Wait at most `seconds` for a message and return all that have come by then, each process's in order."""
        heard: list[Envelope[Body]] = []
        for socket, _ in self._poller.poll(int(seconds * 1000)):
            process = self._names[socket]
            for _ in range(_MOST_AT_ONCE):
                try:
                    heard.append(decode_published(process, socket.recv_multipart(zmq.NOBLOCK)))
                except zmq.Again:
                    break
                except BadFrames:
                    continue
        return heard

    def close(self) -> None:
        """Close all sockets."""
        self._context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
