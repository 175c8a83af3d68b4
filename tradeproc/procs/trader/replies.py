"""Replies on the bus as answers of the domain."""

from typing import TypeVar

from tradeproc.bus.node import Answered, NoAnswer, Reply, RequestWasRefused
from tradeproc.domain.answers import Answer, Unknown

T = TypeVar("T")


def answer_of(reply: Reply[Answer[T]]) -> Answer[T]:
    """Return what a reply says to a question; without an answer that can be read it is unknown."""
    match reply:
        case Answered(answer):
            return answer
        case RequestWasRefused(reason) | NoAnswer(reason):
            return Unknown(reason)
