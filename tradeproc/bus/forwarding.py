"""Requests that a process passes on: not read on the way, because the process that answers them reads them anyway.

Reading and writing an order once more would cost it a tenth of a millisecond. What does not fit the method is refused
by the process that answers, and an answer that cannot be read is none to the one who asked.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.bus.requests import Answered, NoAnswer, Reply, RequestWasRefused
from tradeproc.bus.serving import Deferred, seconds_left
from tradeproc.protocol.definitions import Method
from tradeproc.protocol.writing import plain

Q = TypeVar("Q")
A = TypeVar("A")


def forward(
    node: Node,
    method: Method[Q, A],
    process: str,
    put: object,
    *,
    instead: Callable[[float], A | None],
    without: Callable[[RequestWasRefused | NoAnswer], A],
    after: Callable[[Reply[Any]], None],
) -> None:
    """Serve a method by asking `process` once, for as long as the asker waits.

    Args:
        node: the process that passes on.
        method: what is asked.
        process: who answers.
        put: a record whose fields take the place of those of the question.
        instead: called with the seconds that are left; what it returns is answered at once, and nothing is asked.
        without: the answer when `process` gives none.
        after: called with the reply, whose body is as it came, before the asker gets its answer.
    """
    fields, write = plain(put), method.answer_codec.write

    def handle(params: Body) -> Any:
        seconds = seconds_left(params)
        at_once = instead(seconds)
        if at_once is not None:
            return write(at_once)
        deferred = Deferred[Any]()

        def replied(reply: Reply[Any]) -> None:
            after(reply)
            deferred.answer(reply.body if isinstance(reply, Answered) else write(without(reply)))

        node.request(process, method.name, {**params, **fields}, seconds=max(0.0, seconds), on_reply=replied)
        return deferred

    node.handle(method.name, handle)
