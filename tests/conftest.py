"""What every test relies on: nothing outlives the run."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

_PATIENT = [HealthCheck.too_slow]  # it judges by the speed of the machine


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a temporary folder of its own, so that runs do not meet and nothing stays, sockets included.

    Property tests do not judge by speed, and draw the same examples each time, so that a run judges only the change
    that it is made for. `--hypothesis-profile random` draws new ones, which is how to look for more.
    """
    settings.register_profile("random", deadline=None, suppress_health_check=_PATIENT)
    settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=_PATIENT)
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("repeatable")
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # inherited
    folder = tempfile.mkdtemp(prefix="tp-", dir="/tmp")
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"], tempfile.tempdir = folder, None

    def clean_up() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        tempfile.tempdir = None
        if before is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = before

    config.add_cleanup(clean_up)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the workers of a whole run begin with the drills, whose files are few and long; other processes come next.

    A worker takes whole files: with a long one at the end, the other workers would have nothing left to do.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: (item.get_closest_marker("drill") is None, "procs" not in item.path.parts))


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
