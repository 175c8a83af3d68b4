"""The benchmark's own parts: the pairs of processes really talk, and its percentiles are those of the textbook."""

import pytest

from tradeproc.bench.bus import measure_bus, rate_of
from tradeproc.bench.figures import BenchFailed, percentile


@pytest.mark.parametrize("kind", ["node", "bare"])
def test_a_pair_of_processes_hears_every_message(kind: str) -> None:
    assert rate_of(kind, 3_000) > 0


def test_a_process_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(BenchFailed, match="KeyError: 'no-"):
        rate_of("no", 3_000)


def test_the_rate_is_told_as_a_share_of_the_baseline() -> None:
    measured = measure_bus(3_000, 1)

    (row,) = measured.rows
    assert measured.values == {"bus_rate_ratio": row.ratio}


def test_percentiles() -> None:
    values = [float(number) for number in range(101)]

    assert (percentile(values, 50), percentile(values, 99)) == (50.0, 99.0)
