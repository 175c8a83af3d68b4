"""`tradectl upgrade` on a desk that holds positions: onto good code, onto code that cannot start, onto none."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.desk import Desk, duplicates
from tests.drills.interpreter import replace_interpreter
from tests.drills.long_tape import write_tape
from tradeproc.testing.desk import ACCOUNTS, wait_for

pytestmark = pytest.mark.drill

# what stands before the new code; the file `broken` names what cannot start: -c, or as "trader 2"
BROKEN = """
broken="$(cat {home}/broken 2>/dev/null)"
if [ -n "$broken" ] && {{ [ "$3 $4" = "$broken" ] || [ "$1" = "$broken" ]; }}; then
    echo "ImportError: the new code has no such thing" >&2
    exit 70
fi
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose interpreter can be broken, with sessions 1 and 2, each with a position and its stop."""
    folder: Path = tmp_path_factory.mktemp("desk")
    built = Desk(folder, speed=30.0, history_minutes=10, tape=write_tape(folder))
    replace_interpreter(built, BROKEN)
    with built:
        for number, account in enumerate(ACCOUNTS[:2], 1):
            assert built.begin(account=account, hold=10_000, stop_ticks=2000, target_ticks=2000) == number
            wait_for("a protected position", lambda number=number: len(built.state(number)["orders"]) == 2)
        yield built


def pids(desk: Desk) -> dict[str, int]:
    return {program.process: program.pid for program in desk.programs()}


def book(desk: Desk) -> tuple[set[str], list[int]]:
    """Return the orders that work at the broker, and the positions of the sessions."""
    over = ("filled", "cancelled", "rejected", "expired")
    working = {order["id"] for order in desk.broker.ledger()["orders"] if order["status"] not in over}
    return working, [desk.state(session)["position"] for session in (1, 2)]


def break_code(desk: Desk, what: str) -> None:
    (desk.home.root / "broken").write_text(what)


def test_new_code_that_cannot_be_imported_restarts_nothing(desk: Desk) -> None:
    before = pids(desk)
    break_code(desk, "-c")

    answer = desk.tradectl("upgrade", code=1)

    assert "ImportError: the new code has no such thing; nothing was restarted" in answer["error"]
    assert pids(desk) == before
    os.remove(desk.home.root / "broken")


def test_a_configuration_that_cannot_be_used_restarts_nothing(desk: Desk) -> None:
    before, file = pids(desk), desk.home.conf / "tradeproc.toml"
    good = file.read_text()
    file.write_text(good.replace("max_order =", "max_ordr ="))

    answer = desk.tradectl("upgrade", code=1)

    file.write_text(good)
    assert "max_ordr: unknown key; did you mean 'max_order'?" in answer["error"]
    assert pids(desk) == before


def test_the_upgrade_goes_group_by_group_and_stops_at_the_one_that_does_not_come_up(desk: Desk) -> None:
    before, books = pids(desk), book(desk)
    break_code(desk, "trader 1")

    answer = desk.tradectl("upgrade", code=1)

    assert answer["upgraded"][-1] == f"link-paper.positions-{ACCOUNTS[1]}"
    assert answer["upgraded"].index("core.keeper") < answer["upgraded"].index("link-paper.link")
    assert (answer["failed"], answer["left"]) == ("session-1", ["session-2"])
    assert "session-1.trader does not come up: ImportError: the new code has no such thing" in answer["error"]
    after = pids(desk)
    # the feeds of the session that is down are pruned when nobody has needed them for long enough
    idle = {f"link-paper.{kind}-{ACCOUNTS[0]}" for kind in ("orders", "positions")}
    assert before.keys() - after.keys() <= idle
    assert after.keys() <= before.keys()
    same = ["core.postgres", "notifier.notifier", "session-2.account", "session-2.trader"]
    assert sorted(process for process, pid in after.items() if pid == before[process]) == same
    desk.wait_ready(2)
    desk.assert_books_agree(2, ACCOUNTS[1])
    os.remove(desk.home.root / "broken")
    desk.tradectl("session", "start", "1")
    wait_for("session 1 reconciled", lambda: desk.state(1)["reconciled"])
    wait_for("every process as before", lambda: pids(desk).keys() == before.keys())
    assert book(desk) == books


def test_the_rest_follows_when_the_code_is_good(desk: Desk) -> None:
    before, books = pids(desk), book(desk)

    answer = desk.tradectl("upgrade", "session-2", "core.jobs")

    assert answer["upgraded"] == ["core.jobs", "session-2"]
    assert answer["not_up"] == []
    moved = sorted(process for process, pid in pids(desk).items() if pid != before[process])
    assert moved == ["core.jobs", "session-2.account", "session-2.trader"]
    desk.tradectl("upgrade", "session-3", code=4)
    for session, account in enumerate(ACCOUNTS[:2], 1):
        desk.assert_books_agree(session, account)
        assert not duplicates(desk.broker.ledger()["requests"], account)
    assert book(desk) == books
