"""A home in a temporary folder with a real supervisord over tiny real programs.

supervisord is started here as a child, in the foreground, and not with `supervision/daemon.py`: a test can then kill
it at any instant and knows that it has ended.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tradeproc.home import Home
from tradeproc.supervision.client import Program, ProgramState, Supervisor
from tradeproc.testing.running import furnish
from tradeproc.testing.waiting import wait_until

ROOT = Path(__file__).parents[2]
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ")


def end_seconds(log: str) -> float:
    """Return how long supervisord took to end, by its own log: from the first stop of a session to its last line."""
    lines = [line for line in log.splitlines() if _STAMP.match(line)]
    first = next(line for line in lines if "waiting for" in line or "indicating exit request" in line)
    began, ended = (datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f") for line in (first, lines[-1]))
    return (ended - began).total_seconds()


class Yard:
    """One home; `real` names kinds that run tradeproc's own processes instead of the tiny program."""

    def __init__(self, root: Path, real: tuple[str, ...] = ()) -> None:
        self.home = Home(root)
        self.conf = str(root / "supervisord.conf")
        furnish(self.home)
        self.home.make_folders()
        (root / "behave").mkdir()
        python = root / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        tiny = shlex.quote(str(Path(__file__).with_name("program.py")))
        mine = shlex.quote(sys.executable)
        cases = f'case "$3" in {"|".join(real)}) exec {mine} "$@";; esac\n' if real else ""
        cases += f'case "$2" in supervisor.supervisord) exec {mine} "$@";; esac\n'
        python.write_text(f'#!/bin/sh\n{cases}exec {mine} {tiny} "$@"\n')
        python.chmod(0o755)
        self.supervisor = Supervisor(self.home)
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("TRADEPROC_")}
        self._supervisord: subprocess.Popen[bytes] | None = None

    def behave(self, kind: str, behaviour: str) -> None:
        (self.home.root / "behave" / kind).write_text(behaviour)

    def up(self) -> "Yard":
        command = [
            sys.executable,
            "-m",
            "supervisor.supervisord",
            "-n",
            "-c",
            str(self.home.plain_root / "supervisord.conf"),
        ]
        with (self.home.log / "out").open("ab") as out:
            self._supervisord = subprocess.Popen(command, stdout=out, stderr=out, env=self.environment)
        wait_until("supervisord", self.supervisor.is_up)
        return self

    def down(self) -> None:
        if self._supervisord is None:
            return
        family = [] if self._supervisord.poll() is not None else self._family()
        self._supervisord.send_signal(signal.SIGTERM)
        try:
            self._supervisord.wait(30)
        except subprocess.TimeoutExpired:
            self._supervisord.kill()
            self._supervisord.wait()
        for process in psutil.wait_procs(family, timeout=5)[1]:
            process.kill()
        self._supervisord = None

    def kill_supervisord(self) -> list[psutil.Process]:
        """Kill supervisord at once; return its children, whom the caller must end."""
        assert self._supervisord is not None
        family = self._family()
        self._supervisord.kill()
        self._supervisord.wait()
        self._supervisord = None
        return family

    def _family(self) -> list[psutil.Process]:
        assert self._supervisord is not None
        return list(psutil.Process(self._supervisord.pid).children(recursive=True))

    def supervisorctl(self, *arguments: str, cwd: Path | None = None) -> str:
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self.home.root / "supervisord.conf")]
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, cwd=cwd, check=False, timeout=60
        )
        return done.stdout + done.stderr

    def find(self, process: str) -> Program | None:
        """Return one program by its name on the bus."""
        return next((each for each in self.supervisor.processes() if each.process == process), None)

    def program(self, process: str) -> Program:
        found = self.find(process)
        assert found is not None, process
        return found

    def is_in(self, process: str, *states: ProgramState) -> bool:
        """Tell whether a program is there and in one of these states."""
        found = self.find(process)
        return found is not None and found.state in states

    def running(self, process: str, *, other_than: int = 0) -> Program:
        """Wait until a program runs, under another pid than the given one, and return it."""

        def look() -> Program | None:
            found = self.find(process)
            return found if found and found.state == "RUNNING" and found.pid not in (0, other_than) else None

        found = wait_until(f"{process} to run", look)
        assert found is not None
        return found

    def signal(self, program: Program, name: str) -> None:
        if name == "TERM":
            # before that a tiny program would die of it instead of ending in order
            ready = self.home.root / "behave" / f"ready-{program.pid}"
            wait_until(f"{program.process} to take signals", ready.exists)
        os.kill(program.pid, signal.Signals[f"SIG{name}"])

    def log(self, process: str) -> str:
        return (self.home.log / f"{process}.log").read_text()

    def __enter__(self) -> "Yard":
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()
