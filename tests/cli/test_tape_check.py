"""`tradectl tape check`: what was understood, what remains to be said, and what cannot be read, each in few words."""

import bz2
import gzip
import io
import json
import lzma
import os
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from tradeproc.cli import tradectl
from tradeproc.home import Home

BARS = "".join(
    f"01/02/2024,{8 + minute // 60:02d}:{minute % 60:02d},4750.25,4751,4750,4750.5,812.0\n" for minute in range(180)
)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    (home.root / "supervisord.conf").touch()
    home.conf.mkdir()
    home.make_folders()

    def command(*arguments: str) -> tuple[int, str, str]:
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            code = int(tradectl.main(["tape", "check", *arguments, "--home", str(home.root)]))
        return code, output.getvalue(), errors.getvalue()

    return command


Run = Callable[..., tuple[int, str, str]]


def checked(run: Run, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, output, errors = run(*arguments, "--json")
    assert not errors
    return code, json.loads(output)


def test_it_says_what_it_understood(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "ESH24.txt"
    file.write_text(BARS.replace("01/02/2024,09:1", "01/02/2024,15:1"))

    code, told = checked(run, str(file), "--zone", "America/Chicago", "--stamp", "start")
    _, text, _ = run(str(file), "--zone", "America/Chicago", "--stamp", "start")

    assert code == 0
    assert (told["format"], told["rows"], told["trades"], told["contracts"]) == ("Kibot bars", 180, 720, ["ESH24"])
    assert (told["zone"], told["stamp"], told["bar_seconds"]) == ("America/Chicago", "start", 60.0)
    assert (told["first"], told["last"]) == ("2024-01-02T14:00:00Z", "2024-01-02T21:19:00Z")
    assert (told["tick_size"], told["outside_market_hours"]) == (["0.25"], 0)
    assert told["gaps"] == [{"from": "2024-01-02T16:59:59Z", "to": "2024-01-02T21:10:00Z", "open_minutes": 250}]
    assert told["playable"] and not told["questions"]
    assert any("sorted" in warning for warning in told["warnings"])
    for word in (
        "Kibot bars",
        "ESH24",
        "America/Chicago",
        "stamped at their start, as you say",
        "nothing: it can be played",
    ):
        assert word in text


def test_what_is_not_said_is_asked_and_the_command_leaves_with_1(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "export.txt"
    file.write_text(BARS)

    code, told = checked(run, str(file))
    _, text, _ = run(str(file))

    assert (code, told["playable"], told["rows"], told["stamp"]) == (1, False, 180, None)
    for option in ("--contract", "--zone", "--stamp"):
        assert any(option in question for question in told["questions"])
        assert option in text


def test_what_a_vendors_own_way_decides_is_told(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "ESH24.txt"
    rows = "".join(f"01/02/2024,09:{minute},4750.25,4751,4750,4750.5,5,4\n" for minute in range(10, 50))
    file.write_text('"Date","Time","Open","High","Low","Close","Up","Down"\n' + rows)

    code, told = checked(run, str(file))
    _, text, _ = run(str(file))

    assert (code, told["stamp"], told["stamp_from"]) == (0, "end", "as TradeStation has it; --stamp says otherwise")
    assert told["zone"] == "America/Chicago, the exchange's, as TradeStation writes"
    assert "stamped at their end, as TradeStation has it" in text


def test_a_wrong_zone_is_shown_by_trades_outside_the_market_hours(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "ESH24.txt"
    file.write_text(BARS)

    _, told = checked(run, str(file), "--zone", "Pacific/Auckland", "--stamp", "start")

    assert any("is the zone right?" in warning for warning in told["warnings"])


PACKED = {
    "gz": gzip.compress(BARS.encode()),
    "bz2": bz2.compress(BARS.encode()),
    "xz": lzma.compress(BARS.encode()),
}


@pytest.mark.parametrize("kind", [*PACKED, "zip"])
def test_a_packed_file_is_read_and_a_damaged_one_is_one_line(tmp_path: Path, run: Run, kind: str) -> None:
    file = tmp_path / f"ESH24.txt.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("ESH24.txt", BARS)
        whole = file.read_bytes()
    else:
        whole = PACKED[kind]
        file.write_bytes(whole)
    options = ("--zone", "America/Chicago", "--stamp", "start")

    assert checked(run, str(file), *options)[1]["rows"] == 180
    for damaged in (whole[:-20], whole[:30] + b"\xff" * 40 + whole[70:], whole[:12]):
        file.write_bytes(damaged)
        code, output, errors = run(str(file), *options)

        assert (code, output, errors.count("\n")) == (1, "", 1)
        assert errors.startswith(f"tradectl: {file}")


def test_what_is_no_tape_is_one_line_without_a_traceback(tmp_path: Path, run: Run) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 50)
    (tmp_path / "giant").write_bytes(b"x" * 300_000)
    (tmp_path / "year").write_text("9999-12-31 08:30:00,1,1,1,1,1\n")
    (tmp_path / "nul").write_bytes(b"time,price,size\n2024-01-02T08:30:00Z,1,1\0\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "two.zip").write_bytes(b"PK\x05\x06" + b"\0" * 18)

    for name in ("empty", "binary", "giant", "year", "nul", "pipe", "two.zip", ".", "missing"):
        code, output, errors = run(str(tmp_path / name), "--contract", "ESH24")

        assert (code, output, errors.count("\n")) == (1, "", 1), name
        assert errors.startswith(f"tradectl: {tmp_path}"), name
        assert "Traceback" not in errors


def test_dates_of_which_nobody_knows_the_order_are_told_and_can_be_said(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "ESH24.txt"
    file.write_text(BARS.replace("01/02/2024", "03/01/2024"))
    rest = ("--zone", "America/Chicago", "--stamp", "start")

    code, doubted = checked(run, str(file), *rest)
    _, said = checked(run, str(file), *rest, "--dates", "day")

    assert (code, doubted["first"][:10], said["first"][:10]) == (0, "2024-03-01", "2024-01-03")
    assert "--dates day says otherwise" in " ".join(doubted["warnings"])
    assert not [each for each in said["warnings"] if "dates" in each]
