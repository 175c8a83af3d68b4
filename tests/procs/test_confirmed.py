"""Everything that was confirmed to a person or to the engine is there, whoever is killed right afterwards.

The table "What is confirmed" of ARCHITECTURE.md names what proves each row; this file proves those whose proof is a
committed row, over the embedded server as it runs on a desk.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.store.book import AT, DIVERGENCE, EVENT, FILL, ORDER, POSITION, SPEC
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.codec import Body
from tradeproc.domain.orders import OrderRole
from tradeproc.domain.units import Nanos
from tradeproc.engine.effects import Persist
from tradeproc.home import Home
from tradeproc.procs.trader.audit_trail import AuditTrail
from tradeproc.store import Journal, Lease, Store
from tradeproc.store.database import connect
from tradeproc.store.embedded import database_url
from tradeproc.store.kept import kept_file
from tradeproc.testing.running import Child, furnish, kill, temporary_home
from tradeproc.testing.waiting import wait_until


class Desk:
    """The embedded database and the keeper of a home, as real processes."""

    def __init__(self, home: Home) -> None:
        self.home, self.url = home, database_url(home)
        furnish(home)
        self.client = Client(Directory(home.sockets))
        self._alive: dict[str, Child] = {}

    def begin(self) -> "Desk":
        for kind in ("postgres", "keeper"):
            if kind not in self._alive:
                self._alive[kind] = Child(self.home, kind)
        wait_until("the database", lambda: self.ask("postgres", "status")["state"] == "ready")
        wait_until("the keeper", lambda: self.ask("keeper", "sessions") is not None)
        return self

    def ask(self, kind: str, method: str, **params: Any) -> Body:
        return self.client.call(f"core.{kind}", method, params, 15.0)

    def kill(self, *kinds: str) -> None:
        """Kill processes and all that they started, at the same moment."""
        kill(*(self._alive.pop(kind) for kind in kinds))

    def close(self) -> None:
        self.kill(*list(self._alive))
        self.client.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with temporary_home() as home:
        made = Desk(home)
        try:
            yield made.begin()
        finally:
            made.close()


def facts(desk: Desk) -> dict[str, Any]:
    """Return what the database holds of everything that `confirm` was told is stored."""
    store = Store(desk.url)
    try:
        return {
            "sessions": [(row.id, row.spec, row.desired, row.fence) for row in store.sessions()],
            "latches": store.latches(),
            "orders": store.orders(),
            "events": [store.order_events(order.id) for order in store.orders()],
            "fills": store.fills(),
            "positions": store.positions(),
            "divergences": store.divergences(),
            "alarms": store.alarms(),
        }
    finally:
        store.close()


def confirm(desk: Desk, folder: Path) -> dict[str, Any]:
    """Have everything confirmed that can be, and return it as it was then."""
    first, second, third = (
        desk.ask("keeper", "create", spec={**SPEC_BODY, "name": name, "contract": contract})["session"]
        for name, contract in (("one", "ESH24"), ("two", "NQH24"), ("three", "CLH24"))
    )
    assert desk.ask("keeper", "start", session=first)["desired"] == "running"
    assert desk.ask("keeper", "start", session=second)["desired"] == "running"
    assert desk.ask("keeper", "stop", session=second)["desired"] == "stopped"
    assert desk.ask("keeper", "remove", session=third)["session"] == third
    for method, session in (("halt", None), ("reduce", first), ("halt", second), ("resume", second)):
        told = {} if session is None else {"session": session}
        assert desk.ask("keeper", method, by="me", reason="drill", **told)["latch"] == "stored"
    audit = AuditTrail(
        Store(desk.url),
        Journal(folder / f"session-{first}.jsonl"),
        Lease.acquire(desk.url, first, "us"),
        first,
        "us",
        kept_file(desk.home),
    )
    for number, role in enumerate((OrderRole.ENTRY, OrderRole.EXIT)):
        order = replace(ORDER, id=f"abcd{first}-{number}", session=first, role=role)
        fill = replace(FILL, order_id=order.id, session=first)
        unit = Persist(
            (order,),
            (replace(EVENT, order_id=order.id),),
            fills=() if role is OrderRole.ENTRY else (fill,),
            position=POSITION,
            source="fills",
            ticket=1 if role is OrderRole.ENTRY else None,
        )
        assert audit.persist(unit) == ""
    audit.save_alarm("close_stuck", "drill", Nanos(AT))
    audit.save_divergence(replace(DIVERGENCE, session=first))
    assert audit.journal.is_empty()
    told = facts(desk)
    audit.close()
    return told


SPEC_BODY = {**SPEC.to_dict(), "strategy": "moving_average_cross", "arguments": {}}


def test_what_was_confirmed_is_there_after_every_way_of_dying(desk: Desk, tmp_path: Path) -> None:
    told = confirm(desk, tmp_path)
    assert [len(told[key]) for key in ("sessions", "latches", "orders", "fills", "divergences", "alarms")] == [
        2, 3, 2, 1, 1, 1,
    ]  # fmt: skip

    for dying in (("keeper",), ("postgres",), ("postgres", "keeper")):
        desk.kill(*dying)
        desk.begin()
        assert facts(desk) == told, dying


def test_a_commit_is_on_the_disk_also_on_a_server_that_is_set_otherwise(desk: Desk) -> None:
    """Nobody can take the power away in a test; what waits for the disk is a setting that can be asked for."""
    with psycopg.connect(desk.url, autocommit=True) as admin:
        assert [admin.execute(f"show {name}".encode()).fetchone() for name in ("fsync", "full_page_writes")] == [
            ("on",), ("on",),
        ]  # fmt: skip
        admin.execute("alter database tradeproc set synchronous_commit = off")
        assert setting_of_ours(desk) == "on"
        admin.execute("alter database tradeproc set synchronous_commit = remote_apply")
        assert setting_of_ours(desk) == "remote_apply"


def setting_of_ours(desk: Desk) -> str:
    connection = connect(desk.url, connect_seconds=5.0, answer_seconds=5.0)
    try:
        row = connection.execute(b"show synchronous_commit").fetchone()
        assert row is not None
        return str(row["synchronous_commit"])
    finally:
        connection.close()
