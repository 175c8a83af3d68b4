"""The hot path: candle published by the feed -> order request at the broker's socket, against the bare baseline.

Ours and the baseline take turns on the same machine in the same seconds: each order of the desk that arrives sends a
candle through the baseline's processes. Both end at the same socket and begin at the wall clock of publishing.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import zmq

from tradeproc.bench.desk import FEED, TemporaryDesk
from tradeproc.bench.every_bar import price_of
from tradeproc.bench.figures import BenchFailed, Row, percentile
from tradeproc.bench.pairs import BODY
from tradeproc.bus.codec import decode_published
from tradeproc.protocol.feed_messages import CANDLE
from tradeproc.store.embedded import database_url

ORDERS = 300
UNCOUNTED = 20  # connections open, caches fill
LONGEST_SECONDS = 240.0
GOAL, DURABLE_GOAL = 1.5, 1.25
BASELINES = ("baseline", "durable")
_PAUSE = (
    0.06  # after an order of ours before the baseline's turn, and again before that of the baseline with a database
)
_BASELINE_PRICE = 5000.0


class ArrivalTimes:
    """The times of publishing and of arrival, by the price that identifies each candle and its order."""

    def __init__(self) -> None:
        self.published: dict[str, dict[float, int]] = {"order": {}, "baseline": {}, "durable": {}}
        self.arrived: dict[str, dict[float, int]] = {"order": {}, "baseline": {}, "durable": {}}

    def seconds(self, kind: str) -> list[float]:
        """Return how long each took, without the first few.

        Raises:
            BenchFailed: too few arrived to say anything.
        """
        published, arrived = self.published[kind], self.arrived[kind]
        found = [(arrived[price] - at) / 1e9 for price, at in published.items() if price in arrived]
        counted = found[UNCOUNTED:]
        if len(counted) < 10 or min(counted) <= 0:
            raise BenchFailed(
                f"{len(found)} of {len(published)} candles led to an order ({kind}); too few to measure"
            )
        return counted


def measure_hot_path(desk: TemporaryDesk, orders: int = ORDERS) -> tuple[list[Row], dict[str, float]]:
    """Return the rows of p50 and p99, ours against both baselines, and the ratios to each."""
    arrivals = ArrivalTimes()
    with _context() as context, ExitStack() as stack:
        databases = {"baseline": "", "durable": database_url(desk.desk.home)}
        baselines = {
            kind: stack.enter_context(
                _baseline(context, f"http://127.0.0.1:{desk.sink_port}/{kind}", databases[kind])
            )
            for kind in BASELINES
        }
        listener = FeedSubscriber(context, desk)
        desk.run_market()
        _take_turns(desk, arrivals, baselines, orders)
        listener.read(arrivals)
    return _rows(arrivals)


def _rows(arrivals: ArrivalTimes) -> tuple[list[Row], dict[str, float]]:
    seconds = {kind: arrivals.seconds(kind) for kind in ("order", *BASELINES)}
    rows: list[Row] = []
    values: dict[str, float] = {}
    for percent in (50, 99):
        here, there, durable = (percentile(found, percent) for found in seconds.values())
        ratio = here / there
        what = f"candle published → order on the wire, p{percent} of {len(seconds['order'])}"
        ours = f"{here * 1e3:.2f} ms"
        rows.append(Row(what, ours, f"{there * 1e3:.2f} ms", ratio, f"≤ {GOAL}", ratio <= GOAL))
        what, ratio_to_durable = "  where the reference makes a durable row first", here / durable
        is_met = ratio_to_durable <= DURABLE_GOAL
        reference = f"{durable * 1e3:.2f} ms"
        rows.append(Row(what, ours, reference, ratio_to_durable, f"≤ {DURABLE_GOAL}", is_met))
        values[f"hot_path_p{percent}_ratio"] = ratio
        values[f"hot_path_p{percent}_durable_ratio"] = ratio_to_durable
    return rows, values


def _take_turns(
    desk: TemporaryDesk, arrivals: ArrivalTimes, baselines: dict[str, "zmq.Socket[bytes]"], orders: int
) -> None:
    """Let each order of the desk be followed by one of each baseline."""
    assert desk.sink.stdout is not None
    give_up = threading.Timer(LONGEST_SECONDS, desk.sink.kill)
    give_up.start()
    try:
        for line in desk.sink.stdout:
            kind, at, price = line.split()
            arrivals.arrived[kind][float(price)] = int(at)
            if len(arrivals.arrived["durable"]) >= orders + UNCOUNTED:
                return
            following = {"order": "baseline", "baseline": "durable"}.get(kind)
            if following is None:
                continue
            time.sleep(_PAUSE)
            key = _BASELINE_PRICE + 0.25 * len(arrivals.published[following])
            arrivals.published[following][key] = time.time_ns()
            baselines[following].send_multipart([b"candle", orjson.dumps(BODY | {"close": key})])
    finally:
        give_up.cancel()
    raise BenchFailed(f"no {orders} orders within {LONGEST_SECONDS:.0f} s")


class FeedSubscriber:
    """Notes when the feed published each closed candle; it reads after the run, so as not to slow the desk."""

    def __init__(self, context: "zmq.Context[Any]", desk: TemporaryDesk) -> None:
        self._socket: zmq.Socket[bytes] = context.socket(zmq.SUB)
        self._socket.set_hwm(0)
        self._socket.connect(desk.desk.directory.pub(FEED))
        self._socket.setsockopt(zmq.SUBSCRIBE, CANDLE.name.encode())

    def read(self, arrivals: "ArrivalTimes") -> None:
        """Read all that has arrived."""
        while self._socket.poll(0):
            envelope = decode_published(FEED, self._socket.recv_multipart())
            told = CANDLE.codec.read(envelope.body)
            if told.closed and not told.history:
                arrivals.published["order"].setdefault(price_of(told.opened_at), envelope.sent_at)


@contextmanager
def _context() -> Iterator["zmq.Context[Any]"]:
    context: zmq.Context[Any] = zmq.Context()
    try:
        yield context
    finally:
        context.destroy(linger=0)


@contextmanager
def _baseline(context: "zmq.Context[Any]", url: str, database: str) -> Iterator["zmq.Socket[bytes]"]:
    """Start the three processes of a baseline and return the socket on which to publish candles."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        publisher = context.socket(zmq.XPUB)
        publisher.bind(f"ipc://{Path(folder) / 'feed'}")
        given = [folder, url, database] if database else [folder, url]
        stages = [
            subprocess.Popen([sys.executable, "-m", "tradeproc.bench.baseline", stage, *given])
            for stage in ("link", "account", "trader")
        ]
        try:
            if not publisher.poll(10_000):
                raise BenchFailed("the baseline's processes did not come up")
            publisher.recv()
            yield publisher
        finally:
            for stage in stages:
                stage.kill()
                stage.wait()
