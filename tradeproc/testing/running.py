"""Homes and processes for the length of a test, made from the shipped configuration and removed afterwards.

`Child` is one process of `tradeproc.procs` without supervisord; a test can start it, read its log and kill it.
Needs a checkout, because `supervisord.conf` and `conf/` are not installed with the package.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

import tradeproc
from tradeproc.home import Home

INSTALLATION = Path(tradeproc.__file__).parents[1]
_END_SECONDS = 60.0
_LOWEST_PORT, _PORTS = 20_000, 12_000


@contextlib.contextmanager
def temporary_home() -> Iterator[Home]:
    """Make an empty home that only our user may enter; its path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="tp-"))
    home = Home(folder)
    try:
        home.make_folders()
        yield home
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        home.forget_short_sockets()


def furnish(home: Home, **settings: object) -> None:
    """Copy the shipped `supervisord.conf` and `conf/` into a home, and set keys of its `tradeproc.toml`."""
    home.root.mkdir(parents=True, exist_ok=True)
    shutil.copy(INSTALLATION / "supervisord.conf", home.root)
    shutil.copytree(INSTALLATION / "conf", home.conf, dirs_exist_ok=True)
    configure(home, **settings)


def configure(home: Home, **settings: object) -> None:
    """Set keys of a home's `tradeproc.toml` in every section that has them; texts, numbers and lists of texts."""
    file = home.conf / "tradeproc.toml"
    lines = []
    for line in file.read_text().splitlines():
        key = line.split("=")[0].strip()
        lines.append(f"{key} = {json.dumps(settings[key])}" if key in settings else line)
    file.write_text("\n".join(lines) + "\n")


def environment_of(home: Home, database: str = "") -> dict[str, str]:
    """Return our environment for a process of a home, without the variables of our own desk.

    `database` is the url of an external database, empty for the embedded one of the home.
    """
    found = {key: value for key, value in os.environ.items() if not key.startswith("TRADEPROC_")}
    found["TRADEPROC_HOME"] = str(home.root)
    return found | ({"TRADEPROC_DATABASE_URL": database} if database else {})


def free_port() -> int:
    """Return a port of this machine on which nobody listens now.

    It is not one of those that the kernel gives to outgoing connections, which could take it before its user does.
    """
    while True:
        port = _LOWEST_PORT + secrets.randbelow(_PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Child:
    """One process of a home: `python -m tradeproc.procs KIND ARGUMENTS`, with a log of its own.

    Used as a context manager it is killed at the end of the block, if it is still there.
    """

    def __init__(self, home: Home, kind: str, *arguments: object, database: str = "") -> None:
        name = "-".join([kind, *map(str, arguments)])
        self.home, self.log = home, home.log / f"{name}.log"
        self._said_before = self.log.stat().st_size if self.log.exists() else 0
        command = [sys.executable, "-m", "tradeproc.procs", kind, *map(str, arguments)]
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                command, env=environment_of(home, database), cwd=home.root, stdout=log, stderr=log
            )

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        kill(self)

    @property
    def is_alive(self) -> bool:
        """Tell whether it still runs."""
        return self.popen.poll() is None

    def said(self) -> str:
        """Return what it has logged, without what earlier processes wrote into the same log."""
        with self.log.open("rb") as log:
            log.seek(self._said_before)
            return log.read().decode(errors="replace")

    def wait(self) -> int:
        """Wait until it has ended by itself, and return its exit code."""
        return self.popen.wait(_END_SECONDS)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end, and return its exit code."""
        if self.is_alive:
            self.popen.send_signal(how)
        return self.wait()


def kill(*children: Child) -> None:
    """Kill processes and all their descendants with SIGKILL, as a loss of power does."""
    dying: list[Any] = [psutil.Process(child.popen.pid) for child in children if child.is_alive]
    for process in list(dying):
        with contextlib.suppress(psutil.NoSuchProcess):
            dying += process.children(recursive=True)
    for process in dying:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    for child in children:
        child.wait()
    psutil.wait_procs(dying, _END_SECONDS)
