"""Switches on their way to the traders, over a real bus whose processes the test plays."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.actor import acting
from tradeproc.bus.codec import Body
from tradeproc.desk.exit_status import CommandFailed, NotRunning
from tradeproc.desk.installation import Desk
from tradeproc.desk.switches import throw
from tradeproc.errors import Outage, Refusal
from tradeproc.home import Home
from tradeproc.protocol import scopes
from tradeproc.protocol.names import KEEPER


class Away(Outage):
    """What a keeper answers whose database does not."""


class No(Refusal):
    """What a trader answers that will not."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    home = Home(tmp_path)
    home.make_folders()
    with Desk(home) as desk:
        yield desk


def being(desk: Desk, process: str, **handlers: Callable[[Body], Body]) -> AbstractContextManager[None]:
    return acting(desk.home.sockets, process, handlers)


def away(_: Body) -> Body:
    raise Away("database: no answer")


def no(_: Body) -> Body:
    raise No("not now")


def test_a_keeper_that_cannot_has_the_traders_told_straight_and_a_flatten_halts_first(desk: Desk) -> None:
    heard: list[str] = []

    def halt(body: Body) -> Body:
        heard.append(f"halt {body['scope']}")
        return {"trading_state": "halted"}

    def flatten(body: Body) -> Body:
        heard.append(f"flatten {body['by']} {body['reason']}")
        return {"trading_state": "halted"}

    with (
        being(desk, KEEPER, flatten=away),
        being(desk, "session-7.trader", halt=halt, flatten=flatten),
        being(desk, "session-8.trader", halt=no, flatten=no),
    ):
        told = throw(desk, "flatten", None, "drill")

    assert heard == ["halt host", "flatten tradectl drill"]
    assert (told.scope, told.latch, told.standing) == ("host", "not stored", None)
    assert "database: no answer" in told.trouble
    assert told.to_dict()["sessions"] == [
        {"session": 7, "ok": True, "trading_state": "halted"},
        {"session": 8, "ok": False, "reason": "not now"},
    ]


def test_only_the_trader_of_the_session_that_is_meant_is_told(desk: Desk) -> None:
    heard: list[str] = []

    def halt(body: Body) -> Body:
        heard.append(body["scope"])
        return {"trading_state": "halted"}

    with (
        being(desk, "session-7.trader", halt=halt),
        being(desk, "session-8.trader", halt=no),
    ):
        told = throw(desk, "halt", 7, "")

    assert heard == ["session:7"]
    assert told.to_dict()["sessions"] == [{"session": 7, "ok": True, "trading_state": "halted"}]


@pytest.mark.parametrize("name", ["resume", "halt"])
def test_without_a_keeper_nothing_is_claimed_that_nobody_heard(desk: Desk, name: str) -> None:
    with being(desk, KEEPER, resume=away, halt=away), pytest.raises(NotRunning, match="database: no answer"):
        throw(desk, name, None, "")


def test_a_trader_that_the_keeper_did_not_reach_is_asked_again_and_a_socket_without_a_process_is_none(
    desk: Desk,
) -> None:
    unheard = [{"session": number, "ok": False, "reason": "no answer"} for number in (7, 78)]
    answer = {"scope": "host", "latch": "stored", "standing": [], "sessions": unheard}
    (desk.home.sockets / "session-78.trader.rpc").touch()
    with (
        being(desk, KEEPER, halt=lambda _: answer),
        being(desk, "session-7.trader", halt=lambda _: {"trading_state": "halted"}),
    ):
        told = throw(desk, "halt", None, "")

    assert told.to_dict() == {**answer, "sessions": [{"session": 7, "ok": True, "trading_state": "halted"}]}


def test_a_switch_of_a_login_reaches_the_traders_that_need_it_also_without_a_keeper(desk: Desk) -> None:
    heard: list[str] = []

    def mine(body: Body) -> Body:
        heard.append(body["scope"])
        return {"trading_state": "halted"}

    def other(body: Body) -> Body:
        return {"trading_state": "active", "is_concerned": body["scope"] != "login:data"}

    with (
        being(desk, KEEPER, halt_login=away),
        being(desk, "session-7.trader", halt=mine),
        being(desk, "session-8.trader", halt=other),
    ):
        told = throw(desk, "halt", None, "", "data")

    assert (told.scope, heard) == ("login:data", ["login:data"])
    assert told.to_dict()["sessions"] == [{"session": 7, "ok": True, "trading_state": "halted"}]


@pytest.mark.parametrize("name", ["halt", "reduce", "resume"])
def test_a_keeper_of_an_earlier_version_takes_no_switch_of_a_login_for_one_of_the_host(desk: Desk, name: str) -> None:
    thrown: list[Body] = []

    def switch(body: Body) -> Body:
        # it ignores every word that it does not know
        thrown.append(body)
        return {"scope": "host", "latch": "stored", "standing": [], "sessions": []}

    with (
        being(desk, KEEPER, halt=switch, reduce=switch, resume=switch),
        pytest.raises(CommandFailed, match=f"scripts/tradectl upgrade, or {name} with --session"),
    ):
        throw(desk, name, None, "", "data")

    assert thrown == []


def test_a_switch_of_an_account_reaches_its_traders_also_without_a_keeper(desk: Desk) -> None:
    heard: list[str] = []

    def mine(body: Body) -> Body:
        heard.append(body["scope"])
        return {"trading_state": "halted", "is_concerned": body["scope"] == "account:SIM1"}

    with being(desk, KEEPER, halt_scope=away), being(desk, "session-7.trader", halt=mine):
        told = throw(desk, "halt", None, "", shared=scopes.of_account("SIM1"))
        other = throw(desk, "halt", None, "", shared=scopes.of_portfolio("index"))

    assert (told.scope, heard) == ("account:SIM1", ["account:SIM1", "portfolio:index"])
    assert [each.session for each in told.sessions] == [7]
    assert other.sessions == (), "who is in another portfolio is not listed"
