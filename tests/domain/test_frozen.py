"""A frozen value behaves as the standard library's, and neither form of it exists twice in a trader."""

import dataclasses
import subprocess
import sys
from dataclasses import FrozenInstanceError, field, replace
from typing import Any

import pytest

from tradeproc.domain.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Ours:
    price: int
    secret: str = field(default="hidden", repr=False)
    legs: list[Any] = field(default_factory=list, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Theirs:
    price: int
    secret: str = field(default="hidden", repr=False)
    legs: list[Any] = field(default_factory=list, compare=False)


@dataclass(frozen=True, slots=True)
class Named:
    price: int

    def __repr__(self) -> str:
        return "a name of its own"


@dataclass(frozen=True, slots=True, repr=False)
class Untold:
    price: int


@dataclass(frozen=True, slots=True)
class More(Ours):
    size: int = 1


def test_it_is_told_compared_and_hashed_as_the_standard_librarys() -> None:
    ours, theirs = Ours(3), Theirs(3)

    assert repr(ours) == repr(theirs).replace("Theirs", "Ours") == "Ours(price=3, legs=[])"
    assert hash(ours) == hash(theirs)
    assert ours == Ours(3, legs=[1])
    assert ours != Ours(4)
    assert replace(ours, price=4) == Ours(4)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert repr(More(3)) == "More(price=3, legs=[], size=1)"


def test_one_that_holds_itself_is_told_with_an_end() -> None:
    ours = Ours(3)
    ours.legs.append(ours)

    assert repr(ours) == "Ours(price=3, legs=[...])"


def test_a_class_may_tell_itself_in_its_own_way_or_not_at_all() -> None:
    assert repr(Named(3)) == "a name of its own"
    untold = Untold(3)
    assert repr(untold) == object.__repr__(untold)


@pytest.mark.parametrize("name", ["price", "unheard_of"])
@pytest.mark.parametrize("value", [Ours(3), More(3)])
def test_nothing_of_it_can_be_set_or_deleted(value: Ours, name: str) -> None:
    with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
        setattr(value, name, 4)
    with pytest.raises(FrozenInstanceError, match=f"cannot delete field '{name}'"):
        delattr(value, name)

    assert value.price == 3


def test_few_classes_of_a_trader_exist_twice() -> None:
    # a class that takes `dataclass` from the standard library leaves a second form of itself: take domain/frozen's
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import collections, gc, tradeproc.procs.trader.main\n"
            "gc.collect()\n"
            "made = [each for each in gc.get_objects() if '__dataclass_fields__' in getattr(each, '__dict__', ())]\n"
            "names = [f'{each.__module__}.{each.__qualname__}' for each in made if isinstance(each, type)]\n"
            "print(*sorted(name for name, times in collections.Counter(names).items() if times > 1))",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert len(told.stdout.split()) <= 20, told.stdout
