"""Last words outlive their process, are one line, and belong to the user alone."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tradeproc.home import Home
from tradeproc.supervision.deaths import Death, read_deaths, reason_of, stood_at, supervised_name, write_death

HOME = "session-7.trader"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.run.mkdir()
    return made


def test_the_newest_deaths_are_kept_newest_first(home: Home) -> None:
    for number in range(1, 15):
        write_death(home, HOME, Death(number, number, f"why {number}", 70))

    kept = read_deaths(home, HOME)

    assert [each.at for each in kept] == list(range(14, 4, -1))
    assert kept[0] == Death(14, 14, "why 14", 70)


def test_what_the_warden_knows_of_a_death_stands_for_what_was_said_before(home: Home) -> None:
    write_death(home, HOME, Death(1, 9, "first word", 70))
    write_death(home, HOME, Death(2, 9, "it hung", -1))

    assert [each.reason for each in read_deaths(home, HOME)] == ["it hung"]


def test_the_files_are_the_users_alone_whatever_the_umask(home: Home) -> None:
    before = os.umask(0)
    try:
        write_death(home, HOME, Death(1, 9, "why", 70))
    finally:
        os.umask(before)

    [file] = home.deaths.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.deaths.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"at": 1}]', b"\xff" * 99, b"null"])
def test_a_file_that_cannot_be_read_is_no_death(home: Home, content: bytes) -> None:
    home.deaths.mkdir()
    (home.deaths / f"{HOME}.json").write_bytes(content)

    assert read_deaths(home, HOME) == []
    write_death(home, HOME, Death(1, 9, "why", 70))
    assert len(read_deaths(home, HOME)) == 1


def test_a_folder_that_cannot_be_written_spoils_nothing(home: Home) -> None:
    home.deaths.write_text("in the way")

    write_death(home, HOME, Death(1, 9, "why", 70))

    assert read_deaths(home, HOME) == []


def test_a_reason_is_one_line_with_its_place_and_can_be_stored() -> None:
    def fail() -> None:
        raise ValueError("two\nlines\0\ud800")

    try:
        fail()
    except ValueError as error:
        told = reason_of(error)

    assert told.startswith(
        "ValueError: two lines\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} (test_deaths.py, line "
    )
    assert told.endswith(", fail)")


def test_an_error_whose_text_is_an_error_has_a_reason() -> None:
    class Evil(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert reason_of(Evil()) == "Evil: with a text that cannot be read"


def test_only_what_supervisord_started_has_a_name() -> None:
    assert supervised_name({}) is None
    told = {"SUPERVISOR_GROUP_NAME": "core", "SUPERVISOR_PROCESS_NAME": "jobs"}
    assert supervised_name(told) == "core.jobs"


HANGS = """
import faulthandler, os, signal, threading
faulthandler.register(signal.SIGUSR1, all_threads=True)
threading.Thread(target=threading.Event().wait, daemon=True).start()
def on_candle():
    os.kill(os.getpid(), signal.SIGUSR1)
on_candle()
"""


def test_a_process_that_hung_is_told_by_the_line_at_which_its_last_stacks_say_it_stood(home: Home) -> None:
    file, log = home.root / "endless.py", home.log / f"{HOME}.log"
    file.write_text(HANGS)
    log.parent.mkdir()
    stacks = subprocess.run([sys.executable, file], stderr=subprocess.PIPE, check=True).stderr
    assert stood_at(home, "session-9.trader") == ""

    log.write_bytes(b"x" * 200_000 + b"\na line\n" + stacks)
    assert stood_at(home, HOME) == "endless.py, line 6, on_candle"

    # of an earlier life: the present one left none
    log.write_bytes(stacks + b"2026-11-27T15:26:04.167Z INFO started\n")
    assert stood_at(home, HOME) == ""
