"""Alarms reach the database when it takes them, once each, and are cleared there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import fresh_database, server
from tests.waiting import wait_until
from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Node
from tradeproc.procs.warden_alarms import Alarms
from tradeproc.store import Store
from tradeproc.store.migrate import migrate


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
