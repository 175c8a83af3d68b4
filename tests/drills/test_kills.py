"""`kill -9` of each kind of process in mid-session: it comes back, trades again; nothing lost, nothing sent twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.desk import Desk
from tests.drills.long_tape import write_tape
from tradeproc.testing.desk import ACCOUNT, wait_for

pytestmark = pytest.mark.drill

PROCESSES = [
    "session-1.trader",
    "session-1.account",
    "link-paper.link",
    "link-paper.bars-ESH24-1m",
    f"link-paper.orders-{ACCOUNT}",
    f"link-paper.positions-{ACCOUNT}",
    "core.tokens",
    "core.portfolio",
    "core.keeper",
    "core.jobs",
    "core.postgres",
    "warden.warden",
    "localbroker.localbroker",
]


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose session 1 trades all the time."""
    folder: Path = tmp_path_factory.mktemp("desk")
    with Desk(folder, speed=15.0, history_minutes=5, tape=write_tape(folder)) as desk:
        assert desk.begin() == 1
        desk.wait_fills(1)
        yield desk


@pytest.mark.parametrize("process", PROCESSES)
def test_a_killed_process_comes_back_and_the_books_agree(trading: Desk, process: str) -> None:
    killed = trading.kill(process)

    wait_for(f"{process} back", lambda: trading.pid(process) not in (0, killed))
    wait_for(f"{process} well", lambda: trading.ask(process, "status", {}, 2.0)["state"] == "ready")
    trading.wait_ready(1)
    trading.wait_fills(1)
    trading.assert_books_agree(1)
    assert trading.pid(process) != killed
