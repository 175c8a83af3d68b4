"""A roll with real processes: asked for, by itself, and with what was bought by hand."""

import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.drills.desk import Desk
from tests.drills.rolling import NEXT, OLD, SPREAD, TAPE, assert_rolled, held, holding, protection, roll, step
from tradeproc.cli.tradectl import main
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.units import MINUTE, Nanos, from_iso
from tradeproc.protocol import names
from tradeproc.testing.desk import ACCOUNT, ACCOUNTS, wait_for

pytestmark = pytest.mark.drill


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk on a tape of two contracts; the next one trades ten points higher."""
    folder: Path = tmp_path_factory.mktemp("desk")
    shutil.copy(Path(__file__).parent / "holder.py", folder)
    with Desk(folder, speed=20.0, history_minutes=20, tape=TAPE) as running:
        yield running


def tradectl(desk: Desk, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*words, "--json", "--home", str(desk.home.root)]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_a_session_rolls_by_itself_on_the_date_and_at_the_time_that_it_names(desk: Desk) -> None:
    account = ACCOUNTS[1]
    # from the evening on which the tape begins to the small hours of the trade date itself, at the exchange's clock
    desk.broker.speed(7200)
    wait_for("the trade date has begun", lambda: desk.broker.status()["market_time"] >= "2024-01-08T06:10")
    desk.broker.speed(20)
    starts_at = from_iso(desk.broker.status()["market_time"]) + 20 * MINUTE
    at = market_hours("cme_equity").local(Nanos(starts_at)).strftime("%H:%M")
    policy = {"mode": "auto", "at": at, "dates": {OLD: "2024-01-08"}}
    session, before = holding(desk, account, {"roll": policy})
    assert step(desk, session) == "", "it is too early"

    desk.broker.speed(120)
    wait_for("it has begun", lambda: step(desk, session) != "")
    began_at = desk.broker.status()["market_at"]
    desk.broker.speed(20)

    assert began_at >= starts_at - MINUTE
    assert_rolled(desk, session, account, before)
    (row,) = desk.rows("select distinct by, quantity, contract, next_contract from rolls where session = %s", session)
    assert (row["by"], row["quantity"], row["contract"], row["next_contract"]) == ("rule", 1, OLD, NEXT)
    (why,) = desk.rows("select reason from rolls where session = %s order by number limit 1", session)
    assert why["reason"].endswith("to be rolled on 2024-01-08 (on the date of the session)")
    desk.flatten(session)
    desk.ask(names.KEEPER, "stop", {"session": session}, 30.0)


def test_a_position_moves_into_the_next_contract_with_stop_and_target_moved_by_the_spread(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    session, before = holding(desk, ACCOUNT)
    (row,) = tradectl(desk, capsys, "roll", str(session), "--list")["rolls"]
    assert (row["contract"], row["next_contract"], row["roll_on"], row["mode"]) == (OLD, NEXT, "2024-03-08", "manual")

    tradectl(desk, capsys, "roll", str(session), "--reason", "it is time")

    assert_rolled(desk, session, ACCOUNT, before)
    (row,) = tradectl(desk, capsys, "roll", str(session), "--list")["rolls"]
    assert (row["contract"], row["next_contract"]) == (NEXT, "ESU24")
    steps = [row["step"] for row in desk.rows("select step from rolls where session = %s order by number", session)]
    assert steps[0] == "closing"
    assert steps[-4:] == ["flat", "switched", "reopening", "rolled"]
    desk.assert_books_agree(session)
    (past,) = tradectl(desk, capsys, "roll", str(session), "--history")["rolls"]
    assert (past["step"], past["by"], past["reason"], past["spread"]) == ("rolled", "operator", "it is time", "10")
    assert (past["contract"], past["next_contract"]) == (OLD, NEXT)
    assert (past["quantity"], past["closed"], past["opened"]) == (1, 1, 1)
    assert Decimal(past["opened_price"]) - Decimal(past["closed_price"]) > 0


def test_what_was_bought_by_hand_is_adopted_with_its_stop_and_rolls_with_the_rest(desk: Desk) -> None:
    account = ACCOUNTS[2]
    session = desk.begin("holder.py:Holder", account, {"external_policy": "adopt", "adopt_stop_ticks": 4000})
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
    assert highest == Decimal(own["stop_price"]), "the adopted one is 1,000 points away"
    wait_for("the alarm is over", lambda: "external_adopted" not in desk.state(session)["alarms"])
    assert desk.rows("select name from alarms where session = %s and name = 'external_adopted'", session)

    roll(desk, session)
    wait_for("the roll is over", lambda: step(desk, session) == "rolled")
    wait_for("its trader knows", lambda: desk.state(session)["rolling"] is False)
    assert held(desk, account) == {NEXT: 2}
    wait_for("both are covered", lambda: highest + SPREAD in protection(desk, account, NEXT))
    assert protection(desk, account, OLD) == set()
