"""Output that nobody reads to the end: no traceback, and the program's own exit code; real processes, real pipes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradeproc.testing.waiting import wait_until

MANY = """
import sys
from tradeproc.cli import reader
from rich.console import Console
def main():
    for number in range(20_000):
        print("line", number)
    Console().print("the last word")
    print("told", file=sys.stderr)
    return 7
sys.exit(reader.run(main))
"""
ENDLESS = """
import sys, time
from tradeproc.cli import reader
def main():
    print("begun", flush=True)
    while not reader.is_gone():
        time.sleep(0.05)
    return 0
sys.exit(reader.run(main))
"""


def started(script: str, **streams: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", script], **streams)


def test_a_program_whose_reader_has_seen_enough_ends_as_it_would_have() -> None:
    process = started(MANY, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"line 0\n"

    process.stdout.close()

    assert process.stderr.read() == b"told\n"
    assert process.wait(60) == 7
    process.stderr.close()


def test_a_program_without_an_end_stops_when_its_reader_has_gone_although_it_has_nothing_to_say() -> None:
    process = started(ENDLESS, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"begun\n"
    assert process.poll() is None

    process.stdout.close()

    wait_until("its end", lambda: process.poll() is not None)
    assert (process.returncode, process.stderr.read()) == (0, b"")
    process.stderr.close()


def test_nobody_reads_what_is_wrong_either() -> None:
    readable, writable = os.pipe()
    os.close(readable)
    process = started(MANY.replace("range(20_000)", "range(2)"), stdout=writable, stderr=writable)
    os.close(writable)

    assert process.wait(60) == 7


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", MANY.replace("return 7", "return 0")], stdout=full,
                              stderr=subprocess.PIPE, check=False)  # fmt: skip

    assert done.returncode == 1
    assert done.stderr == b"told\nthe output could not be written: No space left on device\n"


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_a_program_may_be_started_without_standard_streams(closed: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(MANY)

    done = subprocess.run(["bash", "-c", f"{sys.executable} {script} {closed}"], capture_output=True, check=False)

    assert done.returncode == 7
    assert done.stdout.endswith(b"the last word\n") is ("1" not in closed)
    assert done.stderr == (b"" if "2" in closed else b"told\n")


@pytest.mark.parametrize(
    "words",
    [
        ("tradeproc.cli.tradectl", "--help"),
        ("tradeproc.cli.tradectl", "status"),
        ("tradeproc.cli.tradectl", "sessions", "--json"),
        ("tradeproc.cli.healthcheck", "--json"),
        ("tradeproc.cli.quickstart", "--help"),
        ("tests.chaos", "--help"),
    ],
    ids=" ".join,
)
def test_no_command_says_a_word_about_a_reader_that_has_gone(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "supervisord.conf").touch()
    environment = {**os.environ, "TRADEPROC_HOME": str(tmp_path)}
    command = [sys.executable, "-m", *words]
    expected = subprocess.run(command, env=environment, capture_output=True, check=False)
    readable, writable = os.pipe()
    os.close(readable)

    done = subprocess.run(command, env=environment, stdout=writable, stderr=subprocess.PIPE, check=False)

    os.close(writable)
    assert (done.returncode, done.stderr) == (expected.returncode, expected.stderr)
    assert b"Traceback" not in done.stderr
