"""CURVE: who we are towards other hosts, and which of them may talk to us.

The secret never appears in a repr. Admission runs in the node's own loop: ZeroMQ asks it about every new
connection on tcp (its ZAP protocol, RFC 27) and it knows the public keys that may come in.
"""

from collections.abc import Collection
from dataclasses import field

import zmq
from zmq.utils import z85

from tradeproc.domain.frozen import dataclass


@dataclass(frozen=True, slots=True)
class CurveKeys:
    """A key pair in Z85 text, 40 characters each."""

    public: str
    secret: str = field(repr=False)

    @classmethod
    def fresh(cls) -> "CurveKeys":
        """Return a new key pair."""
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())


@dataclass(frozen=True, slots=True)
class TcpPeer:
    """A process on another host and the public key that proves it."""

    host: str
    pub_port: int
    rpc_port: int
    server_public_key: str


@dataclass(frozen=True, slots=True)
class RemoteAccess:
    """How a process of this host can be reached from others: where, who it is, and who may come in."""

    address: str
    pub_port: int
    rpc_port: int
    keys: CurveKeys
    admitted: Collection[str] = ()


def dress_client(socket: "zmq.Socket[bytes]", peer: TcpPeer, keys: CurveKeys) -> None:
    """Make a socket prove who we are and accept only that peer; before connecting."""
    socket.curve_publickey = keys.public.encode()
    socket.curve_secretkey = keys.secret.encode()
    socket.curve_serverkey = peer.server_public_key.encode()
    # a dead peer on tcp is noticed by pings, not by the kernel's two hours
    socket.setsockopt(zmq.HEARTBEAT_IVL, 2_000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6_000)


def dress_server(socket: "zmq.Socket[bytes]", listener: RemoteAccess) -> None:
    """Make what a socket binds from now on speak CURVE only."""
    socket.curve_server = True
    socket.curve_secretkey = listener.keys.secret.encode()
    socket.setsockopt(zmq.HEARTBEAT_IVL, 2_000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6_000)


class Admission:
    """Answers ZeroMQ's question who may connect; must be bound before the sockets it guards."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", admitted: Collection[str]) -> None:
        self._admitted = {z85.decode(key.encode()) for key in admitted}
        self.refused = 0
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind("inproc://zeromq.zap.01")

    def answer(self) -> None:
        """Answer every question that waits."""
        while self.socket.poll(0):
            frames = self.socket.recv_multipart()
            version, question, mechanism, credentials = frames[0], frames[1], frames[5], frames[6:]
            known = mechanism == b"CURVE" and bool(credentials) and credentials[0] in self._admitted
            self.refused += not known
            status = (b"200", b"OK") if known else (b"400", b"unknown key")
            self.socket.send_multipart([version, question, *status, b"", b""])
