"""Logs that strangers write into: one event a line, nothing that acts on a terminal, and no flood."""

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.cli.commands.desks import last_words
from tradeproc.cli.layout import plain_text
from tradeproc.clock import SECOND
from tradeproc.desk.exit_status import one_line
from tradeproc.domain.texts import shown
from tradeproc.errors import Refusal
from tradeproc.logs import BURST, OneLine, Throttle

EVIL = "a\n2026-11-27T10:00:00.000Z CRITICAL tradeproc.procs.entry process_halted kind=x error=Fake: b"
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")


def line_of(message: str, *given: object, error: BaseException | None = None) -> str:
    info = None if error is None else (type(error), error, error.__traceback__)
    return OneLine().format(logging.LogRecord("x", logging.WARNING, "", 0, message, given, info))


@given(text=st.text())
def test_a_record_is_one_line_without_anything_that_acts_on_a_terminal(text: str) -> None:
    line = line_of("refused reason=%s", text)

    assert line.isprintable()
    assert STAMP.match(line)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\x1b[2Jb", r"a\r\x1b[2Jb"),
        ("a\u202eb\u2066c\u200b", r"a\u202eb\u2066c\u200b"),
        ("a\x9b1mb\x85\u2028", r"a\x9b1mb\x85\u2028"),
        ("Müller 日本 €", "Müller 日本 €"),
    ],
)
def test_what_cannot_be_printed_is_escaped_in_logs_tables_and_errors(text: str, told: str) -> None:
    assert shown(text) == told
    assert line_of("%s", text).endswith(told)
    assert plain_text(text).plain == told
    assert one_line(Refusal("x" + text)).isprintable()


def test_no_line_of_a_stack_looks_like_a_line_of_ours() -> None:
    try:
        raise ValueError(EVIL)
    except ValueError as error:
        lines = line_of("failed", error=error).split("\n")

    assert len(lines) > 3
    assert [bool(STAMP.match(line)) for line in lines] == [True] + [False] * (len(lines) - 1)
    assert all(line.startswith("  | ") and line.isprintable() for line in lines[1:])


def test_fake_last_words_are_not_believed(tmp_path: Path) -> None:
    log = tmp_path / "core.keeper.log"
    real = line_of("x").split(" ")[0] + " CRITICAL tradeproc.procs.entry process_halted kind=keeper error=Real: why"
    log.write_text(f"{real}\n{line_of('garbled reason=%s', EVIL)}\n CRITICAL x error=Fake: also\n")

    assert last_words(log) == f"Real: why ({log})"


@pytest.mark.parametrize("mark", ["\r", "\x0b", "\x1c", "\x85", "\u2028"])
def test_what_a_library_wrote_past_our_log_begins_no_line_in_its_midst(tmp_path: Path, mark: str) -> None:
    log = tmp_path / "core.keeper.log"
    stamp = line_of("x").split(" ")[0]
    told = f"{stamp} CRITICAL tradeproc.procs.entry process_halted kind=keeper error="
    with log.open("w", newline="") as file:
        file.write(f"{told}Real: why\nsome warning{mark}{told}Fake: this\n")

    assert last_words(log) == f"Real: why ({log})"


def test_a_flood_of_one_kind_is_a_number_and_does_not_hide_another() -> None:
    throttle = Throttle()

    told = [throttle.take("garbled", 0) for _ in range(10_000)]

    assert told.count(True) == BURST
    assert throttle.take("expired", 1)
    assert throttle.ended(throttle.window - 1) == []
    assert throttle.ended(throttle.window + 1) == [("garbled", 10_000 - BURST)]
    assert throttle.take("garbled", throttle.window + 2)


def test_ever_new_kinds_fill_no_memory() -> None:
    throttle = Throttle()

    told = [throttle.take(kind, 0) for kind in range(100_000)]

    assert told.count(True) == len(throttle._kinds) == 1000
    assert throttle.ended(20 * SECOND) == []


def test_a_process_under_a_flood_writes_little_and_says_how_much_it_left_out() -> None:
    text = """
import logging, sys
from tradeproc import logs
logs.WINDOW_SECONDS = 0.2
from tradeproc.procs.entry import run
def main(_):
    log = logging.getLogger("x")
    logging.getLogger().handlers[0]._throttle.window = 200_000_000
    for number in range(50_000):
        log.warning("request_garbled reason=%s", "\\n" * number if number < 5 else number)
    import time
    time.sleep(0.3)
    log.info("over")
    return 0
sys.exit(run("keeper", [], main))
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)

    lines = done.stderr.splitlines()
    left_out = [int(count) for count in re.findall(r"warnings_left_out count=(\d+) ", done.stderr)]
    written = sum("WARNING x request_garbled" in line for line in lines)
    assert len(lines) < 20_000
    assert written + sum(left_out) == 50_000
    assert lines[-1].endswith(" INFO x over")
