"""A clean life: stopping says what stays, a process ends when told, nothing is left, a bad configuration is said."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import bodies
from tests.drills.desk import Desk, is_over
from tests.drills.long_tape import write_tape
from tradeproc.domain.broker_orders import BracketRequest, OrderRequest
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.units import Contracts, Price
from tradeproc.supervision.client import Program, ProgramState, Supervisor
from tradeproc.testing.desk import ACCOUNT, wait_for

pytestmark = pytest.mark.drill

# the promise is 10 s on a machine of our own; measured are about 2, and a busy one is given time
SOON = 100.0
PROCESSES = [
    "session-1.trader",
    "session-1.account",
    "link-paper.bars-ESH24-1m",
    f"link-paper.orders-{ACCOUNT}",
    f"link-paper.positions-{ACCOUNT}",
    "link-paper.link",
    "core.jobs",
    "core.keeper",
    "core.portfolio",
    "core.tokens",
    "core.postgres",
    "warden.warden",
    "localbroker.localbroker",
]
LINK = "link-paper.link"
PATIENT: dict[str, Any] = {"hold": 100_000, "stop_ticks": 900, "target_ticks": 900}


@pytest.fixture
def private_tmp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder that nobody else uses, with a short name as the usual one has."""
    with tempfile.TemporaryDirectory(prefix="t-") as name:
        Path(name).chmod(0o1777)
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(name)


@pytest.fixture(scope="module")
def holding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose session 1 holds a position with a stop and a target."""
    folder: Path = tmp_path_factory.mktemp("desk")
    with Desk(folder, speed=60.0, history_minutes=10, tape=write_tape(folder)) as desk:
        assert desk.begin(**PATIENT) == 1
        wait_for("a protected position", lambda: desk.state(1)["position"] and len(desk.state(1)["orders"]) == 2)
        yield desk


def program(desk: Desk, process: str) -> Program:
    return next(each for each in Supervisor(desk.home).processes() if each.process == process)


def ends(desk: Desk, name: str) -> list[str]:
    """Return how the lives of a program ended that nobody told supervisord to stop, in its words."""
    log = (desk.home.log / "supervisord.log").read_text()
    return re.findall(rf"exited: {re.escape(name)} \((.*)\)$", log, re.MULTILINE)


def sockets(desk: Desk, process: str) -> set[tuple[str, int]]:
    """Return the files by which others find a process, each with the moment at which its present life made it."""
    found = set()
    for path in desk.home.sockets.glob(f"{process}.*"):
        with contextlib.suppress(FileNotFoundError):
            found.add((path.name, path.stat().st_ctime_ns))
    return found


def supervisorctl(desk: Desk, *words: str) -> str:
    done = subprocess.run(
        [".venv/bin/supervisorctl", "-c", "supervisord.conf", *words],
        cwd=desk.home.root,
        env=desk.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def at_the_broker(desk: Desk) -> tuple[set[str], int]:
    """Return the working orders and the position of the account."""
    books = desk.broker.ledger()
    orders = {each["id"] for each in books["orders"] if each["account"] == ACCOUNT and not is_over(each["status"])}
    return orders, sum(int(each["quantity"]) for each in books["positions"] if each["account"] == ACCOUNT)


def commands() -> list[list[str]]:
    """Return the command lines of all living processes; ours all name their home."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.append(process.cmdline())
    return found


def left_behind(desk: Desk) -> dict[str, Any]:
    """Return what a desk that is down should not have."""
    home = desk.home
    found: dict[str, Any] = {
        "processes": [words for words in commands() if str(home.root) in " ".join(words)],
        "sockets": [str(path) for path in home.root.rglob("*") if path.is_socket()],
        "bus": [str(path) for path in home.sockets.glob("*")],
        "pid": [str(path) for path in home.run.glob("*.pid")],
    }
    return {name: value for name, value in found.items() if value}


def test_supervisorctl_stops_a_session_in_order_and_its_orders_and_position_stay(holding: Desk) -> None:
    holding.broker.pause()
    orders, position = at_the_broker(holding)
    assert position
    assert len(orders) == 2
    rows = holding.count("orders", 1)

    told = supervisorctl(holding, "stop", "session-1:*")

    assert [told.count(f"session-1:{name}: stopped") for name in ("trader", "account")] == [1, 1], told
    for name in ("trader", "account"):
        found = program(holding, f"session-1.{name}")
        assert (found.state, found.exit_status) == (ProgramState.STOPPED, 0)
    goodbye = f"session_stopped session=1 position={position:+d} working_orders=2: they stay at the broker"
    assert goodbye in holding.log("session-1.trader")
    assert at_the_broker(holding) == (orders, position)

    supervisorctl(holding, "start", "session-1:*")
    holding.wait_ready(1)
    holding.broker.resume()

    state = holding.state(1)
    assert state["position"] == position
    assert {order["broker_id"] for order in state["orders"]} == orders
    assert holding.count("orders", 1) == rows
    assert not holding.rows("select * from divergences where session = 1")
    holding.assert_books_agree(1)


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_that_is_told_to_stop_ends_by_itself_and_can_be_started_again(holding: Desk, process: str) -> None:
    supervisor, (group, name) = Supervisor(holding.home), process.split(".", 1)
    wait_for(f"{process} up", lambda: program(holding, process).state is ProgramState.RUNNING)

    before = ends(holding, name)
    own_sockets = sockets(holding, process)
    assert own_sockets

    # not through supervisord, which kills after some seconds: how busy the machine is must not decide
    os.kill(program(holding, process).pid, signal.SIGTERM)

    # by supervisord's log: the keeper starts a link that sessions need again within a second of its end
    wait_for("its end", lambda: len(ends(holding, name)) > len(before))
    assert ends(holding, name)[len(before)] == "exit status 0; expected"
    assert not own_sockets & sockets(holding, process)
    assert "Traceback" not in holding.log(process)
    supervisor.start(group, name)
    wait_for(f"{process} well", lambda: holding.ask(process, "status", {}, 2.0)["state"] == "ready")
    holding.wait_ready(1)


def flood(desk: Desk, brackets: int) -> None:
    """Place brackets far from the market and cancel them: three ended orders of today each, none of them ours."""
    for number in range(brackets):
        parts = [("e", "buy", "limit", "100"), ("s", "sell", "stop", "50"), ("p", "sell", "limit", "9000")]
        entry, stop, target = (
            OrderRequest(
                f"flood-{number}-{name}",
                Contract.parse("ESH24"),
                Side(side),
                Contracts(1),
                OrderType(kind),
                OrderRole.ENTRY,
                **{"stop" if kind == "stop" else "limit": Price(Decimal(price))},
            )
            for name, side, kind, price in parts
        )
        request = bodies.request_to_body(BracketRequest(entry, stop, target))
        told = desk.ask(LINK, "submit", {"account": ACCOUNT, "request": request}, 15.0)
        cancel = {"account": ACCOUNT, "broker_id": told["broker_ids"][entry.id]}
        assert desk.ask(LINK, "cancel", cancel, 15.0)["outcome"] == "accepted"


def test_a_day_of_more_than_600_orders_hides_neither_the_stop_nor_what_flatten_has_to_cancel(holding: Desk) -> None:
    orders, position = at_the_broker(holding)
    assert (len(orders), bool(position)) == (2, True)

    flood(holding, 205)

    # an order that two answers lacked, ten seconds apart, used to count as gone
    end = time.monotonic() + 13.0
    wait_for("answers", lambda: holding.ask("session-1.trader", "reconcile", {}) and time.monotonic() > end)
    assert {order["broker_id"] for order in holding.state(1)["orders"]} == orders
    assert at_the_broker(holding) == (orders, position)
    assert not holding.rows("select * from divergences where session = 1")
    standing = "select * from alarms where session = 1 and cleared_at is null"
    wait_for("no alarm", lambda: not holding.rows(standing))
    holding.flatten(1)
    wait_for("nothing left at the broker", lambda: at_the_broker(holding) == (set(), 0))


def test_a_position_closed_by_hand_is_booked_as_the_broker_has_it_and_stays_closed_until_a_person_says_why(
    holding: Desk,
) -> None:
    holding.tradectl("resume", "--session", "1", "--reason", "flat again")
    wait_for("a protected position", lambda: holding.state(1)["position"] and len(holding.state(1)["orders"]) == 2)
    held = holding.state(1)["position"]
    holding.trade_by_hand(-held)

    wait_for("it is latched", lambda: holding.state(1)["trading_state"] == "reducing")
    wait_for("stop and target are gone", lambda: at_the_broker(holding) == (set(), 0))
    holding.kill("session-1.trader")
    wait_for("it lives again", lambda: holding.state(1)["reconciled"] and holding.state(1)["warm"])

    state = holding.state(1)
    assert (state["position"], state["trading_state"]) == (0, "reducing")
    assert "external_change" in state["alarms"]
    fills = [each for each in holding.broker.ledger()["fills"] if each["account"] == ACCOUNT]
    cash = sum(
        Decimal(each["price"]) * each["quantity"] * 50 * (1 if each["side"] == "sell" else -1) for each in fills
    )
    assert Decimal(state["realized"]) == cash
    wait_for("the trades", lambda: holding.rows("select sum(profit) as profit from trades")[0]["profit"] == cash)
    bars = state["bars"]
    wait_for("another bar", lambda: holding.state(1)["bars"] > bars)
    assert at_the_broker(holding) == (set(), 0), "it does not enter again"
    assert "--reason" in str(holding.tradectl("resume", "--session", "1", code=None))
    assert holding.state(1)["trading_state"] == "reducing"
    holding.tradectl("resume", "--session", "1", "--reason", "closed by me")
    wait_for("it may enter again", lambda: holding.state(1)["trading_state"] == "active")


def test_a_position_made_by_hand_is_adopted_by_a_person_with_a_stop_that_works_at_the_broker(holding: Desk) -> None:
    holding.flatten(1)
    wait_for("nothing left at the broker", lambda: at_the_broker(holding) == (set(), 0))
    holding.trade_by_hand(2)
    wait_for("it is booked", lambda: holding.state(1)["position"] == 2)
    last = holding.state(1)["last"]

    refused = holding.tradectl("adopt", "1", "--stop", f"{last + 100}", "--reason", "mine", code=1)
    assert "would fill at once" in str(refused)
    told = holding.tradectl("adopt", "1", "--stop", f"{last - 100}", "--reason", "mine")

    (stop,) = told["stops"]
    assert (told["position"], stop["quantity"], Decimal(stop["stop_price"])) == (2, 2, Decimal(str(last - 100)))
    wait_for("the stop works", lambda: (len(at_the_broker(holding)[0]), at_the_broker(holding)[1]) == (1, 2))
    row = f"select details ->> 'reason' as reason from order_events where order_id = '{stop['id']}' order by sequence"
    assert "mine" in holding.rows(row)[0]["reason"]
    wait_for("it is covered", lambda: "position_uncovered" not in holding.state(1)["alarms"])
    holding.flatten(1)
    wait_for("nothing left at the broker", lambda: at_the_broker(holding) == (set(), 0))


def test_the_end_of_everything_leaves_nothing(private_tmp: Path, tmp_path: Path) -> None:
    home = tmp_path / "desk"
    home.mkdir()
    desk = Desk(home, speed=60.0, history_minutes=10, tape=write_tape(home))
    before = set(private_tmp.rglob("*"))
    for end in ("SIGTERM", "tradectl down", "supervisorctl shutdown"):
        desk.up()
        if end == "SIGTERM":
            desk.begin(**PATIENT)
        for process in PROCESSES:
            wait_for(f"{process} well", lambda: desk.ask(process, "status", {}, 2.0)["state"] == "ready")  # noqa: B023
        assert desk.supervisord is not None
        if end == "SIGTERM":
            desk.supervisord.send_signal(signal.SIGTERM)
        elif end == "tradectl down":
            desk.tradectl("down")
        else:
            supervisorctl(desk, "shutdown")

        desk.supervisord.wait(SOON)
        wait_for("the end of all", lambda: not left_behind(desk), SOON)
        assert desk.supervisord.returncode == 0
        desk.down()
        assert set(private_tmp.rglob("*")) <= before
        assert "session_stopped session=1" in desk.log("session-1.trader")
        logs = [path.read_text(errors="replace") for path in desk.home.log.glob("*.log")]
        assert not [text[text.index("Traceback") :] for text in logs if "Traceback" in text]


def add(line: str, after: str) -> Callable[[Desk], None]:
    """Return a change of the configuration: a line more."""

    def change(desk: Desk) -> None:
        file = desk.home.conf / "tradeproc.toml"
        file.write_text(file.read_text().replace(f"{after}\n", f"{after}\n{line}\n", 1))

    return change


def open_secret(desk: Desk) -> None:
    """Keep a secret in a file that others may read."""
    secret = desk.home.root / "id"
    secret.write_text("local")
    secret.chmod(0o644)
    file = desk.home.conf / "tradeproc.toml"
    file.write_text(file.read_text().replace('client_id = { public = "local" }', 'client_id = { file = "id" }'))


def go_live(desk: Desk) -> None:
    """Ask for real money without accepting it."""
    file = desk.home.conf / "tradeproc.toml"
    file.write_text(file.read_text().replace('environment = "paper"', 'environment = "live"'))


BROKEN: dict[str, tuple[Callable[[Desk], None], str]] = {
    "an unknown key": (add("max_ordr = 3", "[limits]"), "max_ordr"),
    "a wrong type": (add('idle_seconds = "soon"', "[logins.paper]"), "idle_seconds"),
    "a secret that others may read": (open_secret, "0600"),
    "real money that nobody accepted": (go_live, "i_accept_real_money"),
    "no TOML": (add("nonsense", "[desk]"), "TOML"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_configuration_stops_everything_with_one_clear_line(tmp_path: Path, broken: str) -> None:
    change, word = BROKEN[broken]
    desk = Desk(tmp_path)
    change(desk)
    try:
        answer = desk.tradectl("up", code=1)
        assert word in answer["error"]
        assert "tradeproc.toml" in answer["error"]
        assert left_behind(desk) == {}, "nothing was started"
        desk.boot()  # as systemd or a person with supervisord does, who does not ask tradectl
        wait_for("all down", lambda: all(each.state.is_down for each in Supervisor(desk.home).processes()))
        for each in Supervisor(desk.home).processes():
            assert (each.state, each.exit_status) == (ProgramState.EXITED, 78), each
            lines = desk.log(each.process).splitlines()
            assert len([line for line in lines if "CRITICAL" in line and word in line]) == 1, lines
            assert "Traceback" not in "".join(lines)
    finally:
        desk.tradectl("down")
        desk.down()
    assert left_behind(desk) == {}


def test_a_configuration_that_was_mended_is_read_at_the_next_start(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    good = (desk.home.conf / "tradeproc.toml").read_text()
    go_live(desk)
    try:
        desk.tradectl("up", code=1)
        (desk.home.conf / "tradeproc.toml").write_text(good)
        desk.tradectl("down")
        desk.tradectl("up")
    finally:
        desk.tradectl("down")


def test_a_home_of_120_characters_works_and_leaves_nothing(private_tmp: Path, tmp_path: Path) -> None:
    home = tmp_path / "a" / ("long" * 40)[: 120 - len(str(tmp_path)) - 3]
    home.mkdir(parents=True)
    assert len(str(home)) == 120
    desk = Desk(home, speed=60.0, history_minutes=10, tape=write_tape(home))
    try:
        desk.tradectl("up")
        session = desk.begin()
        desk.wait_fills(session)
        desk.assert_books_agree(session)
        assert "RUNNING" in supervisorctl(desk, "status", "session-1:trader")
    finally:
        desk.tradectl("down")
        desk.broker.close()
    assert left_behind(desk) == {}
    assert list(private_tmp.rglob("*")) == []
