"""A whole desk in a temporary home: supervisord, every process, the embedded database and the local broker."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row

from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.errors import TradeprocError
from tradeproc.home import Home
from tradeproc.localbroker.client import LocalBroker
from tradeproc.store.embedded import database_url
from tradeproc.supervision.client import Supervisor

ROOT = Path(__file__).parents[2]
ACCOUNT = "SIM0000001F"
GENEROUS = 60.0


class Late(AssertionError):
    """A condition that did not come true in time."""


def wait_for(what: str, condition: Callable[[], Any], seconds: float = GENEROUS) -> Any:
    """Return the first true value of `condition`; an outage while asking counts as not yet."""
    deadline = time.monotonic() + seconds
    seen: object = None
    while time.monotonic() < deadline:
        try:
            seen = condition()
            if seen:
                return seen
        except (TradeprocError, psycopg.Error, OSError, KeyError, IndexError) as error:
            seen = error
        time.sleep(0.1)
    raise Late(f"{what} not within {seconds} s; last seen: {seen!r}")


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Desk:
    """One installation that a test may break."""

    def __init__(self, folder: Path, *, speed: float = 60.0, history_minutes: int = 15, database: str | None = None):
        self.home = Home(folder)
        self.port = free_port()
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("TRADEPROC_")}
        if database:
            self.environment["TRADEPROC_DATABASE_URL"] = database
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "supervisord.conf", folder)
        shutil.copytree(ROOT / "conf", folder / "conf")
        (folder / ".venv").symlink_to(sys.prefix)
        self.configure(speed=speed, history_minutes=history_minutes)
        self.home.make_folders()
        self.supervisord: subprocess.Popen[bytes] | None = None

    def configure(self, *, speed: float, history_minutes: int) -> None:
        """Point the shipped configuration at a free port and set the pace of the tape."""
        file = self.home.conf / "tradeproc.toml"
        lines = []
        for line in file.read_text().splitlines():
            key = line.split("=")[0].strip()
            replaced = {
                "port": f"port = {self.port}",
                "speed": f"speed = {speed}",
                "history_minutes": f"history_minutes = {history_minutes}",
                "base_url": f'base_url = "http://127.0.0.1:{self.port}/v3"',
                "auth_url": f'auth_url = "http://127.0.0.1:{self.port}"',
            }.get(key, line)
            lines.append(replaced)
        file.write_text("\n".join(lines) + "\n")

    # --- life cycle

    def up(self) -> "Desk":
        """Start supervisord and wait until the core answers."""
        self.supervisord = subprocess.Popen(
            [str(self.home.root / ".venv/bin/supervisord"), "-n", "-c", str(self.home.root / "supervisord.conf")],
            cwd=self.home.root,
            env=self.environment,
            stdout=(self.home.log / "drill.out").open("ab"),
            stderr=subprocess.STDOUT,
        )
        wait_for("the keeper", lambda: self.ask("core.keeper", "sessions", {}) is not None)
        return self

    def down(self) -> None:
        """Stop everything in an orderly way, and by force what does not stop."""
        if self.supervisord is None:
            return
        family = (
            psutil.Process(self.supervisord.pid).children(recursive=True) if self.supervisord.poll() is None else []
        )
        self.supervisord.send_signal(signal.SIGTERM)
        try:
            self.supervisord.wait(40)
        except subprocess.TimeoutExpired:
            self.supervisord.kill()
            self.supervisord.wait(10)
        _, alive = psutil.wait_procs(family, timeout=10)
        for process in alive:
            process.kill()
        self.supervisord = None
        assert not alive, [process.pid for process in alive]

    def __enter__(self) -> "Desk":
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    # --- asking

    def ask(self, process: str, method: str, params: dict[str, Any], seconds: float = 5.0) -> dict[str, Any]:
        """Ask a process over the bus."""
        with Client(Directory(self.home.sockets)) as client:
            return client.call(process, method, params, seconds)

    def tradectl(self, *arguments: str, code: int | None = 0) -> Any:
        """Run tradectl with --json and return what it printed."""
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

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Return what the database says."""
        url = self.environment.get("TRADEPROC_DATABASE_URL") or database_url(self.home)
        with psycopg.connect(url, autocommit=True, connect_timeout=3) as connection:
            return connection.cursor(row_factory=dict_row).execute(query, parameters).fetchall()  # type: ignore[arg-type]

    @property
    def broker(self) -> LocalBroker:
        """Return the control of the local broker."""
        return LocalBroker(f"http://127.0.0.1:{self.port}")

    def pid(self, process: str) -> int:
        """Return the pid that supervisord has for a process, as `session-1.trader`; 0 when it is down."""
        group, name = process.split(".", 1)
        for found in Supervisor(self.home).processes():
            if (found.group, found.name) == (group, name):
                return found.pid
        return 0

    def kill(self, process: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a process and return its pid."""
        pid = int(wait_for(f"a pid of {process}", lambda: self.pid(process)))
        os.kill(pid, how)
        return pid

    def state(self, session: int) -> dict[str, Any]:
        """Return a trader's own summary."""
        return self.ask(f"session-{session}.trader", "state", {})

    def log(self, process: str) -> str:
        """Return a process's log."""
        return "".join(path.read_text(errors="replace") for path in self.home.log.glob(f"*{process.split('.')[-1]}*"))
