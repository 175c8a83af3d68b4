"""Unknown is a type: what asking the outside world can answer.

`Known(value)` is a fact, `Known(())` is confirmed empty, `Unknown` is neither: a failed question is never
read as flat, cancelled or absent. Take an answer apart with a full `match`, or go on from what is known with `then`;
there is no truth value to test.
"""

from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

from tradeproc.domain.frozen import dataclass

S = TypeVar("S")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Known(Generic[T_co]):
    """The far side answered, and this is what it said."""

    value: T_co

    def then(self, use: "Callable[[T_co], Answer[S]]") -> "Answer[S]":
        """Return what `use` makes of the value."""
        return use(self.value)

    def __bool__(self) -> NoReturn:
        """Refuse to be used as a condition: an empty answer is a fact, not a no."""
        raise TypeError("an Answer has no truth value; use match")


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows: the question failed, timed out or was answered with errors."""

    reason: str

    def then(self, use: Callable[[Any], object]) -> "Unknown":
        """Return the same: nothing follows from what is unknown."""
        return self

    def __bool__(self) -> NoReturn:
        """Refuse to be used as a condition: unknown is not no."""
        raise TypeError("an Answer has no truth value; use match")


Answer = Known[T_co] | Unknown
