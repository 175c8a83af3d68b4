"""What the kill switch prints of what the broker confirmed, and with which code it ends."""

from argparse import Namespace
from typing import Any

import pytest

from tradeproc.cli.commands import flattening, trading
from tradeproc.desk import kill_switch
from tradeproc.desk.confirmation import Confirmed
from tradeproc.desk.exit_status import CommandFailed, ExitStatus, NotRunning, WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.desk.kill_switch import KillReport
from tradeproc.desk.switches import STORED, UNSTORED, Thrown
from tradeproc.errors import Outage
from tradeproc.home import Home
from tradeproc.protocol import scopes
from tradeproc.protocol.switch_messages import TraderHeard

NO_ORDERS: tuple[str, ...] = ()


def confirmed(number: int = 1, **changes: Any) -> Confirmed:
    """A session that the broker told as flat."""
    said: dict[str, Any] = {"positions": {}, "working": NO_ORDERS, "foreign": NO_ORDERS, "is_known": True, **changes}
    return Confirmed(number, "SIM1", "ESH24", **said)


FLAT = confirmed()
OPEN = confirmed(2, positions={"ESH24": -2}, working=("7", "8"), why="the close was not taken: margin")
FOREIGN = confirmed(3, foreign=("9",))
UNKNOWN = confirmed(4, is_known=False, why="no connection")


def ended(
    monkeypatch: pytest.MonkeyPatch, desk: Desk, report: KillReport, latch: str = STORED
) -> flattening.FlattenResult:
    monkeypatch.setattr(kill_switch, "get_flat", lambda *_: report)
    answer = Thrown(scopes.HOST, latch, None, (TraderHeard(1, True, "halted"),))
    return flattening.get_flat(desk, answer, Namespace(reason="", timeout=1.0, foreign=False))


@pytest.fixture
def desk(tmp_path: Any) -> Desk:
    return Desk(Home(tmp_path))


@pytest.mark.parametrize(
    ("report", "latch", "code"),
    [
        (KillReport((FLAT,)), STORED, ExitStatus.OK),
        (KillReport(()), STORED, ExitStatus.OK),
        (KillReport((FLAT,)), UNSTORED, ExitStatus.NOT_RUNNING),
        (KillReport((FLAT,), "by recordings", is_all=False), STORED, ExitStatus.NOT_RUNNING),
        (KillReport((FLAT, OPEN)), STORED, ExitStatus.FAILED),
        (KillReport((FLAT, FOREIGN)), STORED, ExitStatus.FAILED),
        (KillReport((FLAT, UNKNOWN)), STORED, ExitStatus.NOT_RUNNING),
        (KillReport((OPEN, UNKNOWN)), STORED, ExitStatus.FAILED),
    ],
)
def test_it_ends_with_0_only_when_all_is_confirmed_flat(
    monkeypatch: pytest.MonkeyPatch, desk: Desk, report: KillReport, latch: str, code: ExitStatus
) -> None:
    assert ended(monkeypatch, desk, report, latch).exit is code


def test_each_session_has_a_line_that_says_what_is_not_flat_and_what_is_not_known(
    monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    report = KillReport((FLAT, OPEN, FOREIGN, UNKNOWN), passed_over=((5, 1),), notes=("session 1: rows are missing",))

    found = ended(monkeypatch, desk, report)

    assert [line.plain.strip() for line in found.lines] == [
        "session 1: flat, confirmed by the broker: ESH24 in account SIM1",
        "session 2: NOT flat: ESH24 in account SIM1: -2 ESH24; working orders 7, 8; the close was not taken: margin",
        "session 3: NOT flat: ESH24 in account SIM1: orders 9 that are not ours (--foreign cancels them)",
        "session 4: not known to be flat: ESH24 in account SIM1: no connection; look at the broker",
        "session 5: session 1 looks after its account and product",
        "session 1: rows are missing",
    ]
    assert found.value["not_flat"] == [{"session": 2, "contract": "ESH24", "position": -2, "source": "broker"}]


@pytest.mark.parametrize("error", [NotRunning("no keeper"), CommandFailed("no such method")])
def test_a_keeper_that_cannot_or_will_not_holds_up_no_closing(error: Exception) -> None:
    def fails(_: str) -> Thrown:
        raise error

    thrown = flattening.thrown(fails, 7, None, None)

    assert (thrown.scope, thrown.latch, thrown.sessions) == (scopes.of_session(7), UNSTORED, ())
    assert flattening.thrown(fails, None, "paper", None).scope == scopes.of_login("paper")
    assert flattening.thrown(fails, None, None, scopes.of_portfolio("P")).scope == scopes.of_portfolio("P")


def test_what_stays_cannot_hide_that_the_halt_is_thrown(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    def fails(*_: object) -> KillReport:
        raise Outage("nothing answers")

    monkeypatch.setattr(kill_switch, "what_stays", fails)

    found = flattening.what_stays(desk, scopes.HOST)

    assert (found.exit, found.value) == (ExitStatus.OK, {"at_broker": None})
    assert "nothing answers" in found.lines[0].plain


def test_foreign_without_flatten_is_refused_since_a_halt_closes_nothing(desk: Desk) -> None:
    arguments = Namespace(name="halt", flatten=False, foreign=True, session=None)

    with pytest.raises(WrongUsage, match="--foreign needs --flatten"):
        trading.command(desk, arguments)


def test_a_position_in_another_contract_says_that_its_session_does_not_trade_it_now() -> None:
    left = confirmed(positions={"ESM24": 1})

    assert left.in_words == (
        "session 1: NOT flat: ESH24 in account SIM1: +1 ESM24, which session 1 does not trade now"
    )
