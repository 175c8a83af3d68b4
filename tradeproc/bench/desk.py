"""A whole desk in a temporary home, with one session that sends an order with each bar of a generated tape.

Its login reaches the local broker through the sink, which notes when orders arrive.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import tradeproc
from tradeproc.bench.figures import BenchFailed
from tradeproc.cli.commands import desks
from tradeproc.desk.installation import Desk
from tradeproc.errors import TradeprocError
from tradeproc.home import Home
from tradeproc.localbroker.client import LocalBroker
from tradeproc.localbroker.control_key import key_file_of
from tradeproc.protocol import names
from tradeproc.protocol.names import KEEPER

INSTALLATION = Path(tradeproc.__file__).parents[1]
LOGIN, ACCOUNT, CONTRACT = "paper", "SIM0000001F", "ESH24"
FEED = names.bars_feed(LOGIN, CONTRACT, 1)
SPEED = 240.0
MINUTE = 60_000_000_000
FIRST = 1_704_754_800_000_000_000  # 2024-01-08 17:00 in Chicago, an open
HISTORY_MINUTES, TAPE_MINUTES = 60, 900
_SECONDS = 90.0


class TemporaryDesk:
    """The desk, its local broker's remote control, the sink before it, and the session once it trades."""

    def __init__(self, desk: Desk, broker: LocalBroker, sink: "subprocess.Popen[str]", sink_port: int) -> None:
        self.desk, self.broker, self.sink, self.sink_port = desk, broker, sink, sink_port
        self.session = 0

    def start_session(self, strategy: str = "tradeproc.bench.every_bar:EveryBar") -> None:
        """Create and start the session, and wait until its trader is ready; the market stands still meanwhile."""
        desks.wait_until("the local broker answers", self._hold_market, _SECONDS)
        desks.wait_until("the keeper answers", lambda: desks.keeper_answers(self.desk), _SECONDS)
        spec = {
            "name": "bench",
            "login": LOGIN,
            "account": ACCOUNT,
            "contract": CONTRACT,
            "minutes": 1,
            "strategy": strategy,
            "quantity": 1,
            "environment": "paper",
            "limits": {"max_order": 5, "max_position": 5},
        }
        # the key makes it safe to ask again: a keeper that has just begun may not know the accounts yet
        created = {"spec": spec, "key": "bench"}
        desks.wait_until("the session exists", lambda: self._note_session(created), _SECONDS)
        self.desk.ask(KEEPER, "start", {"session": self.session}, seconds=30.0)
        desks.wait_until("the trader is ready", self._is_ready, _SECONDS)

    def _note_session(self, created: Mapping[str, object]) -> bool:
        try:
            self.session = int(self.desk.ask(KEEPER, "create", created, seconds=10.0)["session"])
        except TradeprocError:
            return False
        return True

    def run_market(self) -> None:
        """Let the tape play."""
        self.broker.resume()

    def _hold_market(self) -> bool:
        try:
            self.broker.pause()
        except TradeprocError:
            return False
        return True

    def _is_ready(self) -> bool:
        try:
            return bool(self.desk.ask(names.trader(self.session), "status", seconds=1.0)["state"] == "ready")
        except TradeprocError:
            return False


@contextmanager
def temporary_desk(speed: float = SPEED) -> Iterator[TemporaryDesk]:
    """Start supervisord in a temporary home with the embedded database, and leave nothing of it.

    `speed` is market seconds per second.

    Raises:
        BenchFailed: it does not come up; the text ends with where its logs are, which are kept then.
    """
    os.environ.pop("TRADEPROC_DATABASE_URL", None)  # never somebody's own database
    folder = Path(tempfile.mkdtemp(prefix="tradeproc-bench-"))
    home = Home(folder)
    port, sink_port = _free_ports()
    _furnish(home, port, sink_port, speed)
    sink = subprocess.Popen(
        [sys.executable, "-m", "tradeproc.bench.sink", str(sink_port), str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with Desk(home) as desk, LocalBroker(f"http://127.0.0.1:{port}", key_file_of(home)) as broker:
            try:
                desks.start_supervisord(desk)
                yield TemporaryDesk(desk, broker, sink, sink_port)
            finally:
                desks.stop_supervisord(desk)
    except TradeprocError as error:
        raise BenchFailed(f"{error}; its logs are in {home.log}") from error
    else:
        shutil.rmtree(folder, ignore_errors=True)
        home.forget_short_sockets()
    finally:
        sink.kill()
        sink.wait()


def _furnish(home: Home, port: int, sink_port: int, speed: float) -> None:
    """Make a home out of the shipped configuration, with ports and a tape of its own."""
    home.root.mkdir(parents=True, exist_ok=True)
    shutil.copy(INSTALLATION / "supervisord.conf", home.root)
    shutil.copytree(INSTALLATION / "conf", home.conf)
    (home.root / ".venv").symlink_to(sys.prefix)
    _write_tape(home.root / f"{CONTRACT}_bench.csv")
    file = home.conf / "tradeproc.toml"
    values = {
        "port": str(port),
        "speed": str(speed),
        "history_minutes": str(float(HISTORY_MINUTES)),
        "tape": f'"{CONTRACT}_bench.csv"',
        "base_url": f'"http://127.0.0.1:{sink_port}/v3"',
        "auth_url": f'"http://127.0.0.1:{port}"',
    }
    lines = []
    for line in file.read_text().splitlines():
        key = line.split("=")[0].strip()
        lines.append(f"{key} = {values[key]}" if key in values else line)
    file.write_text("\n".join(lines) + "\n")
    home.make_folders()


def _write_tape(path: Path) -> None:
    """Write four trades a minute from an open of the exchange on."""
    rows = ["ts_event_ns,price,size,side"]
    for minute in range(TAPE_MINUTES):
        for quarter in range(4):
            at = FIRST + minute * MINUTE + quarter * MINUTE // 4 + 5_000_000_000
            rows.append(f"{at},{4800 + 0.25 * ((minute + quarter) % 9)},{1 + quarter},B")
    path.write_text("\n".join(rows) + "\n")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return int(first.getsockname()[1]), int(second.getsockname()[1])
