"""The reference of the recovery benchmark: bare supervisord, and programs that import what ours import.

A program is up again when it has bound a socket and written its pid. Run as
`python -m tradeproc.bench.bare <kind> <folder>`; `BareDesk` runs one a kind under a supervisord of its own. It starts
that one itself and not with `supervision/daemon.py`, so that nothing of ours is part of what ours is compared with.
"""

import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tradeproc.bench.figures import BenchFailed
from tradeproc.procs.__main__ import module_of

LOOK_SECONDS = 0.02
_SECONDS = 60.0
_STREAMS = ("tradeproc.brokers.tradestation.streams",)
# modules that a kind imports only after its start, because they depend on its broker or its session
LATER: dict[str, tuple[str, ...]] = {
    "tokens": ("tradeproc.brokers.tradestation.authorization",),
    "link": (
        "tradeproc.brokers.tradestation.account_manager",
        "tradeproc.brokers.tradestation.data_source",
    ),
    "bars": _STREAMS,
    "orders": _STREAMS,
    "positions": _STREAMS,
    "trader": ("tradeproc.bench.in_and_out",),
}

_HEAD = """
[supervisord]
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}
environment=OPENBLAS_NUM_THREADS="1",PYTHONUNBUFFERED="1",MALLOC_ARENA_MAX="1",PYTHONNODEBUGRANGES="1"
"""
_PROGRAM = """
[program:{kind}]
command="{python}" -m tradeproc.bench.bare {kind} {folder}
autorestart=true
redirect_stderr=true
stdout_logfile={folder}/{kind}.log
"""


class BareDesk:
    """A running supervisord with one program a kind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pid(self, kind: str) -> int:
        """Return the pid of the program that was last up; 0 before the first."""
        try:
            return int((self._folder / f"{kind}.pid").read_text())
        except FileNotFoundError:
            return 0

    def wait(self, kind: str, killed: int) -> None:
        """Wait until a process of a program is up that is not the killed one.

        Raises:
            BenchFailed: none comes up in time.
        """
        deadline = time.monotonic() + _SECONDS
        while self.pid(kind) in (0, killed):
            if time.monotonic() > deadline:
                raise BenchFailed(f"bare supervisord did not bring {kind} up within {_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)

    def recovery(self, kind: str) -> float:
        """Kill a program and return the seconds until it is up again."""
        pid = self.pid(kind)
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        self.wait(kind, pid)
        return time.monotonic() - began


@contextmanager
def bare_desk(kinds: Sequence[str]) -> Iterator[BareDesk]:
    """Run a bare supervisord in a temporary folder, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        places = {"folder": folder, "python": sys.executable}
        programs = [_PROGRAM.format(kind=kind, **places) for kind in kinds]
        (folder / "supervisord.conf").write_text(_HEAD.format(**places) + "".join(programs))
        supervisord = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(folder / "supervisord.conf")],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            desk = BareDesk(folder)
            for kind in kinds:
                desk.wait(kind, 0)
            yield desk
        finally:
            supervisord.terminate()
            supervisord.wait(_SECONDS)


def main(kind: str, folder: Path) -> None:
    """Import what a kind imports, say that we are up, and wait for the end."""
    for module in (module_of(kind), *LATER.get(kind, ())):
        importlib.import_module(module)
    place = folder / f"{kind}.sock"
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(place))
        door.listen()
        told = folder / f"{kind}.new"
        told.write_text(str(os.getpid()))
        told.rename(folder / f"{kind}.pid")
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
