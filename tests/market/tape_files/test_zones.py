"""Local times into UTC: ordinary days, the hour that is skipped, the hour that comes twice."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.units import SECOND
from tradeproc.market.tape_files.zones import to_utc

CHICAGO = ZoneInfo("America/Chicago")


def ns(*texts: str) -> np.ndarray:
    moments = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in texts]
    return np.array([int(each.timestamp()) * SECOND for each in moments], np.int64)


def test_winter_and_summer_have_their_own_offsets() -> None:
    found = to_utc(ns("2024-01-02T08:30", "2024-07-02T08:30", "2024-12-02T08:30"), CHICAGO)

    assert found.at.tolist() == ns("2024-01-02T14:30", "2024-07-02T13:30", "2024-12-02T14:30").tolist()
    assert (found.skipped, found.repeated) == (0, 0)


def test_the_hour_that_comes_twice_is_read_twice_when_the_times_fall_back() -> None:
    local = ns("2024-11-03T00:59", "2024-11-03T01:00", "2024-11-03T01:59", "2024-11-03T01:00", "2024-11-03T02:00")

    found = to_utc(local, CHICAGO)

    assert (
        found.at.tolist()
        == ns(
            "2024-11-03T05:59", "2024-11-03T06:00", "2024-11-03T06:59", "2024-11-03T07:00", "2024-11-03T08:00"
        ).tolist()
    )
    assert found.repeated == 3


def test_an_hour_that_did_not_exist_is_counted_and_read_as_if_the_clock_had_not_changed() -> None:
    found = to_utc(ns("2024-03-10T01:59", "2024-03-10T02:30", "2024-03-10T03:00"), CHICAGO)

    assert found.at.tolist() == ns("2024-03-10T07:59", "2024-03-10T08:30", "2024-03-10T08:00").tolist()
    assert found.skipped == 1


@given(
    st.sampled_from(["America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
    st.lists(st.integers(0, 4_000_000_000), min_size=1, max_size=20),
)
def test_it_agrees_with_zoneinfo_wherever_the_local_time_is_one(name: str, seconds: list[int]) -> None:
    zone = ZoneInfo(name)
    moments = [datetime.fromtimestamp(each, UTC) for each in sorted(seconds)]
    local = [each.astimezone(zone).replace(tzinfo=None) for each in moments]
    certain = [
        (wall, moment)
        for wall, moment in zip(local, moments, strict=True)
        if wall.replace(tzinfo=zone, fold=0).utcoffset() == wall.replace(tzinfo=zone, fold=1).utcoffset()
    ]
    if not certain:
        return
    walls = np.array([int(wall.replace(tzinfo=UTC).timestamp()) * SECOND for wall, _ in certain], np.int64)

    found = to_utc(walls, zone)

    assert found.at.tolist() == [int(moment.timestamp()) * SECOND for _, moment in certain]
