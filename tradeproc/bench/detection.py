"""How long a process can hang, and a stream be silent, before it is noticed and ended."""

import os
import select
import signal
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tradeproc.bench.desk import ACCOUNT, FEED, LOGIN, TemporaryDesk
from tradeproc.bench.figures import BenchFailed, Measured, Row
from tradeproc.bench.in_and_out import HANG, HANGS
from tradeproc.bench.wellness import Wellness
from tradeproc.bus.client import Client
from tradeproc.desk.patience import wait_until
from tradeproc.protocol import names
from tradeproc.protocol.feed_messages import STREAM
from tradeproc.protocol.names import ProcessName

GOAL_SECONDS = 15.0
STREAMS = {
    "bars_stream": FEED,
    "orders_stream": names.account_feed(LOGIN, "orders", ACCOUNT),
    "positions_stream": names.account_feed(LOGIN, "positions", ACCOUNT),
}
_LONGEST_SECONDS = 60.0


def measure_detection(desk: TemporaryDesk, wellness: Wellness) -> Measured:
    """Let all streams fall silent, stop two processes with SIGSTOP, then let a strategy compute for ever."""
    pids = {program.process: program.pid for program in desk.desk.supervisor.processes()}
    trader, link = names.trader(desk.session), names.link(LOGIN)
    with Client(desk.desk.directory) as client, ThreadPoolExecutor(len(STREAMS) + 2) as lanes:
        silenced = {feed: lanes.submit(_until_down, desk, client, stream) for stream, feed in STREAMS.items()}
        stopped = {process: lanes.submit(until_dead, pids[process], signal.SIGSTOP) for process in (trader, link)}
        mute = {ProcessName(feed).kind: waiting.result() for feed, waiting in silenced.items()}
        hung = {f"{ProcessName(process).kind} stopped": waiting.result() for process, waiting in stopped.items()}
    desk.broker.clear_faults()
    wellness.wait({process: pids[process] for process in (trader, link)})
    hung["trader whose strategy computes for ever"] = _until_spinning_is_over(desk, trader)
    wellness.wait({})
    rows = [*_rows("hangs → killed", hung), *_rows("mute → down", mute)]
    values = {"hung_detect_s": max(hung.values()), "mute_stream_detect_s": max(mute.values())}
    return Measured("detection of what hangs and of streams that fall silent", rows, values)


def _until_down(desk: TemporaryDesk, client: Client, stream: str) -> float:
    """Silence a stream and return the seconds until its feed says that it is down."""
    began: float | None = None
    for envelope in client.tail(STREAMS[stream], "", idle=_LONGEST_SECONDS):
        if began is None:  # a first message shows that the subscription works
            began = time.monotonic()
            desk.broker.fault("stall", target=stream, count=1)
        elif envelope.topic == STREAM.name and STREAM.codec.read(envelope.body).state == "down":
            return time.monotonic() - began
        elif time.monotonic() - began > _LONGEST_SECONDS:
            break
    raise BenchFailed(f"{STREAMS[stream]} did not notice within {_LONGEST_SECONDS:.0f} s that its stream is silent")


def until_dead(pid: int, number: signal.Signals | None = None) -> float:
    """Send a signal to a process, if any, and return the seconds until somebody has killed it."""
    process = os.pidfd_open(pid)
    try:
        began = time.monotonic()
        if number is not None:
            os.kill(pid, number)
        if not select.select([process], [], [], _LONGEST_SECONDS)[0]:
            raise BenchFailed(f"process {pid} hangs for {_LONGEST_SECONDS:.0f} s and nobody has killed it")
        return time.monotonic() - began
    finally:
        os.close(process)


def _until_spinning_is_over(desk: TemporaryDesk, trader: str) -> float:
    """Let the strategy hang with its next candle and return the seconds until its trader was killed."""
    pid = next(each.pid for each in desk.desk.supervisor.processes() if each.process == trader)
    home = desk.desk.home.root
    (home / HANG).touch()
    wait_until("the strategy hangs", (home / HANGS).exists, _LONGEST_SECONDS)
    return until_dead(pid)


def _rows(what: str, found: Mapping[str, float]) -> list[Row]:
    goal = f"≤ {GOAL_SECONDS:g} s"
    return [
        Row(f"{what}: {name}", f"{took:.2f} s", goal=goal, is_met=took <= GOAL_SECONDS)
        for name, took in found.items()
    ]
