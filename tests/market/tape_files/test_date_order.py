"""Dates as 02/01/2024: month or day first is said, proven by a day above 12 anywhere in the file, or assumed."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.market.tape_files.test_file_reading import CHICAGO
from tradeproc.domain.units import iso
from tradeproc.market.tape_files.file_reading import Reading, TapeHints, read
from tradeproc.market.tape_files.lines import UnreadableTape

BAR = ",08:31,4750.25,4751,4750,4750.5,812"


def reading(*dates: str, said: str = "", chunk: int = 1 << 20) -> Reading:
    raw = "".join(f"{each}{BAR}\n" for each in dates).encode()
    wanted = TapeHints(CHICAGO, "end", "ESH24", said)
    return read([raw[at : at + chunk] for at in range(0, len(raw), chunk)], "export.csv", wanted)


def days(found: Reading) -> list[str]:
    return [iso(int(each))[:10] for each in found.stamps]


def doubts(found: Reading) -> list[str]:
    return [each for each in found.warnings if "dates" in each]


def test_a_file_without_a_day_above_12_is_read_month_first_and_says_so() -> None:
    found = reading("02/01/2024", "02/02/2024")

    assert (days(found), found.questions) == (["2024-02-01", "2024-02-02"], [])
    assert doubts(found) == [
        "dates as '02/01/2024' may begin with the month or the day, and no day is above 12: "
        "read with the month first; --dates day says otherwise, --dates month confirms it"
    ]


@pytest.mark.parametrize(("said", "first"), [("month", "2024-02-01"), ("day", "2024-01-02")])
def test_what_is_said_is_no_longer_doubted(said: str, first: str) -> None:
    found = reading("02/01/2024", said=said)

    assert (days(found), found.warnings) == ([first], [])


@pytest.mark.parametrize("chunk", [40, 1 << 20])
def test_one_day_above_12_settles_all_dates_also_those_of_blocks_before_it(chunk: int) -> None:
    day = reading("11/01/2024", "12/01/2024", "15/01/2024", chunk=chunk)
    month = reading("01/11/2024", "01/12/2024", "01/15/2024", chunk=chunk)

    assert days(day) == days(month) == ["2024-01-11", "2024-01-12", "2024-01-15"]
    assert doubts(day) == ["dates begin with the day, as '15/01/2024' in line 3 shows"]
    assert not doubts(month)


def test_a_date_that_reads_the_same_both_ways_is_not_doubted() -> None:
    assert not doubts(reading("02/02/2024", "03/03/2024"))
    assert not doubts(reading("2024/02/01", "20240201"))


@pytest.mark.parametrize(
    ("dates", "said", "expected"),
    [
        (("01/15/2024", "16/01/2024"), "", "line 2: date must begin with the month, as '01/15/2024' in line 1 does"),
        (("16/01/2024", "01/15/2024"), "", "'16/01/2024'"),
        (("15/01/2024",), "month", "line 1: date must begin with the month, as you say, not '15/01/2024'"),
        (("01/15/2024",), "day", "line 1: date must begin with the day, as you say, not '01/15/2024'"),
        (("01/02/2024",), "year", "dates must begin with month or day, not 'year'"),
    ],
)
def test_dates_that_contradict_each_other_or_what_is_said_are_refused(
    dates: tuple[str, ...], said: str, expected: str
) -> None:
    with pytest.raises(UnreadableTape) as error:
        reading(*dates, said=said)

    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("01/15/98", "1998-01-15"), ("1/15/70", "1970-01-15"), ("01/15/69", "2069-01-15"), ("15.01.24", "2024-01-15")],
)
def test_years_of_two_digits_are_read_and_told(written: str, meant: str) -> None:
    found = reading(written)

    assert days(found) == [meant]
    assert f"years of two digits, as in {written!r}, are read as 1970 to 2069" in found.warnings


def test_an_offset_stays_with_its_clock_when_the_day_comes_first() -> None:
    text = "".join(f"{each} 00:30:00+02:00,4750.25,3\n" for each in ("02/01/2024", "13/01/2024"))

    found = read([text.encode()], "ESH24.csv", TapeHints())

    assert [iso(int(each)) for each in found.stamps] == ["2024-01-01T22:30:00Z", "2024-01-12T22:30:00Z"]


@given(
    st.dates(date(1970, 1, 1), date(2069, 12, 20)), st.sampled_from(["%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y"])
)
def test_thirteen_days_on_end_are_read_as_they_are_written(first: date, form: str) -> None:
    dates = [first + timedelta(each) for each in range(13)]

    found = reading(*(each.strftime(form) for each in dates), chunk=97)

    assert days(found) == [each.isoformat() for each in dates]
