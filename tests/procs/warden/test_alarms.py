"""Alarms reach the database when it takes them, once each, and are cleared there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import fresh_database, server
from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Node
from tradeproc.clock import wall_ns
from tradeproc.config import HealthConfig
from tradeproc.procs.warden.alarms import Alarms, tell_of_disk
from tradeproc.protocol import names
from tradeproc.store import Store
from tradeproc.store.migrate import migrate
from tradeproc.testing.waiting import wait_until


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with server() as server_url, fresh_database(server_url) as url:
        migrate(url)
        yield url


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node("warden.warden", Directory(tmp_path))
    yield node
    node.close()


def standing(store: Store) -> list[tuple[int | None, str]]:
    return [(row.session, row.name) for row in store.alarms(only_standing=True)]


def test_an_alarm_is_stored_once_and_cleared_also_by_a_successor(url: str, node: Node) -> None:
    store = Store(url)
    alarms = Alarms(node, url, 1.0)
    alarms.raise_alarm("session-3", "given_up:all", "it died too often")
    alarms.raise_alarm("session-3", "given_up:all", "it died too often")
    alarms.raise_alarm("link-paper", "halted:link", "exit 78")
    wait_until("two alarms", lambda: standing(store) == [(3, "given_up:all"), (None, "link-paper:halted:link")])
    alarms.close()

    successor = Alarms(node, url, 1.0)
    successor.raise_alarm("session-3", "given_up:all", "it died too often")
    successor.clear("link-paper", "halted:link")

    wait_until("the end of one", lambda: standing(store) == [(3, "given_up:all")])
    successor.clear("session-3", "given_up:all")
    wait_until("the end of both", lambda: not standing(store))
    assert len(store.alarms()) == 2
    successor.close()
    store.close()


def test_what_a_predecessor_raised_and_the_successor_does_not_hold_is_cleared_and_nobody_elses(
    url: str, node: Node
) -> None:
    store = Store(url)
    alarms = Alarms(node, url, 1.0)
    for group, name in [
        ("core", "halted:tokens"),
        ("core", "given_up:jobs"),
        ("session-5", "cannot_start:trader"),
        ("session-5", "given_up:all"),
    ]:
        alarms.raise_alarm(group, name, "so it is")
    store.save_alarm(5, "session_conflict", "the keeper's", wall_ns(), names.KEEPER)
    wait_until("all five", lambda: len(standing(store)) == 5)
    alarms.close()

    successor = Alarms(node, url, 1.0)
    successor.raise_alarm("core", "given_up:jobs", "so it is")
    successor.raise_alarm("session-5", "given_up:all", "so it is")
    successor.forget_others()
    # raised after it, so not forgotten
    successor.raise_alarm("core", "halted:keeper", "so it is")

    left = {(None, "core:given_up:jobs"), (5, "given_up:all"), (None, "core:halted:keeper"), (5, "session_conflict")}
    wait_until("what is left", lambda: set(standing(store)) == left)
    for session, name in left:
        store.clear_alarms(session, name, wall_ns())
    successor.close()
    store.close()


def test_a_disk_that_fills_is_told_twice_and_cleared_with_a_margin_also_by_a_successor(
    url: str, node: Node, tmp_path: Path
) -> None:
    store, limits = Store(url), HealthConfig(disk_warning_mb=1000, disk_critical_mb=100)
    low, full = (None, "host:disk_low"), (None, "host:disk_full")
    alarms = Alarms(node, url, 1.0)

    def look(free_mb: int) -> None:
        tell_of_disk(alarms, tmp_path, free_mb, limits)

    look(1000)
    assert not alarms.stands("host", "disk_low")
    look(999)
    wait_until("low", lambda: standing(store) == [low])
    look(99)
    wait_until("full", lambda: standing(store) == [low, full])
    look(110)
    assert alarms.stands("host", "disk_full")
    look(111)
    wait_until("low again", lambda: standing(store) == [low])
    alarms.close()

    alarms = Alarms(node, url, 1.0)
    look(99)
    alarms.forget_others()
    wait_until("full again", lambda: standing(store) == [low, full])
    alarms.close()
    alarms = Alarms(node, url, 1.0)
    look(5000)
    alarms.forget_others()
    wait_until("room", lambda: not standing(store))
    alarms.close()
    store.close()


def test_an_alarm_waits_for_a_database_that_is_away(url: str, node: Node, tmp_path: Path) -> None:
    store = Store(url)
    door = tmp_path / "door"
    folder = url.split("host=")[1].split("&")[0]
    alarms = Alarms(node, url.replace(folder, str(door).replace("/", "%2F")), 1.0)
    alarms.raise_alarm("session-4", "halted:trader", "exit 78")
    assert alarms.stands("session-4", "halted:trader")

    door.symlink_to(folder.replace("%2F", "/"))

    wait_until("the alarm", lambda: (4, "halted:trader") in standing(store))
    alarms.close()
    store.close()
