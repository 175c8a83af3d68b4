"""The calendar table against two libraries' calendars and the exchange's published schedules, every difference told.

What the libraries say is kept in calendar_sources/, because neither is installed for the tests: each draws in pandas,
which nothing here needs. Where both are installed (the `calendar` extra) scripts/make_calendar asks them live.
"""

import importlib.util
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tradeproc.domain.calendar_table import CALENDARS, CHECKED
from tradeproc.domain.market_hours import market_hours

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "scripts"
SOURCES = ("pandas_market_calendars", "exchange_calendars")


def load(name: str) -> Any:
    """Import a module of scripts/, which is no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


load("exchange_rules")
compare = load("calendar_compare")


def test_the_table_is_what_the_rules_say() -> None:
    table = SCRIPTS.parent / "tradeproc" / "domain" / "calendar_table.py"

    assert table.read_text() == compare.table_text()


def test_every_difference_from_the_libraries_is_explained_and_nothing_else_is() -> None:
    text = (HERE / "calendar_differences.txt").read_text()
    explained = compare.read_explained(text)
    found = []
    for source in SOURCES:
        theirs = compare.read_snapshot((HERE / "calendar_sources" / f"{source}.txt").read_text())
        found += compare.differences(source, CALENDARS, theirs)

    assert set(found) == set(explained)
    assert all(len(why.split()) > 5 for why in explained.values())
    assert not [line for line in text.splitlines() if line.count("|") not in (0, 6)]


def test_two_sources_of_each_calendar_of_globex_are_compared() -> None:
    sources = [compare.read_snapshot((HERE / "calendar_sources" / f"{name}.txt").read_text()) for name in SOURCES]
    number = Counter(key for source in sources for key in source)

    assert {key for key, _ in number.items()} == set(CALENDARS)
    assert {key for key, times in number.items() if times == 2} == set(CALENDARS) - {"cbot_grains", "cme_livestock"}


def test_the_libraries_still_say_what_is_kept_of_them() -> None:
    for name in SOURCES:
        pytest.importorskip(name)
    done = subprocess.run(
        [sys.executable, SCRIPTS / "make_calendar", "--check"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


# Written by hand from CME Group's holiday schedules and press releases: last close in Chicago, `closed`, or `full`.
PUBLISHED = """
    2024-01-15   equity 12:00  fx full   rates 12:00  energy 13:30  metals 13:30  grains closed  livestock closed
    2024-03-29   equity closed fx closed rates closed energy closed metals closed grains closed  livestock closed
    2024-06-19   equity 12:00  fx full   rates 12:00  energy 13:30  metals 13:30  grains closed  livestock closed
    2024-07-03   equity 12:15  fx full   rates full   energy full   metals full   grains full    livestock full
    2024-07-04   equity 12:00  fx full   rates 12:00  energy 13:30  metals 13:30  grains closed  livestock closed
    2024-09-02   equity 12:00  fx full   rates 12:00  energy 13:30  metals 13:30  grains closed  livestock closed
    2024-11-28   equity 12:00  fx full   rates 12:00  energy 13:30  metals 13:30  grains closed  livestock closed
    2024-11-29   equity 12:15  fx 12:15  rates 12:15  energy 12:45  metals 12:45  grains 12:05   livestock 12:05
    2024-12-24   equity 12:15  fx 12:15  rates 12:15  energy 12:45  metals 12:45  grains 12:05   livestock 12:05
    2024-12-25   equity closed fx closed rates closed energy closed metals closed grains closed  livestock closed
    2025-01-09   equity 08:30  fx full   rates 12:15  energy full   metals full   grains 12:15   livestock 12:15
    2025-04-18   equity closed fx closed rates closed energy closed metals closed grains closed  livestock closed
    2025-06-19   equity 12:00  fx full   rates 12:00  energy 13:30  metals 13:30  grains closed  livestock closed
    2025-07-04   equity 12:00  fx 12:00  rates 12:00  energy 12:00  metals 12:00  grains closed  livestock closed
    2025-09-01   equity 12:00  fx full   rates 12:00  energy 13:30  metals 13:30  grains closed  livestock closed
    2025-12-24   equity 12:15  fx 12:15  rates 12:15  energy 12:45  metals 12:45  grains 12:05   livestock 12:05
    2026-04-03   equity 08:15  fx 10:15  rates 10:15  energy closed metals closed grains closed  livestock closed
    2026-06-19   equity 12:00  fx 12:00  rates 12:00  energy 12:00  metals 12:00  grains closed  livestock closed
    2026-07-02   equity full   fx full   rates full   energy full   metals full   grains full    livestock full
    2026-07-03   equity 12:00  fx 12:00  rates 12:00  energy 12:00  metals 12:00  grains closed  livestock closed
    2026-09-07   equity 12:00  fx full   rates 12:00  energy 13:30  metals 13:30  grains closed  livestock closed
    2026-11-27   equity 12:15  fx 12:15  rates 12:15  energy 13:45  metals 13:45  grains 12:05   livestock 12:05
    2026-12-24   equity 12:15  fx 12:15  rates 12:15  energy 12:45  metals 12:45  grains 12:05   livestock 12:05
    2026-12-31   equity full   fx full   rates full   energy full   metals full   grains full    livestock full
    2027-01-01   equity closed fx closed rates closed energy closed metals closed grains closed  livestock closed
    2027-06-18   equity 12:00  fx 12:00  rates 12:00  energy 12:00  metals 12:00  grains closed  livestock closed
    2027-07-05   equity 12:00  fx full   rates 12:00  energy 13:30  metals 13:30  grains closed  livestock closed
    2027-09-06   equity 12:00  fx full   rates 12:00  energy 13:30  metals 13:30  grains closed  livestock closed
    2027-12-23   equity full   fx full   rates full   energy full   metals full   grains full    livestock full
    2027-12-24   equity closed fx closed rates closed energy closed metals closed grains closed  livestock closed
"""
KEYS = {
    "equity": "cme_equity", "fx": "cme_fx", "rates": "cbot_rates", "energy": "cme_energy", "metals": "cme_metals",
    "grains": "cbot_grains", "livestock": "cme_livestock",
}  # fmt: skip
USUAL = {key: usual.split()[-1] for key, (_, usual, _) in CALENDARS.items()}


def close_of(key: str, day: date) -> str:
    hours = market_hours(key)
    session = hours.session_of(day)
    if session is None:
        return "closed"
    closed = hours.local(session.closed_at)
    assert closed.date() == day
    return f"{closed:%H:%M}".replace(USUAL[key], "full")


@pytest.mark.parametrize("line", PUBLISHED.strip().splitlines())
def test_a_close_is_the_one_that_the_exchange_published(line: str) -> None:
    day, *words = line.split()
    expected = {KEYS[name]: close for name, close in zip(words[::2], words[1::2], strict=True)}

    assert {key: close_of(key, date.fromisoformat(day)) for key in expected} == expected
    assert set(expected) == set(CALENDARS)


def test_grains_open_in_the_morning_after_a_holiday_without_an_evening() -> None:
    hours = market_hours("cbot_grains")
    for day in ("2024-07-05", "2025-11-28", "2025-12-26", "2026-01-02"):
        session = hours.session_of(date.fromisoformat(day))
        assert session is not None
        assert f"{hours.local(session.opened_at):%m-%d %H:%M}" == f"{day[5:]} 08:30"


def test_the_day_of_the_last_check_is_known() -> None:
    assert date.fromisoformat(CHECKED) >= date(2026, 11, 27)
