"""Two sessions of one portfolio compete for the last of its heat; the portfolio server goes away and comes back."""

from pathlib import Path

import pytest

from tests.drills.desk import Desk
from tests.drills.long_tape import write_tape
from tradeproc.protocol import names
from tradeproc.supervision.client import Supervisor
from tradeproc.testing.desk import ACCOUNTS, wait_for

# it is one of the longest: a busy machine needs more than the usual time
pytestmark = [pytest.mark.drill, pytest.mark.timeout(700)]

# one entry of ES with a stop 60 ticks away has a heat of 61 x 12.50, so that two do not fit below 1000
PORTFOLIO = """
name = "drill"
equity = 10000
warn_percent = 5.0
block_percent = 10.0
worst_case = 800
sessions = ["one", "two"]
"""


def refused(desk: Desk, session: int, words: str) -> int:
    """Return how many entries of a session ended by such a refusal; none may have reached the broker."""
    found = desk.rows(
        "select broker_id from orders "
        "where session = %s and state = 'rejected' and parent is null and reason like %s",
        session,
        f"refused by the portfolio: %{words}%",
    )
    assert [row for row in found if row["broker_id"]] == []
    return len(found)


def test_sessions_compete_for_heat_and_the_server_dies_between_them(tmp_path: Path) -> None:
    with Desk(tmp_path, speed=30.0, history_minutes=5, tape=write_tape(tmp_path)) as desk:
        sessions = [
            desk.begin(account=account, changes={"name": name}, hold=4)
            for name, account in zip(("one", "two"), ACCOUNTS, strict=False)
        ]
        (tmp_path / "drill.toml").write_text(PORTFOLIO)
        desk.tradectl("portfolio", "create", str(tmp_path / "drill.toml"))
        wait_for("both are in it", lambda: all(desk.state(each)["portfolio"] == "drill" for each in sessions))

        wait_for("one is refused", lambda: any(refused(desk, each, "above its block") for each in sessions), 240)
        wait_for("the block is a row", lambda: desk.rows("select * from heat_blocks where portfolio = 'drill'"))
        wait_for("and an alarm", lambda: desk.rows("select * from alarms where name = 'heat_blocked:drill'"))
        for each in sessions:
            desk.wait_fills(each)
        shown = desk.tradectl("portfolio", "show", "drill")
        assert shown["sessions"] == sessions
        assert shown["heat"] is None or float(shown["heat"]) <= 1000

        wait_for("a position", lambda: any(desk.state(each)["position"] for each in sessions), 240)
        supervisor = Supervisor(desk.home)
        supervisor.stop(*names.PORTFOLIO.split("."))
        wait_for("exits go on", lambda: all(desk.state(each)["position"] == 0 for each in sessions), 240)
        before = [refused(desk, each, "does not answer") for each in sessions]
        for each, count in zip(sessions, before, strict=True):
            wait_for(
                "entries are refused with the reason",
                lambda each=each, count=count: refused(desk, each, "does not answer") > count,  # type: ignore[misc]
                240,
            )
        filled = [desk.count_fills(each) for each in sessions]

        supervisor.start(*names.PORTFOLIO.split("."))
        wait_for("entries again", lambda: sum(map(desk.count_fills, sessions)) > sum(filled), 240)
        for each, account in zip(sessions, ACCOUNTS, strict=False):
            desk.assert_books_agree(each, account)
