"""Simulated lives from the command line: scripts/simulate --count 1000 --seed 1 --shrink."""

import argparse
import gzip
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.units import SECOND
from tradeproc.errors import TradeprocError
from tradeproc.market.tape_files.file_reading import NOTHING_SAID, read
from tradeproc.simulation.campaign import Campaign, spare_the_collector

_TOLD_EVERY = 30.0
_BETWEEN_STEPS = 4 * SECOND
_CHUNK = 1 << 16
_MOST_SHOWN = 3


def steps_of(tape: Path) -> tuple[int, ...]:
    """Return how the price of a tape changes from four seconds to the next, in ticks.

    Raises:
        UnreadableTape: the file cannot be read as a tape.
        OSError: it cannot be read at all.
    """
    trades = read(_chunks(tape), tape.name, NOTHING_SAID).trades
    code = trades.contracts[0]
    of_first = trades.which == 0
    ticks = np.rint(trades.prices[of_first] / float(instrument_of(code).tick_size)).astype(np.int64)
    newest = np.flatnonzero(np.diff(trades.times[of_first] // _BETWEEN_STEPS))
    return tuple(np.diff(ticks[newest]).tolist())


def _chunks(tape: Path) -> Iterator[bytes]:
    with gzip.open(tape) if tape.suffix == ".gz" else tape.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def main(arguments: Sequence[str]) -> int:
    """Live many lives, tell the rate and what broke; return 1 when something did.

    Raises:
        OSError: the tape cannot be read.
        TradeprocError: the tape makes no sense.
    """
    given = _arguments(arguments)
    minutes = given.days * 24 * 60 if given.days else given.minutes
    steps = steps_of(given.tape) if given.tape else ()
    campaign = Campaign(given.seed, given.count, given.sessions, minutes, steps, given.jobs)
    began = told_at = time.monotonic()
    counts: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    for outcome in campaign.outcomes():
        counts += Counter(
            lives=1,
            events=outcome.events,
            orders=outcome.orders,
            fills=outcome.fills,
            troubles=outcome.blows,
            seconds=outcome.at // SECOND,
        )
        if outcome.invariant:
            broken[outcome.invariant] += 1
            print(f"seed {outcome.seed}: {outcome.invariant}: {outcome.detail}", flush=True)
            if given.shrink and sum(broken.values()) <= _MOST_SHOWN:
                print(campaign.story(outcome.seed, is_shrunk=True), flush=True)
        if time.monotonic() - told_at > _TOLD_EVERY:
            told_at = time.monotonic()
            print(_rate(counts, told_at - began), file=sys.stderr, flush=True)
    if given.show:
        print(campaign.story(given.seed, is_shrunk=given.shrink))
    print(_rate(counts, time.monotonic() - began))
    print(f"broken: {', '.join(f'{name} {n}' for name, n in sorted(broken.items())) or 'none'}")
    return 1 if broken else 0


def _rate(counts: Counter[str], seconds: float) -> str:
    said = ", ".join(f"{counts[name]} {name}" for name in ("lives", "troubles", "events", "orders", "fills"))
    return f"{said}; {counts['seconds'] / 3600:.0f} h of trading, {60 * counts['lives'] / seconds:.0f} lives a minute"


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description="Trading lives in virtual time.")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--count", type=int, default=1, help="how many lives, one a seed (1)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--days", type=float, help="days of trouble in each life")
    length.add_argument("--minutes", type=float, help="minutes of trouble in each life (2.5 to 24, drawn)")
    parser.add_argument("--sessions", type=int, default=1, help="sessions at one broker in each life (1)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--tape", type=Path, help="prices of this tape instead of a random walk")
    parser.add_argument("--shrink", action="store_true", help="show what broke with as few troubles as it needs")
    parser.add_argument("--show", action="store_true", help="show the first life as a table, whatever became of it")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        spare_the_collector()
        sys.exit(main(sys.argv[1:]))
    except (OSError, TradeprocError) as problem:
        sys.exit(f"simulate: {problem}")
