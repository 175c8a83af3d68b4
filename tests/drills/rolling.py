"""A session that holds one contract and rolls it: what drills of rolls share."""

from decimal import Decimal
from typing import Any

from tests.drills.desk import Desk, duplicates
from tradeproc.protocol import names
from tradeproc.testing.desk import wait_for

OLD, NEXT, SPREAD = "ESH24", "ESM24", Decimal(10)
TAPE = f"generated:{OLD}+{NEXT}:7"
"""Two contracts, of which the next one trades ten points higher."""


def held(desk: Desk, account: str) -> dict[str, int]:
    """Return what an account holds, by contract, as the broker has it."""
    books = desk.broker.ledger()
    found = [each for each in books["positions"] if each["account"] == account and int(each["quantity"])]
    return {each["contract"]: int(each["quantity"]) for each in found}


def protection(desk: Desk, account: str, contract: str) -> set[Decimal]:
    """Return the prices of the orders that work in a contract."""
    working = [
        each
        for each in desk.broker.ledger()["orders"]
        if (each["account"], each["contract"]) == (account, contract)
        and each["status"] in ("working", "partially_filled")
    ]
    return {Decimal(each["stop"] or each["limit"]) for each in working}


def step(desk: Desk, session: int) -> str:
    """Return how far the newest roll of a session is, empty before any."""
    rows = desk.rows("select step from rolls where session = %s order by number desc limit 1", session)
    return rows[0]["step"] if rows else ""


def holding(desk: Desk, account: str, changes: dict[str, Any] | None = None) -> tuple[int, set[Decimal]]:
    """Return a session that holds one contract, and the prices of its stop and target."""
    session = desk.begin("holder.py:Holder", account, changes)
    wait_for("the position", lambda: desk.state(session)["position"] == 1)
    wait_for("its protection", lambda: len(protection(desk, account, OLD)) == 2)
    return session, protection(desk, account, OLD)


def roll(desk: Desk, session: int) -> None:
    """Ask for the roll of a session."""
    answer = desk.ask(names.trader(session), "roll", {"by": "anna", "reason": "it is time", "next_contract": ""})
    assert (answer["contract"], answer["next_contract"]) == (OLD, NEXT)


def assert_rolled(desk: Desk, session: int, account: str, before: set[Decimal]) -> None:
    """Assert that the roll ended as it should: one position, moved protection, nothing twice, no alarm."""
    wait_for(
        "the roll is over",
        lambda: step(desk, session) in ("rolled", "given_up"),
    )
    (row,) = desk.rows("select step, reason from rolls where session = %s order by number desc limit 1", session)
    assert row["step"] == "rolled", row["reason"]
    wait_for("its trader knows", lambda: (now := desk.state(session))["rolling"] is False and now["reconciled"])
    state: dict[str, Any] = desk.state(session)
    assert (state["contract"], state["position"], held(desk, account)) == (NEXT, 1, {NEXT: 1})
    assert protection(desk, account, NEXT) == {price + SPREAD for price in before}
    assert protection(desk, account, OLD) == set()
    assert duplicates(desk.broker.ledger()["requests"], account) == []
    standing = "select name from alarms where session = %s and cleared_at is null"
    assert desk.rows(standing, session) == []
    wait_for("the strategy runs again", lambda: desk.state(session)["decisions"]["bars"] > 0)
