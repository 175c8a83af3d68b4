"""Recovery: `kill -9` of each kind of process of a desk that trades → reconciled and trading again.

The reference is bare supervisord in the same minutes: kill, and wait for a new process with the same imports. After
that, processes are made to hang and streams to fall silent (`detection.py`).
"""

import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from tradeproc.bench.bare import BareDesk, bare_desk
from tradeproc.bench.desk import TemporaryDesk, temporary_desk
from tradeproc.bench.detection import measure_detection
from tradeproc.bench.figures import BenchFailed, Measured, Row, percentile
from tradeproc.bench.wellness import Wellness
from tradeproc.bus.client import Client
from tradeproc.protocol import names
from tradeproc.protocol.names import ProcessName

ROUNDS = 3
GOAL_SECONDS, GOAL_RATIO = 3.0, 1.5
SPEED = 60.0
STRATEGY = "tradeproc.bench.in_and_out:InAndOut"
_ORDER_SECONDS = 20.0
# a round kills two processes of the session; a round of this length stays below five deaths a minute, at which the
# warden gives up
_ROUND_SECONDS = 30.0


class SinkArrivals:
    """Orders that reach the broker, as the sink notes them."""

    def __init__(self, desk: TemporaryDesk) -> None:
        assert desk.sink.stdout is not None
        self._lines, self._news = desk.sink.stdout, threading.Condition()
        self._last = 0.0
        threading.Thread(target=self._listen, name="arrivals", daemon=True).start()

    def _listen(self) -> None:
        for _line in self._lines:
            with self._news:
                self._last = time.monotonic()
                self._news.notify_all()

    def wait(self, since: float) -> float:
        """Return when an order arrived after `since`.

        Raises:
            BenchFailed: none did, although the desk looked well.
        """
        with self._news:
            if not self._news.wait_for(lambda: self._last > since, _ORDER_SECONDS):
                raise BenchFailed(f"all looked well, but no order reached the broker within {_ORDER_SECONDS:.0f} s")
            return self._last


@dataclass
class Recoveries:
    """Seconds by kind: ours, bare supervisord's, and what was waited for last."""

    ours: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    bare: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    last: dict[str, str] = field(default_factory=dict)


def measure_recovery(rounds: int = ROUNDS) -> list[Measured]:
    """Run a desk that trades, and beside it a bare one; kill all of it, several times."""
    with temporary_desk(speed=SPEED) as desk:
        desk.start_session(STRATEGY)
        with _at_work(desk) as (wellness, arrivals), bare_desk(_kinds(desk)) as bare:
            found = _kill_all(desk, bare, wellness, arrivals, rounds)
            return [summed_up(found), measure_detection(desk, wellness)]


@contextmanager
def _at_work(desk: TemporaryDesk) -> Iterator[tuple[Wellness, SinkArrivals]]:
    """Let the market run and wait until the session trades."""
    with Client(desk.desk.directory) as client:
        wellness = Wellness(client, list(_pids(desk)), names.trader(desk.session))
        arrivals = SinkArrivals(desk)
        desk.run_market()
        arrivals.wait(wellness.wait({}))
        yield wellness, arrivals


def _pids(desk: TemporaryDesk) -> dict[str, int]:
    return {program.process: program.pid for program in desk.desk.supervisor.processes() if program.pid}


def _kinds(desk: TemporaryDesk) -> list[str]:
    return [ProcessName(process).kind for process in _pids(desk)]


def _kill_all(
    desk: TemporaryDesk, bare: BareDesk, wellness: Wellness, arrivals: SinkArrivals, rounds: int
) -> Recoveries:
    found = Recoveries()
    for _ in range(rounds):
        began = time.monotonic()
        for process in _pids(desk):
            kind = ProcessName(process).kind
            killed_at = _kill(process, _pids(desk))
            well_at = wellness.wait(killed_at.pids)
            found.ours[kind].append(well_at - killed_at.at)
            found.last[kind] = wellness.last_trouble
            arrivals.wait(well_at)
            found.bare[kind].append(bare.recovery(kind))
        time.sleep(max(0.0, began + _ROUND_SECONDS - time.monotonic()))
    return found


@dataclass(frozen=True)
class _Killed:
    pids: Mapping[str, int]
    at: float


def _kill(process: str, pids: Mapping[str, int]) -> _Killed:
    at = time.monotonic()
    os.kill(pids[process], signal.SIGKILL)
    return _Killed({process: pids[process]}, at)


def summed_up(found: Recoveries) -> Measured:
    """Return a row a kind and the values over all: p50, p95, and the median over kinds of ratios of medians."""
    ratios = {kind: median(times) / median(found.bare[kind]) for kind, times in found.ours.items()}
    rows = [_row(kind, found, ratio) for kind, ratio in ratios.items()]
    every, every_bare = _all(found.ours), _all(found.bare)
    p50, p95 = percentile(every, 50), percentile(every, 95)
    rows += [
        Row(f"all {len(every)} kills, p50", _seconds(p50), _seconds(percentile(every_bare, 50))),
        Row(
            "all, p95",
            _seconds(p95),
            _seconds(percentile(every_bare, 95)),
            goal=f"≤ {GOAL_SECONDS:g} s",
            is_met=p95 <= GOAL_SECONDS,
        ),
    ]
    over_kinds = list(ratios.values())
    ratio = percentile(over_kinds, 50)
    rows += [
        Row("ratio of medians, p50 over kinds", "", "", ratio, f"≤ {GOAL_RATIO}", ratio <= GOAL_RATIO),
        Row("ratio of medians, p95 over kinds", "", "", percentile(over_kinds, 95)),
    ]
    values = {"recovery_p50_s": p50, "recovery_p95_s": p95, "recovery_vs_supervisord": ratio}
    return Measured("recovery: kill -9 → reconciled and trading, against bare supervisord's restart", rows, values)


def _row(kind: str, found: Recoveries, ratio: float) -> Row:
    ours, bare = found.ours[kind], found.bare[kind]
    what = f"{kind} (last: {found.last[kind]})"
    return Row(what, f"{_seconds(median(ours))}, max {_seconds(max(ours))}", _seconds(median(bare)), ratio)


def _all(times: Mapping[str, Sequence[float]]) -> list[float]:
    return [each for found in times.values() for each in found]


def _seconds(value: float) -> str:
    return f"{value:.2f} s"
