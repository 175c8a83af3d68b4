"""A flatten says what is not flat yet, asked of traders that the test plays."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actor import acting
from tests.desk.states import STOP, told
from tradeproc.bus.codec import Body
from tradeproc.desk.flatness import not_flat_yet
from tradeproc.desk.installation import Desk
from tradeproc.errors import Outage
from tradeproc.home import Home


class Gone(Outage):
    """What the asker of a trader that died learns."""


HELD = told(position=1, closing=True)
FLAT = told()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    home = Home(tmp_path)
    home.make_folders()
    with Desk(home) as desk:
        yield desk


def left(desk: Desk, *states: Body, seconds: float = 0.0) -> list[tuple[int, str]]:
    """Return the position that is left and why, of a trader that tells these states, the last one for ever."""
    coming = list(states)

    def answer(_: Body) -> Body:
        return coming.pop(0) if len(coming) > 1 else coming[0]

    with acting(desk.home.sockets, "session-7.trader", {"state": answer}):
        found, silent = not_flat_yet(desk, [7], seconds)
    assert silent == []
    return [(position.position, why) for position, why in found.values()]


def test_what_is_flat_at_once_or_soon_is_not_named(desk: Desk) -> None:
    assert left(desk, FLAT) == []
    assert left(desk, HELD, HELD, FLAT, seconds=20.0) == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (HELD, (1, "its exit is on the way")),
        (told(orders=(STOP,)), (0, "1 of its orders still work")),
        (told(closing=True), (0, "the broker has not told the position since")),
        (told(reconciled=False), (0, "the broker has not confirmed orders and position")),
        (
            told(position=1, closing=True, alarms={"close_stuck": "not flat yet: cancelling: the stops stay"}),
            (1, "cancelling: the stops stay"),
        ),
    ],
)
def test_what_is_not_flat_is_named_with_what_its_trader_says(
    desk: Desk, state: Body, expected: tuple[int, str]
) -> None:
    assert left(desk, state) == [expected]


def test_a_trader_that_does_not_answer_is_not_taken_for_flat(desk: Desk) -> None:
    assert not_flat_yet(desk, [8], 0.0) == ({}, [8])


def test_a_trader_that_was_not_flat_and_answers_no_more_is_not_taken_for_flat(desk: Desk) -> None:
    asked = 0

    def once(_: Body) -> Body:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise Gone("killed as hung")
        return HELD

    with acting(desk.home.sockets, "session-7.trader", {"state": once}):
        assert not_flat_yet(desk, [7], 0.5) == ({}, [7])
