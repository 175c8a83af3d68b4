"""A roll with real processes: it ends as it should, also when its trader is killed on the way, once and again."""

import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.drills.desk import Desk, duplicates
from tradeproc.cli.tradectl import main
from tradeproc.protocol import names
from tradeproc.testing.desk import ACCOUNT, ACCOUNTS, wait_for

pytestmark = pytest.mark.drill
OLD, NEXT, SPREAD = "ESH24", "ESM24", Decimal(10)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk on a tape of two contracts; the next one trades ten points higher."""
    folder: Path = tmp_path_factory.mktemp("desk")
    shutil.copy(Path(__file__).parent / "holder.py", folder)
    with Desk(folder, speed=20.0, history_minutes=20, tape=f"generated:{OLD}+{NEXT}:7") as running:
        yield running


def held(desk: Desk, account: str) -> dict[str, int]:
    books = desk.broker.ledger()
    found = [each for each in books["positions"] if each["account"] == account and int(each["quantity"])]
    return {each["contract"]: int(each["quantity"]) for each in found}


def protection(desk: Desk, account: str, contract: str) -> set[Decimal]:
    working = [
        each
        for each in desk.broker.ledger()["orders"]
        if (each["account"], each["contract"]) == (account, contract)
        and each["status"] in ("working", "partially_filled")
    ]
    return {Decimal(each["stop"] or each["limit"]) for each in working}


def step(desk: Desk, session: int) -> str:
    rows = desk.rows("select step from rolls where session = %s order by number desc limit 1", session)
    return rows[0]["step"] if rows else ""


def holding(desk: Desk, account: str) -> tuple[int, set[Decimal]]:
    """Return a session that holds one contract, and the prices of its stop and target."""
    session = desk.begin("holder.py:Holder", account)
    wait_for("the position", lambda: desk.state(session)["position"] == 1)
    wait_for("its protection", lambda: len(protection(desk, account, OLD)) == 2)
    return session, protection(desk, account, OLD)


def roll(desk: Desk, session: int) -> None:
    answer = desk.ask(names.trader(session), "roll", {"by": "anna", "reason": "it is time", "next_contract": ""})
    assert (answer["contract"], answer["next_contract"]) == (OLD, NEXT)


def assert_rolled(desk: Desk, session: int, account: str, before: set[Decimal]) -> None:
    wait_for("the roll is over", lambda: step(desk, session) == "rolled")
    wait_for("its trader knows", lambda: desk.state(session)["rolling"] is False)
    state: dict[str, Any] = desk.state(session)
    assert (state["contract"], state["position"], held(desk, account)) == (NEXT, 1, {NEXT: 1})
    assert protection(desk, account, NEXT) == {price + SPREAD for price in before}
    assert protection(desk, account, OLD) == set()
    assert duplicates(desk.broker.ledger()["requests"], account) == []
    standing = "select name from alarms where session = %s and cleared_at is null"
    assert desk.rows(standing, session) == []
    wait_for("the strategy runs again", lambda: desk.state(session)["decisions"]["bars"] > 0)


def tradectl(desk: Desk, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*words, "--json", "--home", str(desk.home.root)]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_a_position_moves_into_the_next_contract_with_stop_and_target_moved_by_the_spread(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    session, before = holding(desk, ACCOUNT)
    (row,) = tradectl(desk, capsys, "roll", "--list")["rolls"]
    assert (row["contract"], row["next_contract"], row["roll_on"], row["mode"]) == (OLD, NEXT, "2024-03-08", "manual")

    tradectl(desk, capsys, "roll", str(session), "--reason", "it is time")

    assert_rolled(desk, session, ACCOUNT, before)
    (row,) = tradectl(desk, capsys, "roll", "--list")["rolls"]
    assert (row["contract"], row["next_contract"]) == (NEXT, "ESU24")
    steps = [row["step"] for row in desk.rows("select step from rolls where session = %s order by number", session)]
    assert steps[0] == "closing"
    assert steps[-4:] == ["flat", "switched", "reopening", "rolled"]
    desk.assert_books_agree(session)


def test_what_was_bought_by_hand_is_adopted_with_its_stop_and_rolls_with_the_rest(desk: Desk) -> None:
    account = ACCOUNTS[2]
    session = desk.begin("holder.py:Holder", account, {"external_policy": "adopt", "adopt_stop_ticks": 400})
    wait_for("its protection", lambda: len(protection(desk, account, OLD)) == 2)
    (own,) = [each for each in desk.state(session)["orders"] if each["role"] == "stop_loss"]

    desk.trade_by_hand(1, account)
    wait_for("it has its stop", lambda: len(protection(desk, account, OLD)) == 3)
    desk.kill(names.trader(session))
    wait_for("it lives again", lambda: desk.state(session)["reconciled"] and desk.state(session)["warm"])

    state = desk.state(session)
    assert (state["position"], state["trading_state"]) == (2, "active")
    stops = [each for each in state["orders"] if each["role"] == "stop_loss"]
    assert [each["quantity"] for each in stops] == [1, 1]
    highest = max(Decimal(each["stop_price"]) for each in stops)
    assert highest == Decimal(own["stop_price"]), "the adopted one is 100 points away"
    wait_for("the alarm is over", lambda: "external_adopted" not in desk.state(session)["alarms"])
    assert desk.rows("select name from alarms where session = %s and name = 'external_adopted'", session)

    roll(desk, session)
    wait_for("the roll is over", lambda: step(desk, session) == "rolled")
    wait_for("its trader knows", lambda: desk.state(session)["rolling"] is False)
    assert held(desk, account) == {NEXT: 2}
    wait_for("both are covered", lambda: highest + SPREAD in protection(desk, account, NEXT))
    assert protection(desk, account, OLD) == set()


def test_killed_while_it_closes_and_again_before_it_reopens_it_closes_once_and_opens_once(desk: Desk) -> None:
    account = ACCOUNTS[1]
    session, before = holding(desk, account)

    roll(desk, session)
    wait_for("it has begun", lambda: step(desk, session) != "")
    desk.kill(names.trader(session))
    wait_for("the next contract", lambda: step(desk, session) in ("switched", "reopening", "rolled"))
    desk.kill(names.trader(session))

    assert_rolled(desk, session, account, before)
    desk.assert_books_agree(session, account)
