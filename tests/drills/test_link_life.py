"""A link from its first need to its end, with shortened clocks: shared, attached to, crashed, pruned, idle, back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drills.desk import Desk
from tradeproc.testing.desk import ACCOUNTS, wait_for

pytestmark = pytest.mark.drill

# needs are told again after a third of the time: a busy machine may be late by the rest
NEED, IDLE = 10.0, 2.0
LINK, BARS = "link-paper.link", "link-paper.bars-ESH24-1m"
ONE, TWO = ACCOUNTS[:2]
OF_TWO = {f"orders-{TWO}", f"positions-{TWO}"}
OF_ONE = {"bars-ESH24-1m", f"orders-{ONE}", f"positions-{ONE}"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose link forgets needs after seconds, with sessions 1 and 2 of one login."""
    folder: Path = tmp_path_factory.mktemp("desk")
    built = Desk(folder)
    file = built.home.conf / "tradeproc.toml"
    text = file.read_text().replace("# idle_seconds = 60.0", f"idle_seconds = {IDLE}")
    file.write_text(text.replace("# need_seconds = 45.0", f"need_seconds = {NEED}"))
    with built:
        assert [built.begin(account=account) for account in (ONE, TWO)] == [1, 2]
        yield built


def feeds(desk: Desk) -> dict[str, int]:
    """Return the feeds that supervisord runs, with their pids."""
    programs = [program for program in desk.programs() if program.group == "link-paper" and program.name != "link"]
    return {program.name: program.pid for program in programs}


def users(desk: Desk) -> dict[str, Any]:
    return dict(desk.ask(LINK, "feeds", {})["feeds"])


def test_sessions_of_one_login_share_its_link_and_its_feeds(desk: Desk) -> None:
    assert {program.group for program in desk.programs() if program.group.startswith("link")} == {"link-paper"}
    wait_for("all feeds", lambda: feeds(desk).keys() == OF_ONE | OF_TWO)
    assert users(desk)["bars-ESH24-1m"] == ["session-1.trader", "session-2.trader"]
    assert users(desk)[f"orders-{TWO}"] == ["session-2.account"]


def test_a_feed_that_runs_already_is_attached_to(desk: Desk) -> None:
    before = feeds(desk)

    answer = desk.ask(LINK, "need", {"feed": "bars", "contract": "ESH24", "minutes": 1, "who": "a drill"})

    assert answer == {"process": BARS, "again": NEED / 3}
    assert feeds(desk) == before
    assert "a drill" in users(desk)["bars-ESH24-1m"]
    wait_for("the drill's need forgotten", lambda: "a drill" not in users(desk)["bars-ESH24-1m"])


def test_the_feeds_outlive_the_crash_of_their_link(desk: Desk) -> None:
    before = feeds(desk)

    killed = desk.kill(LINK)

    wait_for("the link back", lambda: desk.pid(LINK) not in (0, killed))
    # after this time it would prune what nobody told it to need
    started = desk.ask(LINK, "status", {}, 5.0)["started_at"]
    wait_for("time to prune", lambda: desk.ask(LINK, "status", {})["at"] - started > 2 * NEED * 10**9)
    assert feeds(desk) == before
    assert users(desk).keys() == OF_ONE | OF_TWO
    desk.wait_ready(1)
    desk.wait_ready(2)


def test_what_a_stopped_session_needed_is_pruned_and_the_rest_is_not_touched(desk: Desk) -> None:
    before = feeds(desk)

    desk.tradectl("session", "stop", "2")

    wait_for("its feeds gone", lambda: not OF_TWO & feeds(desk).keys())
    assert feeds(desk) == {name: pid for name, pid in before.items() if name in OF_ONE}


def test_a_feed_that_halted_over_a_contract_that_is_not_there_goes_with_its_session(desk: Desk) -> None:
    before = feeds(desk)
    number = desk.create(account=ACCOUNTS[2], changes={"contract": "ESM24"})
    wait_for("the halt", lambda: "EXITED" in [each.state for each in desk.programs() if each.name == "bars-ESM24-1m"])

    desk.tradectl("session", "stop", str(number))

    wait_for("its feeds gone", lambda: feeds(desk) == before)
    assert "ESM24" not in (desk.home.groups / "link-paper.conf").read_text()


def test_a_link_that_nobody_needs_ends_in_order_and_comes_back_when_it_is_needed(desk: Desk) -> None:
    desk.tradectl("session", "stop", "1")

    wait_for("the end of all of it", lambda: not [each for each in desk.programs() if "-" in each.group])
    assert not list(desk.home.groups.glob("*-*.conf"))
    assert not [name for name in desk.home.sockets.iterdir() if name.name.startswith("link-")]
    log = (desk.home.log / "supervisord.log").read_text()
    assert "exited: link (exit status 0; expected)" in log
    assert "nobody needs it, ending" in desk.log(LINK)

    desk.tradectl("session", "start", "1")
    desk.wait_ready(1)
    assert feeds(desk).keys() == OF_ONE


def test_a_link_that_ended_idle_is_there_for_the_next_session_at_once(desk: Desk) -> None:
    link = desk.pid(LINK)
    desk.tradectl("session", "stop", "1")
    wait_for("the link ended", lambda: desk.pid(LINK) != link)

    desk.tradectl("session", "start", "2")

    desk.wait_ready(2)
    wait_for("its feeds", lambda: feeds(desk).keys() == {"bars-ESH24-1m"} | OF_TWO)
