"""Unknown is a type: what asking the outside world can answer.

`Known(value)` is a fact, `Known(())` is confirmed empty, `Unknown` is neither: a failed question is never
read as flat, cancelled or absent. Take an answer apart with a full `match`; there is no truth value to test.
"""

from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Known(Generic[T_co]):
    """The far side answered, and this is what it said."""

    value: T_co

    def __bool__(self) -> NoReturn:
        """Refuse to be used as a condition: an empty answer is a fact, not a no."""
        raise TypeError("an Answer has no truth value; use match")


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows: the question failed, timed out or was answered with errors."""

    reason: str

    def __bool__(self) -> NoReturn:
        """Refuse to be used as a condition: unknown is not no."""
        raise TypeError("an Answer has no truth value; use match")


Answer = Known[T_co] | Unknown
