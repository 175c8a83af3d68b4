"""A tape of somebody's own for the quickstart: what is missing is asked first, and the session fits it."""

from argparse import Namespace
from pathlib import Path

import pytest

from tradeproc.cli import tradectl
from tradeproc.cli.quickstart import preflight
from tradeproc.cli.quickstart.foreign_tape import fitted, foreign_tape
from tradeproc.cli.quickstart.main import make_parser
from tradeproc.desk.exit_status import CommandFailed, ExitStatus, WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.localbroker.tape_files import BadTape
from tradeproc.procs.localbroker.main import folder_of

FIVE_MINUTES = "".join(f"2024-01-02 09:{minute:02d}:00,75.1,75.2,75.05,75.12,40\n" for minute in range(0, 60, 5))
READ = ("--zone", "America/New_York", "--stamp", "start")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "CLG24.txt"
    found.write_text(FIVE_MINUTES)
    return found


def options(*words: object) -> Namespace:
    return make_parser().parse_args([str(word) for word in words])


def test_the_session_trades_the_tapes_contract_on_bars_no_shorter_than_the_tapes(file: Path, idle_desk: Desk) -> None:
    tape = foreign_tape(options("--tape", file, *READ, "--speed", 600))

    assert tape is not None
    spec = fitted(preflight.specification(idle_desk, "moving_average_cross"), tape, idle_desk)

    assert (spec.contract, spec.minutes) == ("CLG24", 5)
    assert tape.choice.tape == str(file)
    assert "12 bars of 300 s, stamped at their start, of CLG24 (FirstRate bars)" in tape.lines[0]
    assert "2024-01-02T14:00:00Z to 2024-01-02T14:59:59Z; played 600 times as fast as the clock" in tape.lines[0]


def test_a_tape_that_is_all_history_is_refused(tmp_path: Path, idle_desk: Desk) -> None:
    file = tmp_path / "CLG24.txt"
    file.write_text("".join(FIVE_MINUTES.splitlines(keepends=True)[:3]))
    tape = foreign_tape(options("--tape", file, *READ))

    assert tape is not None
    with pytest.raises(CommandFailed, match="has 15 minutes, and the first 15 of a tape are history"):
        fitted(preflight.specification(idle_desk, "moving_average_cross"), tape, idle_desk)


def test_a_stamp_that_the_market_hours_contradict_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "CLG24.txt"
    file.write_text(FIVE_MINUTES.replace(" 09:", " 18:"))

    tape = foreign_tape(options("--tape", file, "--zone", "America/New_York", "--stamp", "end"))

    assert tape is not None
    assert any(line.startswith("warning:") and "--stamp start" in line for line in tape.lines)


def test_what_the_file_does_not_say_is_asked_in_one_line(file: Path) -> None:
    with pytest.raises(CommandFailed, match=r"--zone America/Chicago; .*--stamp start or --stamp end") as error:
        foreign_tape(options("--tape", file))

    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_options_without_one_and_bars_of_a_day_are_refused(tmp_path: Path) -> None:
    daily = tmp_path / "ESH24.txt"
    daily.write_text("".join(f"2024-01-{day:02d} 00:00:00,4750,4751,4749,4750,9\n" for day in (2, 3, 4)))

    with pytest.raises(BadTape, match="cannot be read"):
        foreign_tape(options("--tape", tmp_path / "nope.csv"))
    with pytest.raises(BadTape, match="give bars of minutes, or trades"):
        foreign_tape(options("--tape", daily, *READ))
    with pytest.raises(WrongUsage, match="name it with --tape FILE"):
        foreign_tape(options("--zone", "UTC"))
    assert foreign_tape(options()) is None


def test_a_tape_of_several_contracts_asks_which_is_to_be_traded(tmp_path: Path) -> None:
    file = tmp_path / "both.csv"
    file.write_text(
        "time,contract,price,size\n2024-01-02T00:00:00Z,ESH24,4800.25,2\n2024-01-02T00:00:01Z,NQH24,16000,1\n"
    )

    with pytest.raises(CommandFailed, match="holds ESH24, NQH24; say which is to be traded, as --contract ESH24"):
        foreign_tape(options("--tape", file))
    chosen = foreign_tape(options("--tape", file, "--contract", "NQH24"))
    assert chosen is not None and chosen.contract == "NQH24"


def test_the_books_of_a_broker_that_does_not_run_are_put_aside_and_a_rewind_needs_one_that_does(
    idle_desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(idle_desk.home.root)]
    folder = folder_of(idle_desk.home)
    folder.mkdir(parents=True)
    (folder / "journal").write_text("[]\n")

    away = tradectl.main(["localbroker", "rewind", *home])
    said = capsys.readouterr().err
    done = [tradectl.main(["localbroker", "rewind", "--new-books", *home]) for _ in range(2)]

    assert (away, "--new-books puts its books aside" in said) == (ExitStatus.NOT_RUNNING, True)
    assert done == [ExitStatus.OK, ExitStatus.OK]
    assert [each.name for each in folder.iterdir()] == ["journal.1"]
    assert "scripts/tradectl up starts it" in capsys.readouterr().out
