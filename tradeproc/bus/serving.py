"""The answering side: one socket, methods by name.

A handler's `Refusal` is answered as refused. Its `Outage` is answered as unavailable, which the asker takes as no
answer; so is an answer that cannot be written. Anything else is a bug: the asker learns that nobody knows whether it
was done, and the process dies of it.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import zmq

from tradeproc.bus.codec import BadFrames, Body, ReplyStatus, Request, Unencodable, decode_request, encode_reply
from tradeproc.bus.deadlines import LONGEST_SECONDS, is_expired, work_ends_at
from tradeproc.bus.loop import Loop
from tradeproc.bus.sockets import Socket
from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.errors import Outage, Refusal
from tradeproc.protocol.definitions import Method

log = logging.getLogger(__name__)

Q = TypeVar("Q")
A = TypeVar("A")

_MOST_A_TURN = 64


class MissingParameter(Refusal):
    """A request without something it needs; answered as refused."""

    def __init__(self, name: str) -> None:
        super().__init__(f"parameter {name!r} is missing")


class UnknownMethod(Refusal):
    """A request that this process does not serve; answered as refused."""

    def __init__(self, method: str) -> None:
        super().__init__(f"no method {method!r} here")


class Deferred(Generic[A]):
    """An answer that comes later: a handler returns it and calls one of its methods once, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._send: Callable[[ReplyStatus, Any], None] | None = None
        self._kept: tuple[ReplyStatus, Any] | None = None
        self._write: Callable[[Any], Any] = _same
        self.is_answered = False

    def in_form(self, write: Callable[[Any], Any]) -> "Deferred[A]":
        """Learn how the answer is written; the server's affair."""
        self._write = write
        return self

    def answer(self, body: A) -> None:
        """Answer with a body; what comes after the first answer is ignored."""
        self._finish(ReplyStatus.ANSWERED, body)

    def refuse(self, text: str) -> None:
        """Answer that it will not be done and nothing was done."""
        self._finish(ReplyStatus.REFUSED, {"reason": text})

    def fail(self, text: str) -> None:
        """Answer that nobody knows; the asker takes it as no answer, without waiting for its deadline."""
        self._finish(ReplyStatus.UNAVAILABLE, {"reason": text})

    def bind(self, send: Callable[[ReplyStatus, Any], None]) -> None:
        """Learn where the answer goes; the server's affair."""
        with self._lock:
            self._send, kept = send, self._kept
        if kept is not None:
            self._send_written(send, *kept)

    def _send_written(self, send: Callable[[ReplyStatus, Any], None], status: ReplyStatus, body: Any) -> None:
        send(status, self._write(body) if status is ReplyStatus.ANSWERED else body)

    def _finish(self, status: ReplyStatus, body: Any) -> None:
        with self._lock:
            if self.is_answered:
                return
            self.is_answered = True
            self._kept, send = (status, body), self._send
        if send is not None:
            self._send_written(send, status, body)


def _same(body: Any) -> Any:
    return body


Handler = Callable[[Body], Body | Deferred[Body]]
TypedHandler = Callable[[Q], A | Deferred[A]]
TimedHandler = Callable[[Q, float], A | Deferred[A]]
"""Gets the question and for how many seconds its asker still waits."""


def typed(method: Method[Q, A], handler: TimedHandler[Q, A]) -> Callable[[Body], Any]:
    """Return what answers plain questions with what `handler` says to typed ones."""

    def handle(params: Body) -> Any:
        answer = handler(method.question_codec.read(params), seconds_left(params))
        if isinstance(answer, Deferred):
            return answer.in_form(method.answer_codec.write)
        return method.answer_codec.write(answer)

    return handle


class _Parameters(Body):
    """A request's body; a missing key is the asker's mistake, not ours."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.body)
        self.work_ends_at = work_ends_at(request)

    def __missing__(self, name: str) -> None:
        raise MissingParameter(name)


def seconds_left(params: Body) -> float:
    """Return for how long the request with these parameters may be worked at, or waited for where it is forwarded.

    An answer that is given by then reaches the asker before it gives up. Negative when that time is over.
    """
    return (params.work_ends_at - monotonic_ns()) / SECOND if isinstance(params, _Parameters) else LONGEST_SECONDS


class RequestServer:
    """Reads requests, runs handlers, sends answers."""

    def __init__(self, loop: Loop, socket: Socket, counts: Counter[str]) -> None:
        self._loop, self._socket, self._counts = loop, socket, counts
        self._handlers: dict[str, Callable[[Body], Any]] = {}

    def handle(self, method: str, handler: Callable[[Body], Any]) -> None:
        """Serve a method.

        Raises:
            ValueError: it is served already.
        """
        if method in self._handlers:
            raise ValueError(f"method {method!r} has a handler already")
        self._handlers[method] = handler

    def read(self) -> None:
        """Serve what waits, but leave the loop's other sockets their turn."""
        for _ in range(_MOST_A_TURN):
            try:
                asker, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                request = decode_request(frames)
            except BadFrames as bad:
                self._counts["garbage"] += 1
                log.warning("request_garbled reason=%s", bad)
                continue
            if is_expired(request):
                self._counts["expired"] += 1
                log.warning("request_expired method=%s", request.method)
                continue
            self._serve(asker, request)

    def _serve(self, asker: bytes, request: Request) -> None:
        def send(status: ReplyStatus, body: Any) -> None:
            self._send(asker, request, status, body)

        try:
            handler = self._handlers.get(request.method)
            if handler is None:
                raise UnknownMethod(request.method)
            answer = handler(_Parameters(request))
            if isinstance(answer, Deferred):
                answer.bind(send)
            else:
                send(ReplyStatus.ANSWERED, answer)
        except Refusal as refusal:
            send(ReplyStatus.REFUSED, {"reason": str(refusal)})
        except Outage as outage:
            send(ReplyStatus.UNAVAILABLE, {"reason": str(outage)})
        except Exception as bug:
            send(ReplyStatus.UNAVAILABLE, {"reason": f"the handler failed with {type(bug).__name__}: {bug}"})
            raise

    def _send(self, asker: bytes, request: Request, status: ReplyStatus, body: Any) -> None:
        try:
            frames = [asker, *encode_reply(status, request.id, body)]
        except Unencodable as problem:
            # nothing is wrong with this process: what came from outside is too large for a message
            log.warning("answer_unencodable method=%s reason=%s", request.method, problem)
            frames = [asker, *encode_reply(ReplyStatus.UNAVAILABLE, request.id, {"reason": str(problem)})]
        if self._loop.is_here():
            self._send_now(frames)
        else:
            self._loop.post(lambda: self._send_now(frames))

    def _send_now(self, frames: list[bytes]) -> None:
        if not self._socket.closed:
            # an asker that is gone or does not read loses its answer; it never stops us
            self._socket.send_multipart(frames, zmq.NOBLOCK)
