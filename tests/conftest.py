"""What every test relies on: nothing outlives the run."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the living processes that were started with a home under `folder`, and our own children."""
    found = psutil.Process().children(recursive=True)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            home = process.environ().get("TRADEPROC_HOME", "")
            if home and Path(home).is_relative_to(folder) and process.pid != os.getpid():
                found.append(process)
    return [process for process in set(found) if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(autouse=True, scope="session")
def nothing_is_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail the run when a process that a test started is still there at its end, and end it."""
    folder = tmp_path_factory.getbasetemp()
    yield
    survivors = processes_of(folder)
    _, alive = psutil.wait_procs(survivors, timeout=10)
    described = []
    for process in alive:
        with contextlib.suppress(psutil.Error):
            described.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
            process.kill()
    assert not described, described
