"""What the hot-path measurement stands on: the sink, the strategy's prices, and what the kernel says of a process."""

import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tradeproc.bench.engine import Engine, measure_engine
from tradeproc.bench.every_bar import KEYS, MINUTE, EveryBar, price_of
from tradeproc.bench.processes import began_at, private_mb
from tradeproc.bench.sink import Notes
from tradeproc.domain.orders import OrderType, TimeInForce
from tradeproc.engine import events
from tradeproc.protocol.names import ProcessName
from tradeproc.strategies.contract import SubmitOrder
from tradeproc.testing.candles import candles
from tradeproc.testing.desk import wait_for
from tradeproc.testing.running import free_port
from tradeproc.testing.strategies import view

HEAD = b"POST /v3/orderexecution/orders HTTP/1.1\r\nContent-Length: 24\r\n\r\n"
BODY = b'{"LimitPrice": "1000.25"}'


def test_each_candle_leads_to_an_order_of_its_own_price() -> None:
    decision, _ = EveryBar().on_candle(view(candles([4800.0], first=7)), None, EveryBar.Arguments())

    assert isinstance(decision, SubmitOrder)
    assert (decision.limit, decision.type) == (price_of(7 * MINUTE), OrderType.LIMIT)
    assert decision.time_in_force is TimeInForce.IOC
    assert len({price_of(minute * MINUTE) for minute in range(KEYS)}) == KEYS


@pytest.mark.parametrize("cut", [len(HEAD), len(HEAD) + 20, len(HEAD + BODY)])
def test_an_order_is_noted_once_with_the_time_of_its_first_bytes(
    cut: int, capsys: pytest.CaptureFixture[str]
) -> None:
    notes, whole = Notes(), HEAD + BODY

    told = [notes.take(part, at) for at, part in enumerate((whole[:cut], whole[cut:]), 5) if part]

    assert told[-1] == "order"
    assert capsys.readouterr().out == "order 5 1000.25\n"


def test_other_requests_are_not_noted(capsys: pytest.CaptureFixture[str]) -> None:
    notes = Notes()

    assert notes.take(b"GET /v3/brokerage/accounts HTTP/1.1\r\n\r\n", 1) == ""
    assert notes.take(b'{"LimitPrice": "5"}', 2) == ""
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", ["baseline", "durable"])
def test_the_sink_passes_everything_on_but_answers_the_baselines_itself(kind: str) -> None:
    with _broker() as (broker, seen), _sink(broker) as (sink, lines), socket.create_connection(sink, 20) as client:
        client.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        passed = client.recv(1000)
        client.sendall(f"POST /{kind} HTTP/1.1\r\n\r\n".encode() + BODY)
        answered = client.recv(1000)
        noted = lines.readline().split()

    assert passed == b"answer"
    assert answered.startswith(b"HTTP/1.1 200 OK")
    assert seen == [b"GET /x HTTP/1.1\r\n\r\n"]
    assert (noted[0], noted[2]) == (kind, "1000.25")


@contextmanager
def _broker() -> Iterator[tuple[int, list[bytes]]]:
    """A server that notes what comes and answers it."""
    seen: list[bytes] = []

    class Talk(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(1000):
                seen.append(data)
                self.request.sendall(b"answer")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1], seen
        server.shutdown()
        thread.join()


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


@contextmanager
def _sink(broker: int) -> Iterator[tuple[tuple[str, int], IO[str]]]:
    """The sink as the benchmark runs it."""
    port = free_port()
    command = [sys.executable, "-m", "tradeproc.bench.sink", str(port), str(broker)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_for("the sink", lambda: _listens(port))
            assert process.stdout is not None
            yield ("127.0.0.1", port), process.stdout
        finally:
            process.kill()


def test_private_memory_grows_with_what_a_process_takes_for_itself() -> None:
    # a fresh process: one that has run tests has freed memory left, and takes that first
    taking = (
        "import os, sys\n"
        "print('began', flush=True)\n"
        "sys.stdin.readline()\n"
        "taken = bytearray(os.urandom(1024)) * (20 * 1024)\n"
        "print(len(taken), flush=True)\n"
        "sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", taking]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        before = private_mb(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        taken = int(process.stdout.readline())
        after = private_mb(process.pid)
        process.stdin.write("\n")

    assert taken == 20 * 1024 * 1024
    assert after - before == pytest.approx(taken / 1e6, abs=2)


def test_a_process_began_before_now_and_after_its_machine() -> None:
    uptime = float(Path("/proc/uptime").read_text().split()[0])

    assert time.time() - uptime - 1 < began_at(os.getpid()) < time.time()


@pytest.mark.parametrize(
    ("process", "kind"),
    [("session-1.trader", "trader"), ("link-paper.bars-ESH24-1m", "bars"), ("core.keeper", "keeper")],
)
def test_the_kind_is_in_the_name(process: str, kind: str) -> None:
    assert ProcessName(process).kind == kind


def test_the_engine_that_is_measured_is_ready_and_runs_its_strategy_on_each_bar() -> None:
    engine = Engine()

    engine.tell(events.CandleReceived(engine.next_candle(), is_history=False))
    engine.pass_time()

    assert engine.state.broker.is_reconciled
    assert engine.state.strategy.decided == 1
    assert not engine.state.engine.alarms


def test_both_steps_of_the_engine_are_told_with_their_goals() -> None:
    measured = measure_engine(steps=20, rounds=2)

    assert measured.values.keys() == {"engine_bar_us", "engine_time_us"}
    assert [row.goal for row in measured.rows] == ["≤ 8 us", "≤ 9 us"]
