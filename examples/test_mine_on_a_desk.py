"""The strategy on a whole desk: supervisord, every process, a database, and the local broker on its tape."""

from pathlib import Path

import pytest

from tradeproc.testing.desk import tape_desk, wait_for


@pytest.mark.drill
def test_it_trades_the_shipped_tape_and_ends_flat() -> None:
    with tape_desk(files=[Path(__file__).with_name("mine.py")]) as desk:
        session = desk.begin("mine.py:ThreeInARow", count=2)
        desk.broker.speed(60.0)

        wait_for("a round trip", lambda: len(desk.fills(session)) >= 2, 120.0)

        desk.flatten(session)
        assert sum(fill.quantity * fill.side.sign for fill in desk.fills(session)) == 0
