"""The blocking client, for commands and for the rare moment when a process must wait for an answer."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, TypeVar, overload

import zmq

from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import BadFrames, Body, Envelope, decode_published, decode_reply, encode_request
from tradeproc.bus.deadlines import new_request
from tradeproc.bus.requests import Answered, NoAnswer, NoReply, RequestRefused, RequestWasRefused, silence, to_reply
from tradeproc.bus.sockets import Context, connect_requester, connect_subscriber, new_context
from tradeproc.clock import MILLISECOND, SECOND, monotonic_ns
from tradeproc.protocol.codec import Codec
from tradeproc.protocol.definitions import SNAPSHOT, FollowedTopic, Method

_ONLY = 1

Q = TypeVar("Q")
A = TypeVar("A")
S = TypeVar("S")


def question(
    method: Method[Any, Any] | str, params: Any, seconds: float
) -> tuple[str, Any, float, Codec[Any] | None]:
    """Return a question as `ask` takes it: method's name, plain parameters, time, and what reads the answer."""
    if isinstance(method, str):
        return method, params, seconds, None
    return method.name, method.question_codec.write(params), seconds, method.answer_codec


def ask(
    context: Context,
    directory: Directory,
    process: str,
    method: str,
    params: Any,
    seconds: float,
    codec: Codec[Any] | None = None,
) -> Any:
    """Ask `process` over a connection of its own and wait for the answer, which `codec` reads.

    Raises:
        NoReply: none that can be read came within `seconds`; whether it was done is not known.
        RequestRefused: the process said no.
    """
    socket = connect_requester(context, directory, process)
    try:
        socket.send_multipart(encode_request(new_request(_ONLY, method, params, seconds)), zmq.NOBLOCK)
        deadline = monotonic_ns() + int(seconds * SECOND)
        while (left := deadline - monotonic_ns()) > 0:
            if not socket.poll(-(-left // MILLISECOND)):
                continue
            try:
                wire = decode_reply(socket.recv_multipart())
            except BadFrames:
                continue
            match to_reply(process, method, wire, codec):
                case Answered(body):
                    return body
                case RequestWasRefused(reason):
                    raise RequestRefused(reason)
                case NoAnswer(reason):
                    raise NoReply(reason)
    finally:
        socket.close(0)
    raise NoReply(silence(process, method, seconds))


class Client:
    """Asks and listens without being a process of the desk; `call` may be used from several threads."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._context = new_context()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close everything; idempotent."""
        self._context.destroy(linger=0)

    @overload
    def call(self, process: str, method: Method[Q, A], params: Q, seconds: float) -> A: ...

    @overload
    def call(self, process: str, method: str, params: Body, seconds: float) -> Body: ...

    def call(self, process: str, method: Method[Any, Any] | str, params: Any, seconds: float) -> Any:
        """Ask and wait for the answer.

        Raises:
            NoReply: none that can be read came within `seconds`; whether it was done is not known.
            RequestRefused: the process said no.
        """
        return ask(self._context, self._directory, process, *question(method, params, seconds))

    def snapshot(self, process: str, topic: FollowedTopic[Any, S], seconds: float) -> S:
        """Ask for all that a topic of `process` would have told, and wait for the answer.

        Raises:
            NoReply: none that can be read came within `seconds`.
            RequestRefused: the process has no snapshot of the topic.
        """
        question = {"topic": topic.name}
        answer: S = ask(self._context, self._directory, process, SNAPSHOT, question, seconds, topic.snapshot_codec)
        return answer

    def tail(self, process: str, prefix: str, idle: float | None = None) -> Iterator[Envelope[Body]]:
        """Yield what `process` publishes on topics that begin with `prefix`.

        Begins when the connection stands, so nothing older comes. Ends when nothing came for `idle` seconds;
        None listens for ever. Losses show as holes in the sequence numbers.
        """
        socket = connect_subscriber(self._context, self._directory, process)
        socket.setsockopt(zmq.SUBSCRIBE, prefix.encode())
        try:
            while socket.poll(None if idle is None else int(idle * 1000)):
                try:
                    yield decode_published(process, socket.recv_multipart())
                except BadFrames:
                    continue
        finally:
            socket.close(0)
