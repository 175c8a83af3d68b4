"""Feeds come and go inside the running group of their link."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervision.yard import Yard
from tradeproc.home import Home
from tradeproc.supervision.client import ProgramState, SupervisorAway, SupervisorRefused
from tradeproc.supervision.feed_programs import FeedPrograms, NoSuchFeed
from tradeproc.supervision.groups import GroupFiles, link_group
from tradeproc.testing.waiting import wait_until

BARS = "bars-ESH24-1m"
ARGUMENTS = ["bars", "paper", "ESH24", "1"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with Yard(tmp_path_factory.mktemp("yard") / "home") as yard:
        GroupFiles(yard.home).write(link_group("paper"))
        yard.supervisor.add_group("link-paper")
        yield yard


@pytest.fixture
def yard(shared: Yard) -> Iterator[Yard]:
    yield shared
    shared.behave("bars", "")
    feeds = FeedPrograms(shared.home, "paper")
    for name in (BARS, "orders-SIM1"):
        feeds.remove(name)


def test_a_feed_is_started_beside_the_running_link_and_attached_to_the_second_time(yard: Yard) -> None:
    link = yard.running("link-paper.link")
    feeds = FeedPrograms(yard.home, "paper")

    assert feeds.ensure(BARS, ARGUMENTS)
    bars = yard.running(f"link-paper.{BARS}")
    assert not feeds.ensure(BARS, ARGUMENTS)

    assert feeds.states() == {BARS: ProgramState.RUNNING}
    assert yard.program(f"link-paper.{BARS}").pid == bars.pid
    assert yard.program("link-paper.link").pid == link.pid
    assert bars.logfile == str(yard.home.log / f"link-paper.{BARS}.log")


def test_update_and_restart_of_supervisord_keep_the_feeds(yard: Yard) -> None:
    FeedPrograms(yard.home, "paper").ensure(BARS, ARGUMENTS)
    before = yard.running(f"link-paper.{BARS}")

    answer = yard.supervisorctl("update")

    assert "link-paper" not in answer
    assert yard.program(f"link-paper.{BARS}").pid == before.pid
    yard.supervisorctl("reload")
    assert yard.running(f"link-paper.{BARS}", other_than=before.pid).pid > 0
    assert list(FeedPrograms(yard.home, "paper").states()) == [BARS]


def test_a_removed_feed_is_gone_and_can_come_again(yard: Yard) -> None:
    feeds = FeedPrograms(yard.home, "paper")
    feeds.ensure(BARS, ARGUMENTS)
    feeds.ensure("orders-SIM1", ["orders", "paper", "SIM1"])
    link = yard.running("link-paper.link")
    yard.running(f"link-paper.{BARS}")

    assert feeds.remove(BARS)

    assert yard.find(f"link-paper.{BARS}") is None
    assert list(feeds.states()) == ["orders-SIM1"]
    assert not feeds.remove(BARS)
    assert feeds.ensure(BARS, ARGUMENTS)
    assert yard.running("link-paper.link").pid == link.pid
    assert "link-paper" not in yard.supervisorctl("update")


def test_a_stubborn_feed_is_killed_before_remove_answers(yard: Yard) -> None:
    yard.behave("bars", "stubborn")
    feeds = FeedPrograms(yard.home, "paper")
    feeds.ensure(BARS, ARGUMENTS)
    yard.running(f"link-paper.{BARS}")

    assert feeds.remove(BARS)
    assert feeds.states() == {}


def test_a_feed_that_only_a_person_can_fix_is_not_started_by_the_next_need(yard: Yard) -> None:
    yard.behave("bars", "exit 78")
    feeds = FeedPrograms(yard.home, "paper")
    feeds.ensure(BARS, ARGUMENTS)
    wait_until("the halt", lambda: yard.is_in(f"link-paper.{BARS}", ProgramState.EXITED))

    assert not feeds.ensure(BARS, ARGUMENTS)
    assert feeds.states() == {BARS: ProgramState.EXITED}


@pytest.mark.parametrize("end", ["exited", "stopped"])
def test_a_feed_that_is_down_is_listed_and_removed_without_a_trace(yard: Yard, end: str) -> None:
    feeds = FeedPrograms(yard.home, "paper")
    if end == "exited":
        yard.behave("bars", "exit 78")
    feeds.ensure(BARS, ARGUMENTS)
    if end == "stopped":
        yard.running(f"link-paper.{BARS}")
        yard.supervisor.stop("link-paper", BARS)
    wait_until("its end", lambda: yard.program(f"link-paper.{BARS}").state.is_down)
    link = yard.running("link-paper.link")

    assert list(feeds.states()) == [BARS]
    assert feeds.remove(BARS)

    assert yard.find(f"link-paper.{BARS}") is None
    assert BARS not in GroupFiles(yard.home).text("link-paper")
    assert "link-paper" not in yard.supervisorctl("update")
    assert yard.running("link-paper.link").pid == link.pid
    yard.behave("bars", "")
    assert feeds.ensure(BARS, ARGUMENTS), "a new need starts it again"
    yard.running(f"link-paper.{BARS}")


def test_the_link_is_no_feed_and_a_login_without_group_is_refused(yard: Yard, tmp_path: Path) -> None:
    with pytest.raises(NoSuchFeed):
        FeedPrograms(yard.home, "paper").remove("link")
    with pytest.raises(SupervisorRefused, match="BAD_NAME"):
        FeedPrograms(yard.home, "other").ensure(BARS, ["bars", "other", "ESH24", "1"])
    (tmp_path / "run" / "groups").mkdir(parents=True)
    with pytest.raises(SupervisorAway):
        FeedPrograms(Home(tmp_path), "paper").ensure(BARS, ARGUMENTS)
