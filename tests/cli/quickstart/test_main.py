"""The quickstart on a desk that somebody halted, and with books that differ."""

import re
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.drills.desk import Desk
from tradeproc.cli import healthcheck, tradectl
from tradeproc.cli.commands import desks
from tradeproc.cli.quickstart import preflight
from tradeproc.cli.quickstart.main import Quickstart, make_parser
from tradeproc.desk.exit_status import CommandFailed, ExitStatus
from tradeproc.desk.installation import Desk as Line
from tradeproc.domain.units import SECOND
from tradeproc.localbroker.tape import shipped
from tradeproc.store.embedded import database_url
from tradeproc.supervision.client import Supervisor
from tradeproc.supervision.daemon import Daemon
from tradeproc.testing.desk import wait_for
from tradeproc.testing.running import INSTALLATION as ROOT

pytestmark = pytest.mark.drill

FAST = make_parser().parse_args(["--plain", "--speed", "3600"])
FORGOTTEN = """
[logins.forgotten]
broker = "tradestation"
environment = "paper"
base_url = "http://127.0.0.1:{port}/v3"
auth_url = "http://127.0.0.1:{port}"
client_id = {{ file = "run/secrets/forgotten" }}
client_secret = {{ public = "local" }}

[localbroker]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk that is not up, whose scripts are beside it, and that has a login nobody uses and nobody finished."""
    made = Desk(tmp_path_factory.mktemp("quickstart"))
    (made.home.root / "scripts").symlink_to(ROOT / "scripts")
    file = made.home.conf / "tradeproc.toml"
    file.write_text(file.read_text().replace("\n[localbroker]\n", FORGOTTEN.format(port=made.port)))
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield made
    finally:
        # the quickstart lets nothing stop its stopping
        for each, handler in before.items():
            signal.signal(each, handler)
        with Line(made.home) as line:
            Daemon(line.home).stop()


def paste(home: Desk, command: str) -> str:
    """Run what a person pastes in the home folder, and return all it says."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=home.home.root,
        env={**home.environment, "TRADEPROC_HOME": str(home.home.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def run(home: Desk, kind: type[Quickstart] = Quickstart, options: Namespace = FAST) -> int:
    """Run the quickstart in this process; its commands to supervisord go to the home."""
    with Line(home.home) as line:
        return kind(line, options).run()


class Embezzled(Quickstart):
    """A quickstart between whose tape and whose books somebody books a fill that the broker does not know."""

    def _finish(self, session: int) -> bool:
        with psycopg.connect(database_url(self.desk.home), autocommit=True) as database:
            database.execute(
                "insert into fills (order_id, broker_id, session, contract, side, quantity, cumulative, price, at,"
                " market_at) values ('', 'nobodys', %s, 'ESH24', 'sell', 1, 1, 4800, 1, 1)",
                [session],
            )
        return super()._finish(session)


def test_a_desk_that_is_halted_is_refused_until_what_the_refusal_says_was_done_and_other_books_fail(
    home: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    # a login that nobody uses does not keep the desk from starting; it is told at once, and by the health check
    told = paste(home, "scripts/tradectl up")
    assert "the desk is up" in told
    [warning] = [each for each in told.splitlines() if "warning" in each]
    assert warning.startswith(
        "tradectl: warning: login forgotten cannot be used: [logins.forgotten.client_id] file: "
    )
    assert warning.endswith("supervisorctl -c supervisord.conf restart core:tokens")
    line = "CRITICAL login forgotten: error: login forgotten cannot be used: [logins.forgotten.client_id]"
    wait_for("the health check", lambda: any(each.startswith(line) for each in health(home, capsys)))
    paste(home, "scripts/tradectl halt --reason drill && scripts/stop")

    with pytest.raises(
        CommandFailed, match=r"trading on this desk is halted since .* \(by tradectl: drill\)"
    ) as told_us:
        run(home)
    assert not home.home.supervisor_socket.exists()

    remedy = str(told_us.value).partition("lift it with: ")[2]
    assert remedy == preflight.LIFT
    paste(home, remedy)
    capsys.readouterr()

    assert run(home, Embezzled) == ExitStatus.FAILED
    output = capsys.readouterr().out
    assert "The books differ: [('nobodys', 1)]" in output
    assert "nothing is left running" in output


def test_a_foreign_tape_is_traded_its_end_is_said_everywhere_and_it_begins_again(
    home: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    tape = shipped()
    file = home.home.root / "ES 03-24.Last.txt"
    local = (tape.times - 6 * 3600 * SECOND).astype("datetime64[ns]").astype(str)
    days, clocks = zip(*((at[:10].replace("-", ""), at[11:27]) for at in local), strict=True)
    rows = zip(days, clocks, tape.prices, tape.sizes, strict=True)
    file.write_text(
        "".join(
            f"{day} {clock.replace(':', '').replace('.', ' ')};{price};{price};{price};{size}\r\n"
            for day, clock, price, size in rows
        )
    )
    options = make_parser().parse_args(
        ["--plain", "--speed", "3600", "--keep", "--tape", str(file), "--zone", "America/Chicago"]
    )

    with Line(home.home) as line:
        try:
            assert Quickstart(line, options).run() == ExitStatus.OK
            output = capsys.readouterr().out
            assert (
                "2,973 trades of ESH24 (NinjaTrader trades), 2023-12-25T23:00:00Z to 2023-12-25T23:59:56Z" in output
            )
            session = str(line.sessions()[-1].id)
            wait_for("the end is told", lambda: any("tape is over" in str(row) for row in desks.process_rows(line)))
            for words in (["status"], ["session", "show", session], ["watch", "--count", "2"]):
                assert tradectl.main([*words, "--home", str(home.home.root)]) == ExitStatus.OK
                assert "tape" in capsys.readouterr().out, words
            assert not [each for each in health(home, capsys) if "no data" in each]
            refused = tradectl.main(["localbroker", "rewind", "--home", str(home.home.root)])
            assert (refused, "add --restart-sessions" in capsys.readouterr().err) == (ExitStatus.FAILED, True)

            command = ["localbroker", "rewind", "--restart-sessions", "--home", str(home.home.root)]
            assert tradectl.main(command) == ExitStatus.OK

            assert "begins again; market time is 2023-12-25 23:" in capsys.readouterr().out
            trader = wait_for("the trader answers", lambda: line.ask(f"session-{session}.trader", "state"))
            assert (trader["position"], trader["orders"]) == (0, [])
        finally:
            Daemon(line.home).stop()


def health(home: Desk, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines of the health check."""
    capsys.readouterr()
    healthcheck.main(["--home", str(home.home.root)])
    return capsys.readouterr().out.splitlines()


UNLUCKY = """
from dataclasses import dataclass
from tradeproc.domain.orders import Side
from tradeproc.strategies.contract import SubmitOrder

class Unlucky:
    name = "unlucky"

    @dataclass(frozen=True)
    class Arguments:
        pass

    def warmup(self, arguments): return 2
    def start(self, arguments): return 0
    def on_candle(self, view, state, arguments):
        if state > 9:
            raise KeyError("settlement")
        return SubmitOrder(Side.BUY, 99), state + 1
"""


def test_a_strategy_that_is_refused_each_time_and_then_fails_does_not_end_well(
    home: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home.home.root / "unlucky.py"
    file.write_text(UNLUCKY)

    code = run(home, options=make_parser().parse_args(["--plain", "--speed", "900", "--strategy", str(file)]))

    told = capsys.readouterr().out
    assert code == ExitStatus.FAILED, told
    assert re.search(r"All \d+ decisions of the strategy were refused:", told)
    # the market waits for the feeds, so none is refused because a stream is not up yet
    assert re.search(r"refused:\n  2023-12-2\d \d\d:\d\d:\d\d SubmitOrder: 99 contracts are more than", told), told
    assert re.search(r"The strategy failed on \d+ bars?:", told)
    assert "failed: KeyError: 'settlement' (unlucky.py, line 17, on_candle)" in told
    assert "nothing is left running" in told


@contextmanager
def quickstart(home: Desk, *options: str, until: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the quickstart in a terminal of its own, and go on once it has said something."""
    command = [sys.executable, "-u", "-m", "tradeproc.cli.quickstart", "--plain", *options]
    environment = {**home.environment, "TRADEPROC_HOME": str(home.home.root)}
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=home.home.root
    ) as process:
        try:
            assert process.stdout is not None
            assert any(until in line for line in process.stdout)
            yield process
        finally:
            process.kill()


def rest(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Return how a quickstart ended and what it said after the word that was waited for."""
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def test_stop_in_another_terminal_ends_a_quickstart_that_is_only_starting(home: Desk) -> None:
    with quickstart(home, until="starting supervisord") as process:
        said = paste(home, "scripts/stop")
        code, told = rest(process)

    assert "the desk is down" in said
    assert code == ExitStatus.INTERRUPTED
    assert "told to stop by scripts/stop in another terminal" in told.splitlines()[-1]
    assert not home.home.supervisor_socket.exists()


def test_an_old_quickstart_touches_no_desk_but_its_own_and_a_killed_one_blocks_no_new_one(home: Desk) -> None:
    with quickstart(home, "--speed", "5", until="the market runs") as process:
        first = paste(home, "scripts/tradectl session pid quickstart")
        Supervisor(home.home).shutdown()
        paste(home, "scripts/tradectl up")
        code, told = rest(process)

    assert code == ExitStatus.FAILED
    assert "nothing is touched" in told
    assert told.splitlines()[-1].startswith("quickstart: the desk that this quickstart started was stopped meanwhile")
    # the session that it left runs on in the new desk, whose number a stranger need not know
    second = paste(home, "scripts/tradectl session pid quickstart")
    assert int(first) != int(second)
    paste(home, f"kill -9 {second}")
    paste(home, "scripts/stop")

    with quickstart(home, "--speed", "5", until="the market runs") as process:
        process.kill()
    told = paste(home, f"{sys.executable} -m tradeproc.cli.quickstart.main --plain --speed 3600")

    assert "a quickstart that was killed left its desk running; that is stopped first" in told
    assert "the same in the broker's own books" in told
    assert "nothing is left running" in told
