"""The quick ways of reading and the exact reader agree on every body, broken ones too: on values and on words."""

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from tests.protocol.test_version_before import CODECS, RECORDED
from tradeproc.protocol import reading
from tradeproc.protocol.reading import Unfit

TRIES = 150
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    1.0,
    1e308,
    "",
    "1",
    "1e5",
    "NaN",
    "1" * 41,
    "\ud800",
    " 1",
    "host",
    [],
    {},
]
Read = Callable[[Any], Any]


@pytest.fixture(scope="module")
def exact() -> Iterator[dict[str, Read]]:
    """The exact reader of each body, without a quick way before it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "is_read_at_once", lambda _: True)
        patch.setattr(reading, "at_once", lambda _, exact: exact)
        reading.reader.cache_clear()
        found = {name: reading.reader(codec.kind) for name, codec in CODECS.items()}
    reading.reader.cache_clear()
    yield found


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in parts:
        yield from places(each, (*here, key))


def broken(body: Any, chance: random.Random) -> Any:
    """Return the body with one thing missing or odd."""
    body = deepcopy(body)
    *outer, last = chance.choice([each for each in places(body) if each])
    part = body
    for step in outer:
        part = part[step]
    if isinstance(part, dict) and chance.random() < 0.2:
        del part[last]
    else:
        part[last] = chance.choice(ODD)
    return body


def said(read: Read, body: Any) -> str:
    try:
        return repr(read(body))
    except Unfit as unfit:
        return f"refused: {unfit.in_words}"


@pytest.mark.parametrize("name", CODECS)
def test_the_quick_way_takes_and_refuses_what_the_exact_reader_does(name: str, exact: dict[str, Read]) -> None:
    chance, quick = random.Random(name), CODECS[name]._read

    bodies = [RECORDED[name], *(broken(RECORDED[name], chance) for _ in range(TRIES))]

    assert [said(quick, body) for body in bodies] == [said(exact[name], body) for body in bodies]
    assert any(said(quick, body).startswith("refused") for body in bodies)
