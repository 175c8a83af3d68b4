"""The hot path: candle published by the feed -> order request at the broker's socket, against the bare floor.

Ours and the floor take turns on the same machine in the same seconds: each order of the desk that arrives sends a
candle through the floor's processes. Both end at the same socket and begin at the wall clock of publishing.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import zmq

from tradeproc.bus.client import Client
from tradeproc.cli.bench.desk import FEED, TemporaryDesk
from tradeproc.cli.bench.every_bar import price_of
from tradeproc.cli.bench.figures import BenchFailed, Row, percentile
from tradeproc.cli.bench.pairs import BODY

ORDERS = 300
UNCOUNTED = 20  # connections open, caches fill
LONGEST_SECONDS = 240.0
GOAL = 1.5
_PAUSE = 0.06  # after an order of ours, before the floor's turn
_FLOOR_PRICE = 5000.0


class Arrivals:
    """When what was published, and when what arrived, by the price that tells them apart."""

    def __init__(self) -> None:
        self.published: dict[str, dict[float, int]] = {"order": {}, "floor": {}}
        self.arrived: dict[str, dict[float, int]] = {"order": {}, "floor": {}}

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
    """Return the rows and values of p50 and p99, ours against the floor."""
    arrivals = Arrivals()
    url = f"http://127.0.0.1:{desk.sink_port}/floor"
    with _listening(desk, arrivals), _floor(url) as publisher:
        desk.run_market()
        _take_turns(desk, arrivals, publisher, orders)
    ours, floor = arrivals.seconds("order"), arrivals.seconds("floor")
    rows: list[Row] = []
    values: dict[str, float] = {}
    for percent in (50, 99):
        here, there = percentile(ours, percent), percentile(floor, percent)
        ratio = here / there
        what = f"candle published → order on the wire, p{percent} of {len(ours)}"
        rows.append(Row(what, f"{here * 1e3:.2f} ms", f"{there * 1e3:.2f} ms", ratio, f"≤ {GOAL}", ratio <= GOAL))
        values[f"hot_path_p{percent}_ratio"] = ratio
    return rows, values


def _take_turns(desk: TemporaryDesk, arrivals: Arrivals, publisher: "zmq.Socket[bytes]", orders: int) -> None:
    assert desk.sink.stdout is not None
    give_up = threading.Timer(LONGEST_SECONDS, desk.sink.kill)
    give_up.start()
    try:
        for line in desk.sink.stdout:
            kind, at, price = line.split()
            arrivals.arrived[kind][float(price)] = int(at)
            if kind == "floor":
                continue
            if len(arrivals.arrived["order"]) >= orders + UNCOUNTED:
                return
            time.sleep(_PAUSE)
            key = _FLOOR_PRICE + 0.25 * len(arrivals.published["floor"])
            arrivals.published["floor"][key] = time.time_ns()
            publisher.send_multipart([b"candle", orjson.dumps(BODY | {"close": key})])
    finally:
        give_up.cancel()
    raise BenchFailed(f"no {orders} orders within {LONGEST_SECONDS:.0f} s")


@contextmanager
def _listening(desk: TemporaryDesk, arrivals: Arrivals) -> Iterator[None]:
    """Note in a thread when the feed published which closed candle."""
    is_over = threading.Event()

    def listen() -> None:
        with Client(desk.desk.directory) as client:
            while not is_over.is_set():
                for envelope in client.tail(FEED, "candle", idle=1.0):
                    if envelope.body["closed"] and not envelope.body["history"]:
                        arrivals.published["order"].setdefault(price_of(envelope.body["opened_at"]), envelope.sent_at)
                    if is_over.is_set():
                        return

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@contextmanager
def _floor(url: str) -> Iterator["zmq.Socket[bytes]"]:
    """Start the floor's three processes and return the socket on which to publish candles."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        context: zmq.Context[Any] = zmq.Context()
        publisher = context.socket(zmq.XPUB)
        publisher.bind(f"ipc://{Path(folder) / 'feed'}")
        stages = [
            subprocess.Popen([sys.executable, "-m", "tradeproc.cli.bench.floor", stage, folder, url])
            for stage in ("link", "account", "trader")
        ]
        try:
            if not publisher.poll(10_000):
                raise BenchFailed("the floor's processes did not come up")
            publisher.recv()
            yield publisher
        finally:
            for stage in stages:
                stage.kill()
                stage.wait()
            context.destroy(linger=0)
