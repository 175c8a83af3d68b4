"""A whole desk in a temporary home, with one session that sends an order with each bar of a generated tape.

Its login reaches the local broker through the sink, which notes when orders arrive.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tradeproc.bench.figures import BenchFailed
from tradeproc.desk.installation import Desk
from tradeproc.desk.patience import keeper_answers
from tradeproc.errors import TradeprocError
from tradeproc.home import Home
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import KEEPER
from tradeproc.protocol.process_messages import STATUS
from tradeproc.protocol.session_messages import CREATE, START, CreateSession, OfSession
from tradeproc.testing.candles import Trade, write_tape
from tradeproc.testing.desk import ACCOUNT as ACCOUNT
from tradeproc.testing.desk import TapeDesk
from tradeproc.testing.running import configure, free_port, temporary_home
from tradeproc.testing.waiting import Late, wait_until

LOGIN, CONTRACT = "paper", "ESH24"
FEED = names.bars_feed(LOGIN, CONTRACT, 1)
SPEED = 240.0
MINUTE = 60_000_000_000
FIRST = 1_704_754_800_000_000_000  # 2024-01-08 17:00 in Chicago, an open
HISTORY_MINUTES, TAPE_MINUTES = 60, 900
_TAPE = f"{CONTRACT}_bench.csv"
_SECONDS = 90.0


class TemporaryDesk(TapeDesk):
    """A desk with one session and a sink before its local broker; `desk` asks its processes as tradectl does."""

    def __init__(self, home: Home, speed: float, *, notifies: bool = False) -> None:
        super().__init__(home.root, speed=speed, history_minutes=HISTORY_MINUTES, tape=_TAPE)
        write_tape(home.root / _TAPE, _trades())
        self.desk = Desk(home)
        self.sink_port = free_port()
        configure(home, base_url=f"http://127.0.0.1:{self.sink_port}/v3")
        if notifies:
            self._tell_nobody()
        self.sink = subprocess.Popen(
            [sys.executable, "-m", "tradeproc.bench.sink", str(self.sink_port), str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.session = 0

    def _tell_nobody(self) -> None:
        """Give the notifier, which otherwise does not run, a target: a port on which nobody listens."""
        secret = self.home.root / "alarms.url"
        secret.write_text(f"json://127.0.0.1:{free_port()}/")
        secret.chmod(0o600)
        file = self.home.conf / "tradeproc.toml"
        file.write_text(f'{file.read_text()}\n[[notifier.targets]]\nurl = {{ file = "{secret}" }}\n')

    def down(self) -> None:
        """Stop everything, the sink as well."""
        try:
            super().down()
        finally:
            self.desk.__exit__(None, None, None)
            self.sink.kill()
            self.sink.wait()

    def start_session(self, strategy: str = "tradeproc.bench.every_bar:EveryBar") -> None:
        """Create and start the session, and wait until its trader is ready; the market stands still meanwhile."""
        wait_until("the local broker answers", self._hold_market, _SECONDS)
        wait_until("the keeper answers", lambda: keeper_answers(self.desk), _SECONDS)
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
        # the first tries may fail, because a keeper just started may not know the accounts; the key makes a repeat
        # safe
        wanted = CreateSession(spec, "bench")
        wait_until("the session exists", lambda: self._note_session(wanted), _SECONDS)
        self.desk.ask(KEEPER, START, OfSession(self.session), seconds=30.0)
        wait_until("the trader is ready", self._is_ready, _SECONDS)

    def _note_session(self, wanted: CreateSession) -> bool:
        self.session = self.desk.ask(KEEPER, CREATE, wanted, seconds=10.0).session
        return True

    def run_market(self) -> None:
        """Let the tape play."""
        self.broker.resume()

    def _hold_market(self) -> bool:
        self.broker.pause()
        return True

    def _is_ready(self) -> bool:
        return self.desk.ask(names.trader(self.session), STATUS, NoBody(), seconds=1.0).state == "ready"


@contextmanager
def temporary_desk(speed: float = SPEED, *, notifies: bool = False) -> Iterator[TemporaryDesk]:
    """Start supervisord in a temporary home with the embedded database, and leave nothing of it.

    `speed` is market seconds per second; the notifier runs too if it `notifies`.

    Raises:
        BenchFailed: it does not come up, or failed later; the text ends with what its processes said last.
    """
    with temporary_home() as home:
        made = TemporaryDesk(home, speed, notifies=notifies)
        try:
            with made as desk:
                yield desk
        except (TradeprocError, Late) as error:
            raise BenchFailed(f"{error}\n{made.last_words()}") from error


def _trades() -> Iterator[Trade]:
    """Make four trades a minute from an open of the exchange on."""
    for minute in range(TAPE_MINUTES):
        for quarter in range(4):
            at = FIRST + minute * MINUTE + quarter * MINUTE // 4 + 5_000_000_000
            yield at, 4800 + 0.25 * ((minute + quarter) % 9), 1 + quarter
