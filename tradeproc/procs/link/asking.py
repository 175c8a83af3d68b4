"""How a link puts one question to a broker's adapter: whatever comes of it is an answer."""

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tradeproc.bus.node import Node
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.errors import Halt, Refusal, TradeprocError
from tradeproc.protocol.link_messages import OfAccount

log = logging.getLogger(__name__)

SLOW_SECONDS = 1.0

T = TypeVar("T")


class BadRequest(Refusal):
    """A request that lacks something or comes too late; answered as refused."""


def ask_broker(node: Node, ask: Callable[[], Answer[T]]) -> Answer[T] | None:
    """Ask the broker, in a thread; an error is an unknown, never an empty answer.

    Returns None when only a person can mend it: the node ends with that.
    """
    began = time.monotonic()
    answer: Answer[T]
    try:
        answer = ask()
        check(answer, (Known, Unknown))
    except Halt as halt:
        node.post(_raiser(halt))
        return None
    except Exception as error:  # noqa: BLE001  a broker's bug is an unknown, not the end of the link
        log_unless_expected("question_failed", error)
        answer = Unknown(f"{type(error).__name__}: {error}")
    if isinstance(answer, Known):
        node.note_work()
    _log_answer(answer, time.monotonic() - began)
    return answer


def check(said: object, kinds: tuple[type[Any], ...]) -> None:
    """Check what an adapter has returned: it is loaded by name, so it need not be what its types promise.

    Raises:
        TypeError: it is none of `kinds`.
    """
    if not isinstance(said, kinds):
        raise TypeError(f"the broker's adapter said {said!r}")


def account_of(question: OfAccount) -> str:
    """Return the account that a question names.

    Raises:
        BadRequest: it names none.
    """
    if not question.account:
        raise BadRequest("account: missing")
    return question.account


def log_unless_expected(event: str, error: Exception) -> None:
    """Log an error: with its stack if it is none of ours, because then it is a bug of the adapter."""
    if isinstance(error, TradeprocError):
        log.warning("%s reason=%s", event, error)
    else:
        log.exception("%s", event)


def _raiser(halt: Halt) -> Callable[[], None]:
    def end() -> None:
        raise halt

    return end


def _log_answer(answer: Answer[object], seconds: float) -> None:
    if isinstance(answer, Unknown):
        log.warning("question_unknown reason=%s", answer.reason)
    elif seconds > SLOW_SECONDS:
        log.warning("question_slow seconds=%.1f", seconds)
