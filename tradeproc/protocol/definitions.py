"""What a topic and a method are: a name, the types of what is said, and who says it; pure.

Each is defined once, beside the bodies that it carries, and found by everybody through its constant. Several kinds of
processes may use the same name with different bodies (`orders` is asked of a link and of a keeper); then there is a
constant for each.
"""

from collections.abc import Sequence
from dataclasses import field
from typing import Any, Final, Generic, TypeVar

from tradeproc.domain.frozen import dataclass
from tradeproc.protocol.codec import Codec

B = TypeVar("B")
S = TypeVar("S")
Q = TypeVar("Q")
A = TypeVar("A")

SNAPSHOT: Final = "snapshot"
"""The method of every process that tells the whole of a topic; its answer is the topic's `snapshot`."""

ANY: Final = "any"
"""Instead of a kind: every process, whatever it is."""


@dataclass(frozen=True, slots=True)
class NoBody:
    """The body of a question that needs no parameters, and of an answer that only says that it was done."""


@dataclass(frozen=True, eq=False)
class Topic(Generic[B]):
    """What a process publishes under one name.

    `publishers` are the kinds of processes (`ProcessName.kind`) that publish it.
    """

    name: str
    body: type[B] | Any
    publishers: Sequence[str]
    codec: Codec[B] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Derive the form of the body.

        Raises:
            TypeError: nobody has said how a field of the body travels.
        """
        object.__setattr__(self, "codec", Codec(self.body, _name_in_refusals(self.body, self.name)))


@dataclass(frozen=True, eq=False)
class FollowedTopic(Topic[B], Generic[B, S]):
    """A topic whose publisher also answers with all that it holds: `snapshot` is the type of that answer."""

    snapshot: type[S] | Any
    snapshot_codec: Codec[S] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Derive the form of the body and of the snapshot.

        Raises:
            TypeError: nobody has said how a field of either travels.
        """
        object.__setattr__(self, "codec", Codec(self.body, _name_in_refusals(self.body, self.name)))
        object.__setattr__(self, "snapshot_codec", Codec(self.snapshot, "snapshot"))


@dataclass(frozen=True, eq=False)
class Method(Generic[Q, A]):
    """What a process can be asked: the types of question and answer, and the kinds of processes that answer it."""

    name: str
    question: type[Q] | Any
    answer: type[A] | Any
    answered_by: Sequence[str]
    question_codec: Codec[Q] = field(init=False, repr=False)
    answer_codec: Codec[A] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Derive the forms of question and answer.

        Raises:
            TypeError: nobody has said how a field of either travels.
        """
        object.__setattr__(self, "question_codec", Codec(self.question, _name_in_refusals(self.question, self.name)))
        object.__setattr__(self, "answer_codec", Codec(self.answer, _name_in_refusals(self.answer, "answer")))


def _name_in_refusals(kind: Any, name: str) -> str:
    # a union has no name of its own
    return "" if isinstance(kind, type) else name
