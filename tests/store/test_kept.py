"""The file of latches that are not stored: read as written or not at all, and the newest or strictest one counts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.texts import storable
from tradeproc.domain.units import Nanos
from tradeproc.store import Latch
from tradeproc.store.kept import read_kept, standing, write_kept

STATES = ("active", "reducing", "halted")
TEXTS = st.text(st.characters(codec=None), max_size=20)
LATCHES = st.builds(Latch, st.just("host"), st.sampled_from(STATES), TEXTS, TEXTS, st.integers(0, 2**62).map(Nanos))


def latch(state: str, at: int, scope: str = "host") -> Latch:
    return Latch(scope, state, "me", "drill", Nanos(at))


@given(st.lists(LATCHES, min_size=1, max_size=3))
def test_what_is_written_is_read_whatever_its_words(
    tmp_path_factory: pytest.TempPathFactory, given: list[Latch]
) -> None:
    file = tmp_path_factory.getbasetemp() / "kept.json"

    write_kept(file, given)

    told = tuple(Latch(one.scope, one.state, storable(one.by), storable(one.reason), one.at) for one in given)
    assert read_kept(file) == Known(told)


def test_a_file_of_which_any_part_is_missing_or_changed_is_unknown(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    write_kept(file, [latch("halted", 1)])
    whole = file.read_bytes()
    for length in range(len(whole) - 1):
        file.write_bytes(whole[:length])
        assert isinstance(read_kept(file), Unknown), length
    for place in range(len(whole) - 1):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert isinstance(read_kept(file), Unknown), place


def test_no_file_is_nothing_kept_and_nothing_kept_is_no_file(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    assert read_kept(file) == Known(())

    write_kept(file, [latch("halted", 1)])
    write_kept(file, [])

    assert not file.exists()


@pytest.mark.parametrize(
    ("stored", "kept", "counts"),
    [
        (None, latch("active", 5), "active"),
        (latch("active", 4), latch("halted", 5), "halted"),
        (latch("halted", 4), latch("active", 5), "active"),
        (latch("halted", 6), latch("active", 5), "halted"),
        (latch("active", 6), latch("halted", 5), "halted"),
        (latch("reducing", 5), latch("reducing", 5), "reducing"),
    ],
)
def test_the_newer_one_counts_or_the_one_that_closes_more(stored: Latch | None, kept: Latch, counts: str) -> None:
    others = [latch("reducing", 9, "session:2")]

    found = standing([*([stored] if stored else []), *others], Known((kept,)))

    assert {each.scope: each.state for each in found} == {"host": counts, "session:2": "reducing"}


def test_a_file_that_cannot_be_read_counts_as_a_halt_of_the_host() -> None:
    found = standing([latch("active", 9)], Unknown("it is empty"))

    assert [(each.scope, each.state) for each in found] == [("host", "halted")]
    assert "it is empty" in found[0].reason
