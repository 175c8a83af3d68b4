"""A whole desk on a tape, in one process tree: supervisord, every process, the embedded database, the local broker.

    with tape_desk(files=[Path("mine.py")]) as desk:
        session = desk.begin("mine.py:Mine", count=2)
        desk.broker.speed(60.0)
        wait_for("a fill", lambda: desk.fills(session))

The home is a temporary folder. The desk is stopped and its home removed at the end of the block, also after an error.
Starting it takes some seconds, so share one among the tests of a module. Needs a checkout and the extra `testing`.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import psutil  # type: ignore[import-untyped]
import psycopg

from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.domain.book import Fill
from tradeproc.errors import TradeprocError
from tradeproc.home import Home
from tradeproc.localbroker.client import LocalBroker
from tradeproc.localbroker.control_key import key_file_of
from tradeproc.protocol import names
from tradeproc.store import Store
from tradeproc.store.embedded import database_url
from tradeproc.supervision.client import Program, Supervisor
from tradeproc.testing.running import configure, environment_of, free_port, furnish, temporary_home
from tradeproc.testing.waiting import wait_until

T = TypeVar("T")
ACCOUNTS = ["SIM0000001F", "SIM0000002F", "SIM0000003F"]
ACCOUNT = ACCOUNTS[0]
GENEROUS = 120.0
# errors of a desk that is starting, or that a test has broken
_NOT_YET = (TradeprocError, psycopg.Error, OSError, LookupError)


def wait_for(what: str, condition: Callable[[], T], seconds: float = GENEROUS) -> T:
    """Return the first true value of `condition`; an outage while asking a desk counts as not yet.

    Raises:
        Late: it did not come true in time.
    """
    return wait_until(what, condition, seconds, every=0.1, not_yet=_NOT_YET)


@contextlib.contextmanager
def tape_desk(tape: str = "shipped", *, speed: float = 1.0, files: Iterable[Path] = ()) -> Iterator["TapeDesk"]:
    """Run a desk for the length of the block; `files` (strategies, tapes) are copied into its home.

    `tape` is what `[localbroker]` may say, `speed` market seconds per second.

    Raises:
        AssertionError: it did not come up; what its processes said last is a note of it.
    """
    with temporary_home() as home:
        for file in files:
            shutil.copy(file, home.root)
        with TapeDesk(home.root, tape=tape, speed=speed) as desk:
            yield desk


class TapeDesk:
    """One installation in a folder that a test may break; as a context manager it is up for the length of the block.

    `speed` is market seconds per second, `history_minutes` how much of the tape is past at the start, `database` the
    url of an external database (empty: the embedded one), `tape` what `[localbroker]` may say.
    """

    def __init__(
        self,
        folder: Path,
        *,
        speed: float = 1.0,
        history_minutes: float = 10,
        database: str = "",
        tape: str = "shipped",
    ) -> None:
        # the home of the local broker: another desk's, where two desks share one
        self.home = self.broker_home = Home(folder)
        self.port = free_port()
        self.environment = environment_of(self.home, database)
        del self.environment["TRADEPROC_HOME"]  # supervisord gives each process the folder of its configuration
        furnish(self.home)
        self.home.make_folders()
        (folder / ".venv").symlink_to(sys.prefix)
        self.configure(speed=speed, history_minutes=history_minutes, tape=tape)
        settings = self.home.conf / "tradeproc.toml"
        # on a busy machine the imports of many desks take longer than the warden would wait for the first heartbeat
        settings.write_text(settings.read_text().replace("# start_seconds = 14.0", "start_seconds = 60.0"))
        self.supervisord: subprocess.Popen[bytes] | None = None

    def configure(self, *, speed: float, history_minutes: float, tape: str) -> None:
        """Point the shipped configuration at a free port and set the pace of the tape."""
        url = f"http://127.0.0.1:{self.port}"
        configure(
            self.home,
            port=self.port,
            tape=tape,
            speed=speed,
            history_minutes=history_minutes,
            accounts=ACCOUNTS,
            base_url=f"{url}/v3",
            auth_url=url,
        )

    # --- life cycle

    def up(self) -> Self:
        """Start supervisord and wait until the keeper answers; a desk that does not come up is stopped again.

        Raises:
            AssertionError: supervisord ended, or the keeper did not answer in time; what the processes said last
                is a note of it.
        """
        self.home.make_folders()
        try:
            self.boot()
            wait_for("the keeper", self._is_up)
        except BaseException as error:
            error.add_note(self.last_words())
            self.down()
            raise
        return self

    def _is_up(self) -> bool:
        assert self.supervisord is not None
        assert self.supervisord.poll() is None, "supervisord ended at once"
        return self.ask(names.KEEPER, "sessions", {}) is not None

    def boot(self) -> None:
        """Start supervisord as our child; if there was one before, wait for its end first."""
        if self.supervisord is not None:
            self.supervisord.wait(GENEROUS)
        with (self.home.log / "supervisord.out").open("ab") as output:
            self.supervisord = subprocess.Popen(
                [
                    str(self.home.root / ".venv/bin/supervisord"),
                    "-n",
                    "-c",
                    str(self.home.plain_root / "supervisord.conf"),
                ],
                cwd=self.home.root,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def down(self) -> None:
        """Stop everything in an orderly way; kill what does not stop, and fail the test then."""
        if self.supervisord is None:
            return
        family: list[Any] = []
        if self.supervisord.poll() is None:
            family = psutil.Process(self.supervisord.pid).children(recursive=True)
        self.supervisord.send_signal(signal.SIGTERM)
        try:
            self.supervisord.wait(40)
        except subprocess.TimeoutExpired:
            self.supervisord.kill()
            self.supervisord.wait(10)
        _, alive = psutil.wait_procs(family, timeout=10)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.supervisord = None
        self.home.forget_short_sockets()
        self.broker.close()
        del self.broker
        assert not alive, [process.pid for process in alive]

    def crash(self) -> None:
        """Kill supervisord and wait until all its children have ended by themselves."""
        assert self.supervisord is not None
        family = psutil.Process(self.supervisord.pid).children(recursive=True)
        self.supervisord.kill()
        self.supervisord.wait(10)
        _, alive = psutil.wait_procs(family, timeout=GENEROUS)
        assert not alive, [(process.pid, process.cmdline()) for process in alive]

    def cut_power(self) -> None:
        """Kill supervisord and all its descendants at once, as a loss of power does."""
        assert self.supervisord is not None
        everything = psutil.Process(self.supervisord.pid).children(recursive=True)
        self.supervisord.kill()
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.supervisord.wait(10)
        psutil.wait_procs(everything, timeout=10)
        self.supervisord = None

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    # --- sessions

    def begin(
        self, strategy: str, account: str = ACCOUNT, changes: dict[str, Any] | None = None, **arguments: object
    ) -> int:
        """Create and start a session, wait until its trader is ready, and return its number."""
        session = self.create(strategy, account, changes, **arguments)
        self.wait_ready(session)
        return session

    def create(
        self, strategy: str, account: str = ACCOUNT, changes: dict[str, Any] | None = None, **arguments: object
    ) -> int:
        """Create and start a session of one ES contract on bars of a minute, and return its number.

        `changes` override what a session file says, `arguments` are those of the strategy.
        """
        spec = {
            "name": f"test-{account}",
            "login": "paper",
            "account": account,
            "contract": "ESH24",
            "minutes": 1,
            "strategy": strategy,
            "quantity": 1,
            "environment": "paper",
            "limits": {"max_order": 2, "max_position": 2},
            "arguments": arguments,
            **(changes or {}),
        }
        session = int(self.ask(names.KEEPER, "create", {"spec": spec}, GENEROUS)["session"])
        self.ask(names.KEEPER, "start", {"session": session}, GENEROUS)
        return session

    def wait_ready(self, session: int) -> None:
        """Wait until the trader of a session has reconciled and trades."""
        wait_for(
            f"trader {session} ready",
            lambda: self.ask(names.trader(session), "status", {}, 2.0)["state"] == "ready",
        )

    def fills(self, session: int) -> list[Fill]:
        """Return the fills that the database has of a session."""
        store = Store(self.database_url)
        try:
            return store.fills(session)
        finally:
            store.close()

    def flatten(self, session: int) -> None:
        """Get the session flat and wait for it; market time may stand still."""
        wait_for(
            "flatten heard",
            lambda: self.ask(names.KEEPER, "flatten", {"session": session}, 10.0)["sessions"][0]["ok"],
        )
        wait_for(
            f"session {session} flat",
            # a closing that is not over yet would close what is opened next
            lambda: (state := self.state(session))["position"] == 0 and not state["orders"] and not state["closing"],
        )

    # --- asking

    @property
    def database_url(self) -> str:
        """Return the url of the desk's database."""
        return self.environment.get("TRADEPROC_DATABASE_URL") or database_url(self.home)

    def ask(self, process: str, method: str, params: dict[str, Any], seconds: float = 5.0) -> dict[str, Any]:
        """Ask a process over the bus."""
        with Client(Directory(self.home.sockets)) as client:
            return client.call(process, method, params, seconds)

    def state(self, session: int) -> dict[str, Any]:
        """Return a trader's own summary."""
        return self.ask(names.trader(session), "state", {})

    def tradectl(self, *arguments: str, code: int | None = 0) -> Any:
        """Run tradectl with --json and return what it printed; it must end with `code`, unless that is None."""
        done = subprocess.run(
            [sys.executable, "-m", "tradeproc.cli.tradectl", "--home", str(self.home.root), *arguments, "--json"],
            capture_output=True,
            text=True,
            timeout=120,
            env=self.environment,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    @cached_property
    def broker(self) -> LocalBroker:
        """Return the control of the local broker: its pace, faults and books."""
        return LocalBroker(f"http://127.0.0.1:{self.port}", key_file_of(self.broker_home))

    def programs(self) -> list[Program]:
        """Return the programs that supervisord knows."""
        return Supervisor(self.home).processes()

    def pid(self, process: str) -> int:
        """Return the pid that supervisord has for a process, as `session-1.trader`; 0 when it is down."""
        return next((found.pid for found in self.programs() if found.process == process), 0)

    def kill(self, process: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a process and return its pid."""
        pid = int(wait_for(f"a pid of {process}", lambda: self.pid(process)))
        os.kill(pid, how)
        return pid

    def log(self, process: str) -> str:
        """Return a process's log."""
        return "".join(path.read_text(errors="replace") for path in self.home.log.glob(f"*{process.split('.')[-1]}*"))

    def last_words(self) -> str:
        """Return the last lines of every log."""
        found = {path.name: path.read_text(errors="replace").splitlines()[-5:] for path in self.home.log.iterdir()}
        return "\n".join(f"{name}: {line}" for name, lines in sorted(found.items()) for line in lines)
