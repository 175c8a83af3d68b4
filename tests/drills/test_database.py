"""The database away: at the start, in mid-session, killed, or somebody else's; no fill and no event is ever lost."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.databases import freeze_server, fresh_database, server
from tests.drills.desk import Desk, is_over
from tests.drills.long_tape import write_tape
from tradeproc.domain.answers import Known, Unknown
from tradeproc.store.kept import kept_file, read_kept
from tradeproc.store.rows import Latch
from tradeproc.supervision.client import Program, ProgramState, Supervisor
from tradeproc.testing.desk import ACCOUNT, wait_for

pytestmark = pytest.mark.drill

HOLD = 15


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose session 1 holds each position for a while."""
    folder: Path = tmp_path_factory.mktemp("desk")
    with Desk(folder, speed=60.0, history_minutes=10, tape=write_tape(folder)) as desk:
        assert desk.begin(hold=HOLD, stop_ticks=300, target_ticks=300) == 1
        desk.wait_fills(1)
        yield desk


def programs(desk: Desk) -> dict[str, Program]:
    return {program.process: program for program in Supervisor(desk.home).processes()}


def stop_database(desk: Desk) -> None:
    supervisor = Supervisor(desk.home)
    supervisor.stop("core", "postgres")
    wait_for("the database down", lambda: programs(desk)["core.postgres"].state is ProgramState.STOPPED)


def start_database(desk: Desk) -> None:
    Supervisor(desk.home).start("core", "postgres")


def wait_position(desk: Desk, session: int) -> None:
    """Wait until the session has just entered and its stop works."""
    wait_for("flat", lambda: desk.state(session)["position"] == 0)
    wait_for("a protected position", lambda: (state := desk.state(session))["position"] and len(state["orders"]) == 2)


def is_resumed(desk: Desk) -> bool:
    """Resume session 1 and tell whether its trader has heard of it."""
    desk.ask("core.keeper", "resume", {"session": 1, "reason": "flat"})
    return bool(desk.state(1)["trading_state"] == "active")


def broker_is_flat(desk: Desk) -> bool:
    books = desk.broker.ledger()
    is_idle = all(is_over(order["status"]) for order in books["orders"] if order["account"] == ACCOUNT)
    return is_idle and not [each for each in books["positions"] if each["account"] == ACCOUNT and each["quantity"]]


def trades_are_computed(desk: Desk) -> bool:
    """Tell whether the trades account for every contract that was closed."""
    closed = sum(trade["quantity"] for trade in desk.rows("select quantity from trades where session = 1"))
    bought = desk.rows("select coalesce(sum(quantity), 0) as n from fills where session = 1 and side = 'buy'")[0]["n"]
    sold = desk.rows("select coalesce(sum(quantity), 0) as n from fills where session = 1 and side = 'sell'")[0]["n"]
    return bool(closed == min(bought, sold) and closed)


def assert_history_is_whole(desk: Desk) -> None:
    """Compare the stories of all orders with their rows: every order was created, and ended where its row says.

    An entry that met a hanging database was never sent: all that was written of it, later, is that it was dropped.
    """
    stories = desk.rows(
        "select o.id, o.state, array_agg(e.what order by e.sequence) as story,"
        " (array_agg(e.after order by e.sequence desc))[1] as last"
        " from orders o left join order_events e on e.order_id = o.id where o.session = 1 group by o.id, o.state"
    )
    begun = [row for row in stories if row["story"] != ["dropped"]]
    assert [row for row in begun if row["story"][0] != "created"] == []
    assert [row for row in stories if row["last"] != row["state"]] == []


def test_a_database_that_goes_away_stops_entries_and_not_exits_and_misses_nothing(trading: Desk) -> None:
    wait_position(trading, 1)
    before = trading.count("fills", 1)

    stop_database(trading)
    wait_for("the trader notices", lambda: trading.state(1)["database"] == "down")
    assert "database_down" in trading.state(1)["alarms"]
    trading.flatten(1)
    assert broker_is_flat(trading)
    wait_for("it may enter again", lambda: is_resumed(trading))
    wait_for("an entry refused", lambda: "refusal=the database is down" in trading.log("session-1.trader"))
    assert broker_is_flat(trading)
    assert "core.postgres" not in {name for name, program in programs(trading).items() if program.pid}

    start_database(trading)
    wait_for("the fill that was in the journal", lambda: trading.count("fills", 1) > before)
    trading.wait_fills(1, more=2)
    trading.assert_books_agree(1)
    assert_history_is_whole(trading)
    wait_for("trades", lambda: trades_are_computed(trading))
    assert (trading.home.journal / "session-1.jsonl").read_bytes() == b""
    assert not trading.rows("select * from divergences where session = 1")


def test_a_database_that_is_killed_comes_back_with_everything(trading: Desk) -> None:
    wait_position(trading, 1)
    postmaster = trading.ask("core.postgres", "status", {})["statistics"]["server_pid"]

    os.kill(postmaster, signal.SIGKILL)

    wait_for("another server", lambda: trading.ask("core.postgres", "status", {})["statistics"]["server_pid"]
             not in (None, postmaster))  # fmt: skip
    trading.wait_ready(1)
    trading.wait_fills(1, more=2)
    trading.assert_books_agree(1)
    assert_history_is_whole(trading)
    wait_for("trades", lambda: trades_are_computed(trading))


def test_a_database_that_hangs_is_noticed_and_started_again(trading: Desk) -> None:
    hung = freeze_server(trading.ask("core.postgres", "status", {})["statistics"]["server_pid"])

    wait_for("their end", lambda: not any(process.is_running() for process in hung), 120.0)
    wait_for("the database", lambda: trading.rows("select 1 as one from sessions"))
    trading.wait_ready(1)
    trading.wait_fills(1, more=2)
    trading.assert_books_agree(1)
    assert_history_is_whole(trading)


def test_a_database_that_is_down_at_the_start_is_waited_for(trading: Desk) -> None:
    wait_position(trading, 1)
    # the pause outlives the broker: the strategy would leave after some bars, however long the start takes
    trading.broker.pause()
    held = trading.state(1)["position"]
    assert held
    trading.down()
    whole = (trading.home.root / "supervisord.conf").read_text()
    late = whole.replace("[program:postgres]\n", "[program:postgres]\nautostart=false\n")
    (trading.home.root / "supervisord.conf").write_text(late)

    trading.home.make_folders()
    trading.boot()

    waiting = ["session-1.trader", "core.keeper"]
    for process in waiting:
        wait_for(f"{process} waits", lambda: "database" in trading.ask(process, "status", {})["detail"])  # noqa: B023
    wait_for("the local broker", lambda: trading.broker.status())
    # the notifier has nobody to tell on this desk, so it has ended
    resting = {"core.postgres", "notifier.notifier"}
    states = {name: program.state for name, program in programs(trading).items() if name not in resting}
    assert set(states.values()) <= {ProgramState.RUNNING}, states
    pids = {name: trading.pid(name) for name in waiting}

    start_database(trading)

    trading.wait_ready(1)
    assert trading.state(1)["position"] == held
    trading.broker.resume()
    trading.wait_fills(1, more=2)
    trading.assert_books_agree(1)
    assert {name: trading.pid(name) for name in waiting} == pids


def kept(desk: Desk) -> tuple[Latch, ...]:
    """Return the switches that wait for the database."""
    match read_kept(kept_file(desk.home)):
        case Known(latches):
            return latches
        case Unknown(reason):
            raise AssertionError(reason)


def test_a_halt_that_waits_for_the_database_outlives_supervisord_a_loss_of_power_and_a_keeper_that_comes_last(
    trading: Desk,
) -> None:
    """The database does not start with the desk here, as the drill before has left it."""
    wait_position(trading, 1)
    supervisor = Supervisor(trading.home)
    stop_database(trading)
    told = trading.tradectl("halt", "--reason", "drill")
    assert told["latch"] == "kept until the database is back"

    for die in (trading.crash, trading.cut_power):
        die()
        trading.boot()
        wait_for("the trader waits", lambda: "database" in trading.ask("session-1.trader", "status", {})["detail"])
        assert [latch.state for latch in kept(trading)] == ["halted"]
    supervisor.stop("core", "keeper")
    start_database(trading)
    wait_for("the job queue has swept", lambda: trading.ask("core.jobs", "status", {})["state"] == "ready")
    wait_for("the trader", lambda: trading.state(1)["reconciled"])
    assert trading.state(1)["trading_state"] == "halted"
    assert trading.rows("select * from latches where scope = 'host' and state = 'halted'") == []

    supervisor.start("core", "keeper")
    wait_for("it is stored", lambda: trading.rows("select * from latches where scope = 'host' and state = 'halted'"))
    assert trading.state(1)["trading_state"] == "halted"
    trading.tradectl("resume")
    trading.wait_fills(1, more=1)
    trading.assert_books_agree(1)


def test_a_database_elsewhere_does_as_well(tmp_path: Path) -> None:
    with server() as running, fresh_database(running) as url:
        desk = Desk(tmp_path, speed=60.0, history_minutes=10, tape=write_tape(tmp_path), database=url)
        with desk:
            session = desk.begin()
            desk.wait_fills(session, more=3)
            desk.assert_books_agree(session)

            postgres = programs(desk)["core.postgres"]
            assert (postgres.state, postgres.exit_status) == (ProgramState.EXITED, 0)
            assert not desk.home.postgres.exists()
            wait_for("trades", lambda: trades_are_computed(desk))
            servers = [each.name() for each in psutil.Process(desk.supervisord.pid).children(recursive=True)
                       if each.name() == "postgres"] if desk.supervisord else ["?"]  # fmt: skip
            assert servers == []
