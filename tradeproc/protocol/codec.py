"""A type as the form of a message: values into plain JSON objects and back, both derived from the type; pure.

A body is a dataclass; its fields are the keys. Decimals travel as plain decimal texts, so that none is rounded and
none is infinite or no number; enums as their values, contracts as their codes, moments and counts as whole numbers of
64 bits. A field with a default may be left out, because an older sender does not know it. Keys that the type does not
have are ignored, because a newer sender may know more.

`reading.py` is the exact reader and `quick.py` the quick one before it.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from tradeproc.errors import Refusal
from tradeproc.protocol.derived import in_words
from tradeproc.protocol.reading import Unfit, WithinVariant, reader
from tradeproc.protocol.writing import plain, write

B = TypeVar("B")


class BadMessage(Refusal):
    """A body that holds no such value; caught where the message came in."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")


class Codec(Generic[B]):
    """Reads and writes the values of one type; `name` stands in refusals, by default the type's own."""

    __slots__ = ("_read", "kind", "name")

    def __init__(self, kind: Any, name: str = "") -> None:
        """Derive reading and writing.

        Raises:
            TypeError: no rule says how the values of a field's type travel.
        """
        self.kind, self.name = kind, name or in_words(kind)
        self._read: Callable[[Any], B] = reader(kind)

    def write(self, value: B) -> Any:
        """Return what the encoder of JSON gets: a record as an object whose scalars are as they were."""
        return write(value)

    def plain(self, value: B) -> Any:
        """Return the plain form: objects, lists, texts and numbers only."""
        return plain(value)

    def read(self, plain: Any) -> B:
        """Return the value that a plain form holds.

        Raises:
            BadMessage: it holds none; names the type, the place, what stands there and what was expected.
        """
        try:
            return self._read(plain)
        except Unfit as unfit:
            name = unfit.name if isinstance(unfit, WithinVariant) else self.name
            raise BadMessage(name, unfit.in_words) from None
