"""What a person acknowledges is in the database when the keeper says so, and is not done at all otherwise."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from tests.procs.shut import away
from tests.procs.stage import Stage
from tradeproc.bus.requests import RequestRefused
from tradeproc.domain.units import Nanos
from tradeproc.errors import Outage
from tradeproc.procs.keeper.acknowledge import register_acknowledge
from tradeproc.procs.keeper.lists import register_lists
from tradeproc.protocol import names
from tradeproc.protocol.alarms import Alarm
from tradeproc.store import Store
from tradeproc.store.writes import Write

KEEPER = "core.keeper"
SHAPE = [field.name for field in fields(Alarm)]


@pytest.fixture
def store(on_stage: Stage, book_url: str) -> Iterator[Store]:
    """Return a database with a standing alarm of a session and one of the host, which a keeper serves."""
    told = Store(book_url, connect_timeout=2.0)
    told.save_alarm(7, "close_stuck", "look", Nanos(5), names.KEEPER)
    told.save_alarm(None, "disk_full", "no room", Nanos(5), names.KEEPER)

    served = Store(book_url, connect_timeout=2.0)

    def prepare(node: Any) -> None:
        register_acknowledge(node, served)
        register_lists(node, served)

    actor = on_stage.enter(KEEPER, prepare)
    yield told
    told.close()
    actor.do(served.close)


def test_an_acknowledgement_is_a_row_with_name_and_reason_when_it_is_answered(on_stage: Stage, store: Store) -> None:
    told = on_stage.ask(KEEPER, "acknowledge", session=7, by="anna", reason=" known ")

    assert [(row["session"], row["name"]) for row in told["alarms"]] == [(7, "close_stuck")]
    assert told["divergences"] == []
    [mine, host] = store.alarms()
    assert mine.acknowledged is not None
    assert (mine.acknowledged.by, mine.acknowledged.reason, host.acknowledged) == ("anna", "known", None)
    rows = on_stage.ask(KEEPER, "alarms")["alarms"]
    assert [row.get("acknowledged_by") for row in rows] == ["anna", None]
    assert on_stage.ask(KEEPER, "acknowledge", host=True, what="close_stuck", by="a", reason="w")["alarms"] == []
    everybody = on_stage.ask(KEEPER, "acknowledge", what="alarms", by="a", reason="w")
    assert [row["name"] for row in everybody["alarms"]] == ["disk_full"]


def test_an_alarm_is_listed_in_the_shape_that_alarms_have_on_the_bus(on_stage: Stage, store: Store) -> None:
    old = {"session": None, "name": "link-paper:given_up", "detail": "dies", "at": 6, "who": None}
    store.write(Write("save_alarm", old))

    shapes = [{key: row[key] for key in SHAPE} for row in on_stage.ask(KEEPER, "alarms")["alarms"]]

    assert [tuple(shape.values()) for shape in shapes] == [
        ("core.keeper", "close_stuck", "session:7", "critical", 5, "look", False),
        ("core.keeper", "disk_full", "host", "critical", 5, "no room", False),
        (None, "link-paper:given_up", "login:paper", "critical", 6, "dies", False),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": ""}, {"reason": "a\0b"}, {"by": "  "}, {"by": 7}, {"session": 0}, {"session": 7, "host": True}
    ],
)  # fmt: skip
def test_an_acknowledgement_without_name_or_reason_is_refused(
    on_stage: Stage, store: Store, wrong: dict[str, Any]
) -> None:
    with pytest.raises(RequestRefused):
        on_stage.ask(KEEPER, "acknowledge", **{"by": "anna", "reason": "known", **wrong})

    assert all(row.acknowledged is None for row in store.alarms())


def test_while_the_database_is_away_nothing_is_acknowledged_and_nobody_is_told_that_it_was(
    on_stage: Stage, store: Store, book_url: str
) -> None:
    with away(book_url), pytest.raises(Outage):
        on_stage.ask(KEEPER, "acknowledge", by="anna", reason="known")

    assert all(row.acknowledged is None for row in store.alarms())
