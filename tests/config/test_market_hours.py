"""conf/market_hours.toml: what a person knows of the exchanges' hours is in force, or is refused in one line."""

import codecs
import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tradeproc.config import BadConfig, apply_market_hours, load
from tradeproc.domain.calendar_table import CALENDARS
from tradeproc.domain.market_hours import Changes, market_hours
from tradeproc.home import Home

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home with the shipped configuration; afterwards our own table is in force again."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    yield Home(tmp_path)
    for key in CALENDARS:
        market_hours(key).change(Changes())


def write(home: Home, text: str) -> None:
    (home.conf / "market_hours.toml").write_text(text)


def closes(key: str, day: str) -> str:
    hours = market_hours(key)
    session = hours.session_of(date.fromisoformat(day))
    return "closed" if session is None else f"{hours.local(session.closed_at):%H:%M}"


def test_loading_the_configuration_puts_its_changes_in_force_and_only_those(home: Home) -> None:
    write(
        home,
        """[cme_energy]
closed = ["2027-01-08", 2027-01-11]
early_close = {"2027-11-26" = "13:45", "2027-03-01" = 12:30:00}
[cme_equity]
usual = ["2027-11-26"]
""",
    )

    load(home)

    days = ("2027-01-08", "2027-01-11", "2027-11-26", "2027-03-01", "2027-12-23")
    assert [closes("cme_energy", day) for day in days] == ["closed", "closed", "13:45", "12:30", "16:00"]
    assert closes("cme_equity", "2027-11-26") == "16:00"
    assert closes("cme_metals", "2027-01-08") == "16:00"
    write(home, "")
    apply_market_hours(home)
    assert closes("cme_energy", "2027-01-08") == "16:00"
    assert closes("cme_equity", "2027-11-26") == "12:15"


def test_the_shipped_file_changes_nothing_and_none_is_needed(home: Home) -> None:
    load(home)
    assert market_hours("cme_energy").changes == Changes()
    (home.conf / "market_hours.toml").unlink()

    load(home)

    assert market_hours("cme_energy").changes == Changes()


def test_the_examples_of_the_shipped_file_can_be_used(home: Home) -> None:
    lines = [line.removeprefix("# ") for line in (home.conf / "market_hours.toml").read_text().splitlines()]
    write(home, "\n".join(line for line in lines if re.match(r"\[|\w+ = ", line)))

    apply_market_hours(home)

    assert closes("cme_energy", "2027-01-08") == "closed"
    assert closes("cme_energy", "2027-06-18") == "16:00"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[cme_energi]", "[cme_energi] is no calendar; did you mean 'cme_energy'?"),
        ("cme_energy = 1", "cme_energy: expected a table, as [cme_energy]"),
        ("[cme_energy]\nclose = []", "[cme_energy] close: unknown key; did you mean 'closed'?"),
        ("[cme_energy]\nclosed = '2027-01-08'", "[cme_energy] closed: expected a list of dates"),
        ("[cme_energy]\nclosed = ['8 Jan']", "[cme_energy] closed: '8 Jan' is no date; write it as 2027-01-08"),
        ("[cme_energy]\nclosed = ['2027-02-30']", "[cme_energy] closed: '2027-02-30' is no date"),
        ("[cme_energy]\nearly_close = ['2027-01-08']", "[cme_energy] early_close: expected dates with times"),
        ("[cme_energy]\nearly_close = {'2027-01-08' = '25:00'}", "2027-01-08: '25:00' is no time of day"),
        ("[cme_energy]\nearly_close = {'2027-01-08' = 12}", "2027-01-08: 12 is no time of day"),
        ("[cme_energy]\nclosed = ['2027-01-09']", "[cme_energy] 2027-01-09: is a Saturday"),
        ("[cme_energy]\nclosed = ['2099-01-08']", "[cme_energy] 2099-01-08: must be from 2015-01-01"),
        ("[cme_energy]\nearly_close = {'2027-01-08' = '16:00'}", "cme_energy has an early close before 16:00"),
        ("[cme_energy\n", "is no TOML: "),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line_and_changes_nothing(home: Home, text: str, line: str) -> None:
    write(home, "[cme_equity]\nclosed = ['2027-03-01']")
    apply_market_hours(home)
    write(home, text)

    with pytest.raises(BadConfig) as refused:
        apply_market_hours(home)

    assert str(refused.value).startswith(f"{home.conf / 'market_hours.toml'}: ")
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
    assert closes("cme_equity", "2027-03-01") == "closed"


def test_the_file_may_begin_with_a_byte_order_mark(home: Home) -> None:
    (home.conf / "market_hours.toml").write_bytes(codecs.BOM_UTF8 + b"[cme_fx]\nclosed = ['2027-03-01']")

    apply_market_hours(home)

    assert closes("cme_fx", "2027-03-01") == "closed"
