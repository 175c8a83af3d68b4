"""tradectl, the health check, the login and the live view, asked of one real desk."""

import io
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.cli.readme import strategy_of_the_readme
from tests.drills.desk import Desk
from tests.drills.long_tape import NAME, write_tape
from tradeproc.cli import healthcheck, tradectl
from tradeproc.clock import wall_ns
from tradeproc.domain.units import Nanos, iso
from tradeproc.protocol import names
from tradeproc.store import Store
from tradeproc.store.embedded import database_url
from tradeproc.testing.desk import ACCOUNT, wait_for
from tradeproc.testing.running import free_port
from tradeproc.testing.waiting import Late

pytestmark = pytest.mark.drill

Main = Callable[[Sequence[str]], int]
OTHER_ACCOUNT = "SIM0000002F"
CTL = ".venv/bin/supervisorctl -c supervisord.conf"


class RunningDesk(Desk):
    """A desk whose login is sent back to a free port, and whose commands are run as a person runs them."""

    def __init__(self, folder: Path) -> None:
        # the shipped hour is over after some waits for trades at speed 60
        super().__init__(folder, speed=2.0, history_minutes=20, tape=NAME)
        write_tape(folder)
        self.redirect_port = free_port()
        self.set("redirect_uri", f'"http://localhost:{self.redirect_port}/"')
        # a test stops it, and the warden must not mend that
        self.set("hung", "{ jobs = 3600.0 }")

    def set(self, key: str, value: str) -> None:
        """Set a key of the configuration, which may stand there commented out."""
        file = self.home.conf / "tradeproc.toml"
        text, count = re.subn(rf"^(# )?{key} = .*$", f"{key} = {value}", file.read_text(), flags=re.MULTILINE)
        assert count == 1
        file.write_text(text)

    def start(self, *arguments: str, module: str = "tradectl", **options: Any) -> "subprocess.Popen[str]":
        """Start a command as a process of its own, as a person does, and leave it running."""
        command = [sys.executable, "-m", f"tradeproc.cli.{module}", *arguments]
        environment = {**self.environment, "TRADEPROC_HOME": str(self.home.root)}
        return subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
        )

    def run(self, *arguments: str, main: Main = tradectl.main) -> tuple[int, str, str]:
        """Run a command in this process and return its exit code, its output and its errors."""
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            code = int(main([*arguments, "--home", str(self.home.root)]))
        return code, output.getvalue(), errors.getvalue()

    def tradectl(self, *arguments: str, code: int | None = 0) -> Any:
        """Run tradectl with --json and return what it printed."""
        found, output, errors = self.run(*arguments, "--json")
        assert code is None or found == code, output + errors
        return json.loads(output)

    def health(self) -> tuple[int, list[str]]:
        """Run the health check."""
        code, output, errors = self.run(main=healthcheck.main)
        assert not errors
        return code, output.splitlines()

    def wait_well(self) -> None:
        """Wait until the health check has nothing to say."""
        self.wait_health(0, [])

    def wait_health(self, code: int, begins: list[str]) -> None:
        """Wait until the health check ends with a code and has one line for each beginning."""
        told: list[str] = []

        def is_so() -> bool:
            found, told[:] = self.health()
            begin_so = [line.startswith(begin) for line, begin in zip(told, begins, strict=False)]
            return found == code and len(told) == len(begins) and all(begin_so)

        try:
            wait_for("health", is_so)
        except Late:
            raise AssertionError("\n".join(told)) from None

    def supervisorctl(self, *arguments: str) -> None:
        """Command supervisord as a person does."""
        program = self.home.root / ".venv/bin/supervisorctl"
        command = [str(program), "-c", str(self.home.root / "supervisord.conf"), *arguments]
        subprocess.run(command, env=self.environment, capture_output=True, timeout=60, check=False)

    def paste(self, command: str) -> None:
        """Run a command of a message as a person does who pastes it in the home folder."""
        pasted = subprocess.run(
            ["bash", "-c", command],
            cwd=self.home.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert pasted.returncode == 0, f"{command}: {pasted.stdout}{pasted.stderr}"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    """A running desk with one session that trades the README's strategy."""
    # a home may be called anything: commands that are pasted, the database, and every process find their way
    running = RunningDesk(tmp_path_factory.mktemp("cli") / "50% für ;mich %(here)s")
    (running.home.root / "mine.py").write_text(strategy_of_the_readme())
    with running:
        wait_for("ready", lambda: running.tradectl("status", code=None)["sessions"] == [])
        wait_for("keeper", lambda: running.ask("core.keeper", "status", {})["state"] == "ready")
        file = str(running.home.conf / "sessions" / "example.toml")
        created = running.tradectl(
            "session", "create", file, "--name", "mine", "--strategy", "mine.py:ThreeInARow", "--set", "count=2",
            "--set", "target_ticks=4", "--start",
        )  # fmt: skip
        assert created["session"] == 1
        running.wait_ready(1)
        yield running


# --- lists and sessions


def test_a_session_with_an_account_that_the_login_does_not_have_is_refused(desk: RunningDesk) -> None:
    file = str(desk.home.conf / "sessions" / "example.toml")

    refused = desk.tradectl("session", "create", file, "--name", "typo", "--account", "SIM0000001G", code=1)

    assert refused["error"] == "account 'SIM0000001G' is not one of login 'paper'; did you mean 'SIM0000001F'?"


def test_every_program_is_listed_with_what_its_process_says(desk: RunningDesk) -> None:
    told = desk.tradectl("status")

    rows = {row["process"]: row for row in told["processes"]}
    assert {"core.keeper", "warden.warden", f"link-paper.orders-{ACCOUNT}", "session-1.trader"} <= set(rows)
    # nobody is told of alarms on this desk, so what would tell them has ended at once
    assert {row["process"] for row in rows.values() if row["supervisor"] == "EXITED"} == {"notifier.notifier"}
    assert {row["supervisor"] for row in rows.values()} == {"RUNNING", "EXITED"}
    assert [row["name"] for row in told["sessions"]] == ["mine"]


@pytest.mark.parametrize(
    "name",
    ["sessions", "orders", "positions", "trades", "fills", "decisions", "divergences", "alarms", "logins"],
)
def test_every_list_is_one_json_document_for_programs_and_a_table_for_people(desk: RunningDesk, name: str) -> None:
    assert isinstance(desk.tradectl(name)[name], list)

    code, output, errors = desk.run(name)
    assert (code, errors) == (0, "")
    assert output.strip()


def test_a_strategy_in_one_file_as_the_readme_shows_it_trades(desk: RunningDesk) -> None:
    desk.broker.speed(60)
    try:
        fills = wait_for("two fills", lambda: found if len(found := desk.tradectl("fills")["fills"]) > 1 else None)
    finally:
        desk.broker.speed(1)

    trades = wait_for("a trade", lambda: desk.tradectl("trades", "--session", "mine")["trades"])
    assert {fill["contract"] for fill in fills} == {"ESH24"}
    assert trades[0]["entered_market_at"] < trades[0]["exited_market_at"] < trades[0]["entered_at"]


def test_the_life_of_a_trader_is_replayed_while_it_trades_and_is_the_same(desk: RunningDesk) -> None:
    def has_traded() -> bool:
        told = desk.tradectl("replay", "mine", code=None)
        # its first half second is not on the disk yet
        assert "error" not in told or told["error"].startswith("no recording of session mine is kept"), told
        assert told.get("difference") is None, told
        return bool(told.get("same") and told["with_effects"] > 3)

    desk.broker.speed(60)
    try:
        wait_for("its recording holds trades", has_traded)
    finally:
        desk.broker.speed(1)
    told = desk.tradectl("replay", "1", "--until", "20")
    assert (told["events"], told["ended"], told["notes"]) == (20, "it was to stop here", [])
    assert told["state"]["alarms"] is not None


def test_the_story_of_an_order_begins_with_the_bar_that_its_strategy_decided_on(desk: RunningDesk) -> None:
    orders = wait_for("orders", lambda: desk.tradectl("orders", "--session", "mine")["orders"])
    entry = next(row for row in orders if row["role"] == "entry")

    def whole() -> Any:
        # the recording and the decisions reach the disk within a second
        story = desk.tradectl("explain", entry["id"])
        return story if story["decided_on"]["bar"] and story["decisions"] else None

    told = wait_for("its bar and its decision are on the disk", whole)
    assert told["decided_on"]["event"] == "CandleReceived"
    assert [row["decision"] for row in told["decisions"]] == ["SubmitBracket"]
    assert {row["role"] for row in told["orders"]} >= {"entry", "stop_loss"}
    assert desk.run("explain", "nonsense")[0] == 4


def test_why_a_session_does_not_trade_is_one_command_and_refused_decisions_are_listed(desk: RunningDesk) -> None:
    desk.tradectl("reduce", "--session", "mine", "--reason", "a test")
    desk.broker.speed(60)
    try:
        wait_for("a refusal", lambda: desk.tradectl("decisions", "--refused", "--session", "mine")["decisions"])
        shown = desk.tradectl("session", "show", "mine")
        assert shown["entries"] == "closed: trading is reducing by session:1"
        assert shown["trader"]["decisions"]["refused"] > 0
        [newest] = desk.tradectl("decisions", "--refused", "--limit", "1")["decisions"]
        assert newest["refusal"] == "trading is reducing by session:1"
        table = desk.run("session", "show", "mine")[1]
        assert "SubmitBracket: trading is reducing by session:1" in table
        told = desk.tradectl("explain", "mine", "--refused")
        assert {row["refusal"] for row in told["refused"]} >= {"trading is reducing by session:1"}
        at = iso(Nanos(wall_ns()))

        def entries_then() -> bool:
            # the recording reaches the disk within a second
            moment = desk.tradectl("explain", f"session/mine@{at}")
            return bool(moment["recorded"]["entries"] == "trading is reducing by session:1" and moment["decisions"])

        wait_for("what it knew then is told", entries_then)
        assert desk.run("explain", "session/mine@noon")[0] == 2
    finally:
        desk.broker.speed(1)
        desk.tradectl("resume", "--session", "mine")
    desk.broker.pause()
    try:
        assert desk.tradectl("session", "show", "mine")["entries"].startswith("closed: the local broker's market is")
    finally:
        desk.broker.resume()


FAILING = """
from dataclasses import dataclass
from lessons import buy

class Failing:
    name = "failing"

    @dataclass(frozen=True)
    class Arguments:
        pass

    def warmup(self, arguments): return 2
    def start(self, arguments): return 0
    def on_candle(self, view, state, arguments): return buy("buy"), state
"""
HELPER = """
from tradeproc.strategies.contract import SubmitOrder

def buy(side): return SubmitOrder(side, 1)
"""


def test_a_strategy_that_fails_each_bar_is_told_everywhere_and_runs_again_when_a_person_mended_it(
    desk: RunningDesk,
) -> None:
    (desk.home.root / "failing.py").write_text(FAILING)
    (desk.home.root / "lessons.py").write_text(HELPER)
    file = str(desk.home.conf / "sessions" / "donchian.toml")
    number = desk.tradectl(
        "session",
        "create",
        file,
        "--account",
        OTHER_ACCOUNT,
        "--name",
        "failing",
        "--strategy",
        "failing.py",
        "--start",
    )["session"]
    desk.wait_ready(number)
    trader = desk.pid(f"session-{number}.trader")
    desk.broker.speed(60)
    try:
        wait_for("it is off", lambda: "strategy_off" in desk.ask(f"session-{number}.trader", "state", {})["alarms"])
    finally:
        desk.broker.speed(1)

    reason = "side must be Side.BUY or Side.SELL, not 'buy'"
    wait_for(
        "the latch", lambda: desk.tradectl("session", "show", "failing")["trader"]["trading_state"] == "reducing"
    )
    shown = desk.tradectl("session", "show", "failing")
    assert shown["entries"].startswith("closed: the strategy is not called any more: it failed on 3 bars in a row: ")
    assert reason in shown["entries"]
    assert reason in desk.run("decisions", "--refused", "--session", "failing")[1]
    wait_for("the alarm", lambda: any(reason in row["detail"] for row in desk.tradectl("alarms")["alarms"]))
    assert any(line.startswith(f"CRITICAL session {number}: alarm strategy_off") for line in desk.health()[1])
    assert desk.pid(f"session-{number}.trader") == trader, "nobody died of it"

    (desk.home.root / "lessons.py").write_text(
        HELPER.replace("(side, 1)", "(Side.BUY, 1)").replace(
            "SubmitOrder\n", "SubmitOrder\nfrom tradeproc.domain.orders import Side\n", 1
        )
    )
    desk.tradectl("session", "stop", "failing")
    wait_for("stopped", lambda: desk.tradectl("session", "show", "failing")["session"]["state"] == "stopped")
    desk.tradectl("session", "start", "failing")
    wait_for("reconciled", lambda: (desk.tradectl("session", "show", "failing")["trader"] or {}).get("reconciled"))
    shown = desk.tradectl("session", "show", "failing")
    assert shown["entries"].startswith("closed: the strategy is not called any more"), "a restart forgives nothing"
    desk.tradectl("resume", "--session", "failing", "--reason", "mended")
    desk.broker.speed(60)
    try:
        wait_for("a fill", lambda: desk.tradectl("fills", "--session", "failing")["fills"])
    finally:
        desk.broker.speed(1)
    desk.tradectl("session", "stop", "failing", "--flatten")
    wait_for("gone", lambda: desk.run("session", "remove", "failing")[0] == 0)


def test_a_session_lives_from_create_to_remove(desk: RunningDesk) -> None:
    file = str(desk.home.conf / "sessions" / "donchian.toml")
    number = desk.tradectl("session", "create", file, "--account", OTHER_ACCOUNT, "--name", "second")["session"]
    desk.tradectl("session", "start", "second")
    desk.wait_ready(number)

    shown = desk.tradectl("session", "show", "second")
    assert (shown["session"]["id"], shown["trader"]["account"]) == (number, OTHER_ACCOUNT)
    refused = desk.tradectl("session", "remove", "second", code=1)
    assert refused["error"] == f"session {number} is to run; stop it first"

    stopped = desk.tradectl("session", "stop", "second", "--flatten")
    assert stopped["desired"] == "stopped"
    wait_for("gone", lambda: desk.run("session", "remove", "second")[0] == 0)
    removed = desk.tradectl("session", "show", "second")
    assert removed["session"]["id"] == number
    assert removed["entries"].startswith("closed: the session was removed at 20")
    assert "second" in desk.run("session", "show", str(number))[1]
    assert desk.run("orders", "--session", "second")[0] == 0
    assert [row["name"] for row in desk.tradectl("sessions")["sessions"]] == ["mine"]


def test_a_session_whose_broker_never_answered_has_an_unknown_position_and_any_text_is_shown_as_it_is(
    desk: RunningDesk,
) -> None:
    folder = desk.home.root / "[" / "a]"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(strategy_of_the_readme())
    file = desk.home.conf / "sessions" / "odd.toml"
    shipped = (desk.home.conf / "sessions" / "example.toml").read_text().partition("[arguments]")[0]
    odd = re.sub(r"^strategy = .*$", 'strategy = "[/a]/mine.py:ThreeInARow"', shipped, flags=re.MULTILINE)
    file.write_text('notes = "see [/b]"\n' + odd)
    desk.broker.fault("5xx", target="positions,positions_stream", account=OTHER_ACCOUNT, count=None)
    try:
        number = desk.tradectl(
            "session", "create", str(file), "--account", OTHER_ACCOUNT, "--name", "odd", "--start", "--wait", "0"
        )["session"]
        trader = f"session-{number}.trader"
        wait_for("the trader", lambda: desk.ask(trader, "state", {})["reconciled"] is False)

        [mine, unknown] = desk.tradectl("positions")["positions"]
        assert mine["session"] == 1
        assert isinstance(mine["quantity"], int)
        assert (unknown["session"], unknown["quantity"]) == (number, None)
        assert unknown["reason"]
        assert "unknown" in desk.run("positions", "--session", "odd")[1]
        assert "see [/b]" in desk.run("session", "show", "odd")[1]
        assert "[/a]/mine.py:ThreeInARow" in desk.run("sessions")[1]
        assert "[/a]/mine.py:ThreeInARow" in desk.run("status")[1]
    finally:
        desk.broker.clear_faults()
    desk.wait_ready(number)
    known = desk.tradectl("positions", "--session", "odd")["positions"][0]
    assert isinstance(known["quantity"], int)
    desk.tradectl("session", "stop", "odd", "--flatten")
    wait_for("gone", lambda: desk.run("session", "remove", "odd")[0] == 0)


@pytest.mark.parametrize("name", ["status", "sessions", "orders", "positions", "trades", "alarms"])
def test_no_list_is_wider_than_its_terminal(desk: RunningDesk, name: str) -> None:
    shown = on_a_terminal(desk, [name], columns=80, lines=24)

    assert all(len(line.rstrip()) <= 80 for line in shown.splitlines())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["session", "show", "nobody"], 4, "there is no session nobody"),
        (["orders", "--session", "99"], 4, "there is no session 99"),
        (["login", "nobody"], 4, "there is no login nobody"),
        (["tail", "--process", "core.nobody"], 4, "there is no process core.nobody"),
        (["session", "create", "conf/none.toml"], 1, "cannot be read"),
        (["session", "create", "EXAMPLE", "--account", "SIM9"], 1, "is not one of login 'paper'"),
        (["session", "create", "EXAMPLE", "--max-order", "99"], 1, "this desk allows 5"),
        (["session", "create", "EXAMPLE", "--set", "fast"], 2, "write KEY=VALUE"),
        (["session", "create", "EXAMPLE", "--set", "fats=3"], 1, "fast"),
        (["session", "create", "EXAMPLE", "--set", "fast=9"], 1, "fast must be below slow, not 9 and 5"),
        (["session", "create", "EXAMPLE", "--contract", "ESQ24"], 1, "H (Mar), M (Jun), U (Sep), Z (Dec)"),
        (["session", "start", "mine", "--json"], 0, "running"),
        (["localbroker", "speed", "0"], 1, "speed"),
        (["localbroker", "fault", "stall", "--target", "requests"], 1, "stall"),
        (["localbroker", "fault", "stall", "--target", "bogus"], 1, "stall hits stream, bars_stream, "),
    ],
)
def test_every_end_of_a_command_has_its_code_and_one_line(
    desk: RunningDesk, words: list[str], code: int, said: str
) -> None:
    example = str(desk.home.conf / "sessions" / "example.toml")

    found, output, errors = desk.run(*[example if word == "EXAMPLE" else word for word in words])

    assert found == code
    assert said in output + errors
    assert not errors or errors.count("\n") == 1


def test_halt_reduce_and_resume_reach_the_trader_and_stay(desk: RunningDesk) -> None:
    for command, state in (("halt", "halted"), ("reduce", "reducing"), ("resume", "active")):
        told = desk.tradectl(command, "--reason", "drill")

        assert told["sessions"] == [{"session": 1, "ok": True, "trading_state": state}]
        assert desk.state(1)["trading_state"] == state
    assert "the desk: active again" in desk.run("resume")[1]


def test_a_portfolio_lives_from_create_to_remove_and_refuses_in_one_line(desk: RunningDesk) -> None:
    example = (desk.home.conf / "portfolios" / "example.toml").read_text()
    limited = desk.home.conf / "portfolios" / "limited.toml"
    limited.write_text(example.replace("# [limits]\n# max_daily_loss", "[limits]\nmax_daily_loss"))
    file = str(limited)
    desk.tradectl("portfolio", "create", file)
    again = desk.tradectl("portfolio", "create", file, code=1)
    assert again["error"] == "there is a portfolio main already; remove it first, or give another name"

    assert desk.tradectl("portfolio", "add", "main", "mine") == {"portfolio": "main", "session": 1}
    twice = desk.tradectl("portfolio", "add", "main", "1", code=1)
    assert twice["error"] == "session 1 is in portfolio main already; take it out first"
    nowhere = desk.tradectl("portfolio", "add", "none", "1", code=1)
    assert nowhere["error"] == "there is no portfolio 'none'; there are main"

    def shown() -> Any:
        return desk.tradectl("portfolio", "show", "main")

    wait_for("its heat is known", lambda: shown()["heat"] is not None)
    assert (shown()["sessions"], shown()["spec"]["block_percent"], shown()["equity"]) == ([1], 6.0, "100000")
    assert desk.state(1)["portfolio"] == "main"
    assert "main" in desk.run("portfolio", "list")[1]
    assert "equity_index" in desk.run("portfolio", "show", "main")[1]
    wait_for("its losses are counted", lambda: shown()["joint_limits"] == {"max_daily_loss": "0.00 of 2000 USD"})
    shared = desk.tradectl("session", "show", "mine")["shared_limits"]
    assert shared == {"portfolio main: max_daily_loss": "0.00 of 2000 USD"}
    for words in (("portfolio", "show", "main"), ("session", "show", "mine")):
        assert "0.00 of 2000 USD" in desk.run(*words)[1]

    assert desk.tradectl("portfolio", "remove", "main", "mine")["session"] == 1
    gone = desk.tradectl("portfolio", "remove", "main", "mine", code=1)
    assert gone["error"] == "session 1 is not in portfolio main"
    doubt = desk.tradectl("portfolio", "remove", "main", code=2)
    assert doubt["error"].startswith("this forgets the whole portfolio main: no session is in it; add --yes")
    desk.tradectl("portfolio", "remove", "main", "--yes")
    assert desk.tradectl("portfolio", "show", "main", code=4)["error"] == "there is no portfolio main; there is none"
    wait_for("the trader is in none", lambda: desk.state(1)["portfolio"] == "")


# --- looking on


def test_tail_prints_messages_as_they_come(desk: RunningDesk) -> None:
    code, output, _ = desk.run("tail", "state", "--process", "session-1.trader", "--count", "2", "--json")

    told = [json.loads(line) for line in output.splitlines()]
    assert code == 0
    assert [each["topic"] for each in told] == ["state", "state"]
    assert told[1]["sequence"] == told[0]["sequence"] + 1
    assert "session-1.trader state" in desk.run("tail", "state", "--count", "1")[1]


def test_watch_tells_the_session_and_every_process(desk: RunningDesk) -> None:
    code, output, _ = desk.run("watch", "--session", "mine", "--json", "--count", "3")

    told = json.loads(output.splitlines()[-1])
    assert code == 0
    assert told["summary"]["name"] == "mine"
    assert told["bars"] >= 20
    assert told["processes"]["session-1.trader"]["supervisor"] == "RUNNING"


def test_the_live_view_fits_the_terminal(desk: RunningDesk) -> None:
    screen = on_a_terminal(desk, ["watch", "--count", "3"], columns=80, lines=24)

    for part in ("candles", "session 1 mine", "SIM0000001F paper", "processes", "trader", "fills", "P&L"):
        assert part in screen


def on_a_terminal(desk: RunningDesk, words: list[str], *, columns: int, lines: int) -> str:
    """Return everything that a command writes to a terminal of that size."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(desk.environment, TERM="xterm", COLUMNS=str(columns), LINES=str(lines))
        home = str(desk.home.root)
        os.execv(sys.executable, [sys.executable, "-m", "tradeproc.cli.tradectl", "--home", home, *words])
    written, deadline = b"", time.monotonic() + 30
    while time.monotonic() < deadline:
        if select.select([fd], [], [], 0.5)[0]:
            try:
                written += os.read(fd, 65536)
            except OSError:
                break
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, written.decode()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())


# --- the local broker


def test_the_local_broker_is_paused_hurried_and_troubled(desk: RunningDesk) -> None:
    assert desk.tradectl("localbroker", "pause")["paused"] is True
    assert desk.tradectl("localbroker", "resume")["paused"] is False
    assert desk.tradectl("localbroker", "speed", "2")["speed"] == 2.0
    fault = desk.tradectl("localbroker", "fault", "429", "--target", "routes", "--count", "2")
    assert (fault["name"], fault["left"], fault["active"]) == ("429", 2, True)
    assert desk.tradectl("localbroker", "clear")["cleared"] == 1
    assert {"orders", "fills", "positions"} <= set(desk.tradectl("localbroker", "ledger"))
    assert desk.tradectl("localbroker", "status")["paused"] is False
    for words, said in (
        (["pause"], "market time stands still; "),
        (["speed", "3"], "market time is 3 times as fast as the clock, once it runs again: it is paused"),
        (["speed", "2"], "market time is 2 times as fast as the clock, once it runs again: it is paused"),
        (["resume"], "market time runs, 2 times as fast as the clock"),
        (["fault", "429", "--target", "routes"], "429 is armed: it hits the next request to routes; "),
        (["clear"], "cleared 1 fault"),
    ):
        told = desk.run("localbroker", *words)[1]
        assert told.startswith(said)
        assert told.count("\n") == 1


# --- login


def consent_address(login: "subprocess.Popen[str]") -> str:
    assert login.stderr is not None
    for line in login.stderr:
        if line.strip().startswith("http://"):
            return line.strip()
    raise AssertionError("no address was told")


def test_a_person_logs_in_with_a_browser_that_is_sent_back_to_the_terminal(desk: RunningDesk) -> None:
    before = desk.tradectl("logins")["logins"][0]["refreshed_at"]
    with desk.start("login", "tradestation", "--json") as login, httpx.Client(trust_env=False) as browser:
        address = consent_address(login)
        here = f"http://127.0.0.1:{desk.redirect_port}/"

        # neither an icon nor somebody else's answer ends it
        assert browser.get(f"{here}favicon.ico").status_code == 404
        assert browser.get(here, params={"code": "forged", "state": "guessed"}).status_code == 404
        arrived = browser.get(address, follow_redirects=True)
        output, errors = login.communicate(timeout=30)

    assert "The answer has arrived" in arrived.text
    assert (login.returncode, errors.strip()) == (0, "")
    assert json.loads(output) == {"login": "paper", "state": "ok"}
    [row] = desk.tradectl("logins")["logins"]
    assert (row["state"], row["refreshed_at"] > before) == ("ok", True)


def test_a_person_who_says_no_is_told_so(desk: RunningDesk) -> None:
    with desk.start("login", "paper") as login:
        state = httpx.URL(consent_address(login)).params["state"]
        here = f"http://127.0.0.1:{desk.redirect_port}/"
        httpx.get(here, params={"error": "access_denied", "state": state}, trust_env=False)
        _, errors = login.communicate(timeout=30)

    assert login.returncode == 1
    assert "access_denied" in errors
    assert desk.tradectl("logins")["logins"][0]["state"] == "ok"


def test_a_login_that_nobody_answers_ends_at_its_deadline_also_when_somebody_only_connects(desk: RunningDesk) -> None:
    with desk.start("login", "paper", "--seconds", "1") as login:
        consent_address(login)
        with socket.create_connection(("127.0.0.1", desk.redirect_port)):
            _, errors = login.communicate(timeout=30)

    assert login.returncode == 3
    assert errors.strip() == "tradectl: nobody consented within 1 s; try again, or use --paste"


def test_an_address_can_be_pasted(desk: RunningDesk) -> None:
    with desk.start("login", "paper", "--paste", stdin=subprocess.PIPE) as login:
        address = consent_address(login)
        sent_to = httpx.get(address, trust_env=False).headers["location"]
        output, _ = login.communicate(f"{sent_to}\n", timeout=30)

    assert (login.returncode, output.strip()) == (0, "login paper: done")


# --- health


def test_a_desk_that_is_well_says_nothing_also_while_its_tape_stands_still(desk: RunningDesk) -> None:
    desk.wait_well()
    desk.broker.pause()
    try:
        assert desk.health() == (0, [])
        told = json.loads(desk.run("--json", main=healthcheck.main)[1])
        assert (told["exit"], told["problems"]) == (0, [])
    finally:
        desk.broker.resume()


@pytest.mark.parametrize(
    ("process", "said"),
    [
        ("warden:warden", "ended, and must run"),
        ("core:jobs", "ended, and must run"),
        ("core:portfolio", "ended, and must run"),
        ("core:keeper", "ended, and must run"),
        ("session-1:account", "ended, and needed by session mine"),
    ],
)
def test_who_ended_by_a_signal_and_stays_down_is_told_with_the_command_that_mends_it(
    desk: RunningDesk, process: str, said: str
) -> None:
    desk.wait_well()
    name = process.replace(":", ".")
    desk.kill(name, signal.SIGTERM)
    wait_for("its end", lambda: [each.state for each in desk.programs() if each.process == name] == ["EXITED"])
    line = f"CRITICAL {process}: {said}; {CTL} start {process}"

    code, told = desk.health()

    assert (code, line in told) == (2, True), told
    subprocess.run(line.rpartition("; ")[2].split(), cwd=desk.home.root, env=desk.environment, check=True, timeout=60)
    desk.wait_well()


def test_the_age_of_a_heartbeat_is_that_of_the_last_one_heard(desk: RunningDesk) -> None:
    desk.wait_well()
    kept = (file := desk.home.conf / "tradeproc.toml").read_text()
    desk.set("heartbeat_critical", "3600.0")
    pid = desk.kill("core.jobs", signal.SIGSTOP)
    try:
        desk.wait_health(1, ["WARNING core.jobs: last heartbeat "])
        desk.set("heartbeat_critical", "5.0")
        desk.wait_health(2, ["CRITICAL core.jobs: last heartbeat "])
    finally:
        os.kill(pid, signal.SIGCONT)
        file.write_text(kept)
    desk.wait_well()


def test_a_configuration_that_cannot_be_used_hides_nothing_else(desk: RunningDesk) -> None:
    desk.wait_well()
    kept = (file := desk.home.conf / "tradeproc.toml").read_text()
    file.write_text(f"heatlh = 1\n{kept}")
    try:
        code, told = desk.health()
        assert (code, len(told)) == (3, 1), told
        assert told[0].startswith(f"UNKNOWN configuration: {file}: heatlh")
        assert "not checked" not in told[0]
        desk.supervisorctl("stop", "core:jobs")
        desk.wait_health(2, ["CRITICAL core:jobs: stopped", "UNKNOWN configuration: "])
    finally:
        file.write_text(kept)
        desk.supervisorctl("start", "core:jobs")
    desk.wait_well()


def test_a_login_whose_secret_is_not_there_is_told_what_helps(desk: RunningDesk) -> None:
    desk.wait_well()
    kept = (file := desk.home.conf / "tradeproc.toml").read_text()
    other = kept[kept.index("[logins.paper]") : kept.index("[localbroker]")].replace("logins.paper", "logins.other")
    other = other.replace('{ public = "local" }', '{ file = "run/secrets/none" }', 1)
    file.write_text(f"{kept}\n{other}")
    try:
        desk.supervisorctl("restart", "core:tokens")
        desk.wait_health(2, ["CRITICAL login other: "])
        [line] = desk.health()[1]
        assert "run/secrets/none cannot be read" in line
        assert line.endswith(f"; write it there with mode 0600, then {CTL} restart core:tokens")
    finally:
        file.write_text(kept)
        desk.supervisorctl("restart", "core:tokens")
    desk.wait_well()


def test_a_program_that_was_stopped_is_one_line(desk: RunningDesk) -> None:
    desk.wait_well()
    desk.supervisorctl("stop", "core:jobs")

    try:
        desk.wait_health(2, ["CRITICAL core:jobs: stopped"])
    finally:
        desk.supervisorctl("start", "core:jobs")
    desk.wait_well()


def test_a_session_that_was_stopped_behind_the_keepers_back_is_told(desk: RunningDesk) -> None:
    desk.wait_well()
    desk.supervisorctl("stop", "session-1:*")
    line = "CRITICAL session 1: mine should run and does not; "
    desk.wait_health(2, [line])
    desk.paste(desk.health()[1][0].removeprefix(line).partition(" or ")[0])
    desk.wait_well()


def test_a_standing_alarm_is_one_line_until_it_is_taken_back(desk: RunningDesk) -> None:
    desk.wait_well()
    with closing(Store(database_url(desk.home))) as store:
        store.save_alarm(1, "position_uncovered", "2 contracts have no stop", wall_ns(), names.KEEPER)
        store.save_alarm(99, "position_uncovered", "of a session that was removed", wall_ns(), names.KEEPER)
        try:
            desk.wait_health(2, ["CRITICAL session 1: alarm position_uncovered for "])
            seen = desk.tradectl(
                "acknowledge", "position_uncovered", "--session", "mine", "--reason", "hedged by hand"
            )
            assert [row["name"] for row in seen["alarms"]] == ["position_uncovered"]
            desk.wait_well()
            [row] = [row for row in desk.tradectl("alarms")["alarms"] if row["acknowledged_at"]]
            assert (row["session"], row["acknowledged_reason"], row["cleared_at"]) == (1, "hedged by hand", None)
            store.save_alarm(1, "position_uncovered", "1 contract has no stop", wall_ns(), names.KEEPER)
            desk.wait_health(2, ["CRITICAL session 1: alarm position_uncovered for "])
            assert desk.run("acknowledge", "nothing_such", "--reason", "x")[0] == 4
            assert desk.run("acknowledge", "--host", "--reason", "x")[1] == "nothing to acknowledge\n"
        finally:
            store.clear_alarms(1, None, wall_ns())
            store.clear_alarms(99, None, wall_ns())
    desk.wait_well()


def test_a_link_that_a_person_stopped_is_told(desk: RunningDesk) -> None:
    desk.wait_well()
    desk.supervisorctl("stop", "link-paper:link")
    line = f"CRITICAL link-paper:link: stopped, and needed by session mine; {CTL} start link-paper:link"
    try:
        wait_for("the line", lambda: line in desk.health()[1])
    finally:
        desk.supervisorctl("start", "link-paper:link")
    desk.wait_well()


def test_the_local_broker_that_is_gone_is_told_with_its_streams(desk: RunningDesk) -> None:
    desk.wait_well()
    desk.supervisorctl("stop", "localbroker:")

    streams = ("bars-ESH24-1m", f"orders-{ACCOUNT}", f"positions-{ACCOUNT}")
    try:
        desk.wait_health(
            2, ["CRITICAL localbroker:", *(f"CRITICAL link-paper.{stream}: stream is down" for stream in streams)]
        )
    finally:
        desk.supervisorctl("start", "localbroker:")
    desk.wait_well()


def test_a_database_that_is_gone_is_told_once(desk: RunningDesk) -> None:
    desk.wait_well()
    desk.supervisorctl("stop", "core:postgres")

    try:
        desk.wait_health(2, ["CRITICAL core:postgres: stopped", "CRITICAL database: "])
        code, _, errors = desk.run("sessions")
        assert (code, "could not answer" in errors, "does not answer" in errors) == (3, True, False)
        shown = desk.tradectl("session", "show", "mine")
        assert (shown["session"]["id"], shown["trader"]["database"], bool(shown["away"])) == (1, "down", True)
        assert "not up to date" in desk.run("session", "show", "mine")[1]
        waits = "the job queue waits for the database: "
        wait_for("a sentence", lambda: desk.ask("core.jobs", "status", {})["detail"].startswith(waits))
        assert "Exception" not in desk.ask("core.jobs", "status", {})["detail"]
    finally:
        desk.supervisorctl("start", "core:postgres")
    desk.wait_well()


def test_an_order_that_waits_too_long_is_told_until_the_broker_has_answered_for_it(desk: RunningDesk) -> None:
    desk.wait_well()
    with psycopg.connect(database_url(desk.home), autocommit=True) as database:
        [[order]] = database.execute(
            "update orders set state = 'pending', broker_id = null, changed_at = changed_at - 60 * 1000000000::bigint"
            " where id = (select min(id) from orders) returning id"
        ).fetchall()
        told = desk.health()
        database.execute("update orders set state = 'filled', broker_id = '1' where id = %s", [order])

    assert told[0] == 2
    assert told[1][0].startswith(f"CRITICAL session 1: order {order} is pending for ")


@pytest.mark.parametrize(
    ("key", "value", "code", "begins"),
    [
        ("disk_warning_mb", "1000000000", 1, ["WARNING disk: "]),
        ("calendar_days", "36500", 1, ["WARNING calendar cme_equity: its holidays end in "]),
        ("skew_warning", "0.000001", 1, ["WARNING link-paper.link: this machine's clock differs"]),
        (
            "stale_stream",
            "0.000001",
            2,
            [
                "CRITICAL link-paper.bars-ESH24-1m: no data for ",
                f"CRITICAL link-paper.orders-{ACCOUNT}: no data for ",
                f"CRITICAL link-paper.positions-{ACCOUNT}: no data for ",
            ],
        ),
    ],
)
def test_thresholds_decide_when_it_speaks(
    desk: RunningDesk, key: str, value: str, code: int, begins: list[str]
) -> None:
    desk.wait_well()
    file = desk.home.conf / "tradeproc.toml"
    kept = file.read_text()
    desk.set(key, value)
    try:
        desk.wait_health(code, begins)
    finally:
        file.write_text(kept)


# --- the switches when not all is well


def spec_of(desk: RunningDesk, **changes: Any) -> dict[str, Any]:
    """Return the specification of session 1 with changes."""
    return {**desk.ask("core.keeper", "session", {"session": 1})["session"]["spec"], **changes}


def wait_flat(desk: RunningDesk) -> None:
    wait_for("flat", lambda: (state := desk.state(1))["position"] == 0 and not state["orders"])


def wait_stopped(desk: RunningDesk) -> None:
    wait_for("stopped", lambda: desk.ask("core.keeper", "session", {"session": 1})["session"]["state"] == "stopped")


def resume_all(desk: RunningDesk) -> None:
    wait_for("resumed", lambda: desk.tradectl("resume", "--session", "1", code=None)["latch"] == "stored")
    desk.tradectl("resume")
    desk.wait_well()


def test_a_name_that_commands_could_mistake_is_refused(desk: RunningDesk) -> None:
    file = str(desk.home.conf / "sessions" / "example.toml")

    digits = desk.tradectl("session", "create", file, "--name", "7", code=1)["error"]
    twice = desk.tradectl("session", "create", file, "--name", "mine", code=1)["error"]

    assert "would be taken for the number of a session" in digits
    assert "session 1 is called 'mine' already; give another with --name" in twice
    assert [row["name"] for row in desk.tradectl("sessions")["sessions"]] == ["mine"]


def test_a_name_that_several_sessions_have_reaches_none_of_them(desk: RunningDesk) -> None:
    twin = int(desk.ask("core.keeper", "create", {"spec": spec_of(desk)}, 60.0)["session"])
    try:
        for words in (["flatten", "--session"], ["halt", "--session"], ["session", "stop"]):
            refused = desk.tradectl(*words, "mine", code=2)["error"]
            assert f"several sessions are called mine: 1 (running), {twin} (stopped)" in refused
        assert desk.state(1)["trading_state"] == "active"
    finally:
        desk.tradectl("session", "remove", str(twin))


def test_what_is_so_already_is_said_at_once(desk: RunningDesk) -> None:
    idle = int(desk.ask("core.keeper", "create", {"spec": spec_of(desk, name="idle")}, 60.0)["session"])
    try:
        stopped = desk.run("session", "stop", "idle", "--flatten")
        told = desk.tradectl("session", "stop", "idle", "--flatten")
    finally:
        desk.tradectl("session", "remove", "idle")

    # what session 1 holds in the same account is not its
    assert stopped[:2] == (0, f"session {idle} is stopped already; flat as far as is known\n")
    assert told == {"session": idle, "desired": "stopped", "already": True, "not_flat": []}
    assert desk.run("session", "start", "mine")[1] == "session 1 runs already\n"


def test_a_resumed_session_that_the_desk_still_halts_is_not_called_active(desk: RunningDesk) -> None:
    desk.tradectl("halt", "--session", "1")
    try:
        whole = desk.tradectl("halt")["standing"]
        text = desk.run("resume", "--session", "1")[1]
        told = desk.tradectl("resume", "--session", "1")
        desk.tradectl("halt", "--session", "1")
        others = desk.run("resume")[1]
    finally:
        desk.tradectl("resume")
        desk.tradectl("resume", "--session", "1")

    assert whole == [{"scope": "host", "state": "halted"}, {"scope": "session:1", "state": "halted"}]
    line = "session 1: its latch is lifted; still halted by the desk; scripts/tradectl resume lifts that"
    assert text.startswith(line)
    assert (told["trading_state"], told["standing"]) == ("halted", [{"scope": "host", "state": "halted"}])
    assert "the desk: active again" in others
    assert "session 1 stays halted by its own latch; scripts/tradectl resume --session 1 lifts that" in others
    assert desk.state(1)["trading_state"] == "active"


def test_a_trader_that_does_not_answer_is_named_and_is_not_called_halted(desk: RunningDesk) -> None:
    pid = desk.kill("session-1.trader", signal.SIGSTOP)
    try:
        told = desk.tradectl("halt", code=3)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    assert [(each["session"], each["ok"]) for each in told["sessions"]] == [(1, False)]
    assert (told["latch"], told["exit"]) == ("stored", 3)
    desk.wait_ready(1)
    resume_all(desk)


def test_a_position_without_a_trader_is_told_and_closed_by_the_kill_switch_also_when_its_link_is_down(
    desk: RunningDesk,
) -> None:
    desk.broker.speed(60)
    wait_for("a position", lambda: desk.state(1)["position"])
    desk.broker.pause()
    held = int(wait_for("a position that stays", lambda: desk.state(1)["position"]))
    desk.broker.speed(1)
    desk.tradectl("session", "stop", "1")
    wait_stopped(desk)

    again = desk.run("session", "stop", "1", "--flatten")
    halted = desk.run("halt")[1]
    desk.supervisorctl("stop", "link-paper:link")
    told = desk.tradectl("flatten")
    code, output, _ = desk.run("halt", "--flatten", "--session", "mine")

    assert again[0] == 1
    assert again[1].startswith(f"session 1 is stopped already; {held:+d} ESH24 open at the broker; ")
    assert f"session 1: at the broker stays: {held:+d} ESH24; working orders " in halted
    assert (told["not_flat"], told["unknown"], told["sessions_unknown"]) == ([], "", "")
    (confirmed,) = told["confirmed"]
    assert (confirmed["session"], confirmed["is_flat"], confirmed["positions"]) == (1, True, {})
    assert (code, "session 1: flat, confirmed by the broker: ESH24 in account " in output) == (0, True)
    desk.tradectl("session", "start", "1")
    desk.wait_ready(1)
    assert desk.state(1)["position"] == 0
    desk.broker.resume()
    resume_all(desk)


def test_halt_and_flatten_reach_the_traders_without_the_keeper(desk: RunningDesk) -> None:
    desk.supervisorctl("stop", "core:keeper")
    try:
        by_name = desk.tradectl("halt", "--session", "mine", code=3)["error"]
        halted = desk.tradectl("halt", "--session", "1")
        state = desk.state(1)["trading_state"]
        code, output, _ = desk.run("flatten")
        wait_flat(desk)
        resumed = desk.tradectl("resume", code=3)
    finally:
        desk.supervisorctl("start", "core:keeper")

    assert "a name must be looked up, the session's number need not" in by_name
    assert halted["sessions"] == [{"session": 1, "ok": True, "trading_state": "halted"}]
    assert (halted["scope"], halted["latch"], state) == ("session:1", "stored", "halted")
    assert code == 0
    assert "the desk: is being flattened; its halt is stored" in output
    assert "session 1: flat, confirmed by the broker" in output
    assert "core.keeper is not running" in resumed["error"]
    resume_all(desk)


def test_a_session_gets_flat_and_stops_by_its_number_without_the_database(desk: RunningDesk) -> None:
    desk.supervisorctl("stop", "core:postgres")
    try:
        told = desk.tradectl("flatten", "--session", "1")
        wait_flat(desk)
        stopped = desk.tradectl("session", "stop", "1", "--flatten", code=3)
        there = desk.pid("session-1.trader")
    finally:
        desk.supervisorctl("start", "core:postgres")

    assert (told["latch"], told["not_flat"], told["unknown"]) == ("kept until the database is back", [], "")
    assert (stopped["session"], there) == (1, 0)
    wait_for("stored", lambda: desk.run("session", "stop", "1")[0] == 0)
    wait_stopped(desk)
    desk.tradectl("session", "start", "1")
    desk.wait_ready(1)
    resume_all(desk)


# --- a second start, and the end


def test_a_quickstart_beside_a_running_desk_is_refused_in_one_line(desk: RunningDesk) -> None:
    with desk.start(module="quickstart") as quickstart:
        output, errors = quickstart.communicate(timeout=60)

    assert (quickstart.returncode, output) == (1, "")
    assert errors.startswith("quickstart: the desk is up already")
    assert errors.count("\n") == 1


def test_flatten_halts_and_leaves_nothing_open(desk: RunningDesk) -> None:
    told = desk.tradectl("flatten", "--session", "mine")

    assert told["sessions"][0]["ok"]
    wait_for("flat", lambda: (state := desk.state(1))["position"] == 0 and not state["orders"])
    assert desk.state(1)["trading_state"] == "halted"
