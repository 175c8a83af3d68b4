"""The quickstart on a desk that somebody halted, and with books that differ."""

import signal
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from tests.drills.desk import ROOT, Desk, wait_for
from tradeproc.cli import healthcheck, preflight
from tradeproc.cli.commands import desks
from tradeproc.cli.desk import Desk as Line
from tradeproc.cli.exits import CommandFailed, Exit
from tradeproc.cli.quickstart import Quickstart, make_parser
from tradeproc.store.embedded import database_url

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
            desks.stop_supervisord(line)


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


def run(home: Desk, kind: type[Quickstart] = Quickstart) -> int:
    """Run the quickstart in this process; its commands to supervisord go to the home."""
    with Line(home.home) as line:
        return kind(line, FAST).run()


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

    assert run(home, Embezzled) == Exit.FAILED
    output = capsys.readouterr().out
    assert "The books differ: [('nobodys', 1)]" in output
    assert "nothing is left running" in output


def health(home: Desk, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines of the health check."""
    capsys.readouterr()
    healthcheck.main(["--home", str(home.home.root)])
    return capsys.readouterr().out.splitlines()
