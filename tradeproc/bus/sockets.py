"""Every ZeroMQ socket of tradeproc is made here, so that limits and security are set in one place.

Queues are bounded: what does not fit is dropped and shows as a gap (published) or as no answer (requests). A
message larger than `LARGEST_MESSAGE` costs its sender the connection; from other hosts it is `LARGEST_FROM_AFAR`.
"""

from typing import TypeAlias

import zmq

from tradeproc.bus.addresses import Directory
from tradeproc.bus.curve import RemoteAccess, dress_client, dress_server
from tradeproc.errors import Fault

Socket: TypeAlias = "zmq.Socket[bytes]"
Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"

PUBLISHED_QUEUE = 10_000
REQUEST_QUEUE = 1_000
LARGEST_MESSAGE = 64 * 1024 * 1024
# over tcp a stranger may send that much before it is known that it has no key
LARGEST_FROM_AFAR = 1024 * 1024
HANDSHAKE_MS, BACKLOG = 3_000, 32
PARTING_MS = 200
_RECONNECT_MS = 50


class CannotBind(Fault):
    """An address that cannot be had; the process dies and supervision tries again."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address}: cannot bind: {reason}")


def new_context() -> Context:
    """Return a context of its own: admission by keys is decided per context."""
    return zmq.Context()


def bind_publisher(context: Context, directory: Directory, process: str) -> Socket:
    """Return the socket on which `process` publishes; reading it tells who subscribed."""
    socket = _socket(context, zmq.XPUB, PUBLISHED_QUEUE)
    # each subscription is told, also the second one of the same topic, so that every newcomer can be greeted
    socket.setsockopt(zmq.XPUB_VERBOSE, 1)
    listener = directory.listeners.get(process)
    _bind(socket, f"ipc://{directory.path(process, 'pub')}", listener, listener.pub_port if listener else 0)
    return socket


def bind_server(context: Context, directory: Directory, process: str) -> Socket:
    """Return the socket on which `process` is asked."""
    socket = _socket(context, zmq.ROUTER, REQUEST_QUEUE)
    listener = directory.listeners.get(process)
    _bind(socket, f"ipc://{directory.path(process, 'rpc')}", listener, listener.rpc_port if listener else 0)
    return socket


def connect_subscriber(context: Context, directory: Directory, process: str) -> Socket:
    """Return a socket that hears `process` once topics are subscribed; it reconnects by itself for ever."""
    socket = _socket(context, zmq.SUB, PUBLISHED_QUEUE)
    return _connect(socket, directory, process, directory.pub(process))


def connect_requester(context: Context, directory: Directory, process: str) -> Socket:
    """Return a socket that asks `process`; what is sent while it is away waits for it, up to a limit."""
    socket = _socket(context, zmq.DEALER, REQUEST_QUEUE)
    return _connect(socket, directory, process, directory.rpc(process))


def _socket(context: Context, kind: int, queue: int) -> Socket:
    socket = context.socket(kind)
    socket.linger = 0
    socket.set_hwm(queue)
    socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
    socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
    return socket


def _connect(socket: Socket, directory: Directory, process: str, address: str) -> Socket:
    peer = directory.hosts.get(process)
    if peer is not None and directory.keys is not None:
        dress_client(socket, peer, directory.keys)
    socket.connect(address)
    return socket


def _bind(socket: Socket, address: str, listener: RemoteAccess | None, port: int) -> None:
    # a killed predecessor leaves its file behind; ZeroMQ removes it on bind, and the name lock says it is dead
    try:
        socket.bind(address)
        if listener is not None:
            # security holds for what is bound from here on: the folder's mode guards the address above
            dress_server(socket, listener)
            socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_FROM_AFAR)
            socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
            socket.setsockopt(zmq.BACKLOG, BACKLOG)
            address = f"tcp://{listener.address}:{port}"
            socket.bind(address)
    except zmq.ZMQError as error:
        socket.close(0)
        raise CannotBind(address, str(error)) from error
