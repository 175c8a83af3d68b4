"""Sessions of what was given up are halted through the keeper, whenever it answers, and it is told when all are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actor import Actor, acting
from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.domain.units import Nanos
from tradeproc.errors import Refusal
from tradeproc.procs.warden.halts import Halts
from tradeproc.protocol.session_messages import SESSION, SessionBody
from tradeproc.testing.waiting import wait_until


class NoSuchSession(Refusal):
    """What the keeper says of a session that was removed."""


@pytest.fixture
def warden(tmp_path: Path) -> Iterator[Actor]:
    actor = Actor(Node("warden.warden", Directory(tmp_path)))
    actor.start()
    yield actor
    actor.stop()


HALTED: Body = {"scope": "host", "latch": "stored", "standing": [], "sessions": []}


def row(session: int, login: str, desired: str, **spec: str) -> Body:
    at = Nanos(1)
    body = SessionBody(
        session, "x", {"login": login, **spec}, desired, True, None, "running", "active", {}, "", 1, "", at, at
    )
    return dict(SESSION.codec.plain(body))


def test_a_login_is_settled_when_the_keeper_has_answered_for_each_of_its_running_sessions(
    warden: Actor, tmp_path: Path
) -> None:
    settled: list[str] = []
    halted: list[int] = []
    rows = [row(1, "paper", "running"), row(2, "other", "running"), row(3, "paper", "stopped")]
    rows += [row(4, "paper", "running"), row(5, "paper", "running")]

    def halt(body: Body) -> Body:
        session = int(body["session"])
        if session == 5:
            raise NoSuchSession("there is no session 5")
        halted.append(session)
        return HALTED

    halts = Halts(warden.node, settled.append)
    # the keeper is away at first
    warden.do(lambda: halts.halt_group("link-paper", "it died too often"))
    warden.do(lambda: halts.halt_group("core", "it died too often"))
    assert not settled
    with acting(tmp_path, "core.keeper", {"halt": halt, "sessions": lambda _: {"sessions": rows}}):
        wait_until("the end of it", lambda: settled)

    assert sorted(halted) == [1, 4]
    assert settled == ["link-paper"]


def test_a_login_without_running_sessions_is_settled_at_once(warden: Actor, tmp_path: Path) -> None:
    settled: list[str] = []
    halts = Halts(warden.node, settled.append)
    with acting(tmp_path, "core.keeper", {"sessions": lambda _: {"sessions": []}}):
        warden.do(lambda: halts.halt_group("link-paper", "it died too often"))
        wait_until("the end of it", lambda: settled == ["link-paper"])


def test_sessions_that_take_their_bars_of_a_login_are_halted_too_and_the_reason_says_so(
    warden: Actor, tmp_path: Path
) -> None:
    settled: list[str] = []
    reasons: dict[int, str] = {}
    rows = [row(1, "data", "running"), row(2, "paper", "running")]
    rows += [row(3, "paper", "running", data_login="data"), row(4, "paper", "stopped", data_login="data")]

    def halt(body: Body) -> Body:
        reasons[int(body["session"])] = str(body["reason"])
        return HALTED

    halts = Halts(warden.node, settled.append)
    with acting(tmp_path, "core.keeper", {"halt": halt, "sessions": lambda _: {"sessions": rows}}):
        warden.do(lambda: halts.halt_group("link-data", "it died too often"))
        wait_until("the end of it", lambda: settled)

    assert reasons == {
        1: "it died too often",
        3: "it died too often; data is the session's data login, so it gets no bars",
    }
    assert settled == ["link-data"]
