"""One quickstart at a time, and none that takes another desk for its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tradeproc.cli.quickstart.life import SupervisordLife, claimed, end_quickstart, wait_for_quickstart
from tradeproc.desk.exit_status import CommandFailed
from tradeproc.home import Home

ROOT = Path(__file__).parents[3]
# claims the home, says so, and waits to be told
CLAIMANT = """
import os, signal, sys
from pathlib import Path
from tradeproc.cli.quickstart.life import SupervisordLife, claimed
from tradeproc.home import Home
with claimed(Home(Path(sys.argv[1]))) as (claim, left):
    claim.began(SupervisordLife.of(int(sys.argv[2])))
    print("claimed", flush=True)
    signal.pause()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@contextmanager
def claimant(home: Home, desk: int) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", CLAIMANT, str(home.root), str(desk)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "claimed\n"
            yield process
        finally:
            process.kill()


def test_a_life_ends_with_its_process_and_another_process_is_another_life() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        living = SupervisordLife.of(process.pid)
        assert living is not None
        assert not living.is_over
        assert SupervisordLife(living.pid, living.began + 1).is_over, "the pid was used again"
        process.kill()
    assert living.is_over
    assert SupervisordLife.of(living.pid) is None


def test_there_is_one_quickstart_at_a_time(home: Home) -> None:
    with (
        claimant(home, os.getpid()),
        pytest.raises(CommandFailed, match="another quickstart runs here; scripts/stop ends it"),
        claimed(home, patience=0.2),
    ):
        pass

    with claimed(home):
        pass


def test_a_desk_that_a_killed_quickstart_left_is_known_and_one_that_was_kept_is_nobodys(home: Home) -> None:
    with claimant(home, os.getpid()) as process:
        process.kill()

    with claimed(home) as (claim, left):
        assert left == SupervisordLife.of(os.getpid())
        ours = SupervisordLife.of(os.getpid())
        assert ours is not None
        claim.began(ours)
        claim.kept()
    with claimed(home) as (_, left):
        assert left is None


def test_a_quickstart_is_told_to_end_once_and_nobody_else_is(home: Home) -> None:
    assert not end_quickstart(home)
    with claimant(home, os.getpid()) as process:
        assert end_quickstart(home)
        assert process.wait(20) == -signal.SIGTERM
        wait_for_quickstart(home, 20)
        assert not end_quickstart(home)


@pytest.mark.parametrize(
    "content", [b"", b"null", b"{}", b'{"pid": 1, "desk": [1]}', b'{"pid": "x", "desk": 7}', b"\xff"]
)
def test_whatever_is_in_the_file_the_lock_is_what_counts(home: Home, content: bytes) -> None:
    home.make_folders()
    (home.run / "quickstart.lock").write_bytes(content)

    assert not end_quickstart(home)
    with claimed(home) as (_, left):
        assert left is None
