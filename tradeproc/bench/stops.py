"""How long a broker can lie about a stop: one that does nothing, and protection that it takes away.

A market that only falls is played, so that each stop is reached. What is measured is the time from the moment at
which the broker failed (its own note of it) to the alarm's; both are wall time of this machine.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

from tradeproc.bench.desk import LOGIN
from tradeproc.bench.figures import BenchFailed, Measured, Row
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.domain.orders import OrderRole
from tradeproc.errors import TradeprocError
from tradeproc.protocol import names
from tradeproc.protocol.switch_messages import LOGIN_SWITCHES, SwitchThrown, ThrowLoginSwitch
from tradeproc.protocol.trader_messages import FLATTEN, Switch
from tradeproc.store import Store
from tradeproc.testing.candles import Trade, write_tape
from tradeproc.testing.desk import ACCOUNTS, TapeDesk, wait_for
from tradeproc.testing.running import temporary_home
from tradeproc.testing.waiting import Late

T = TypeVar("T")
GOAL_INERT, GOAL_NAKED = 5.0, 10.0
TRIES = 30
STRATEGY = "tradeproc.bench.long_only:LongOnly"
WAYS = ("cancel_stop", "reject_stop", "cut_stop", "lose_legs")
TAPE, SPEED = "ESH24_falling.csv", 60.0
_FIRST = 1_704_754_800_000_000_000  # 2024-01-08 17:00 in Chicago, an open
_MINUTES, _EVERY_SECONDS = 1_370, 6
_SECOND = 1_000_000_000
NEAR, FAR = 6, 10_000
"""Distances in ticks of a stop that is reached within a second, and of one that is not within 15 minutes."""


def falling() -> Iterator[Trade]:
    """Make a trade every six seconds, each a tick below the one before."""
    for number in range(_MINUTES * 60 // _EVERY_SECONDS):
        yield _FIRST + number * _EVERY_SECONDS * _SECOND, 4800 - 0.25 * number, 10


@dataclass(frozen=True)
class Victim:
    """One session of a desk on the falling tape, at a broker that can be made to fail it."""

    desk: TapeDesk
    session: int
    account: str

    def inert(self) -> float:
        """Let its next stop do nothing and return the seconds until that is found; afterwards it trades again."""
        found = self.exposed("inert_stop")
        self.desk.broker.clear_faults("inert_stop")
        self._wait("the stop executes after all", lambda: self._state()["position"] == 0)
        self._wait("the login is resumed", lambda: resume(self.desk))
        return found

    def naked(self, way: str) -> float:
        """Take its protection away and return the seconds until that is found; afterwards it is flat."""
        self._wait("it is protected", self._is_protected)
        found = self.exposed(way)
        self.flatten()
        return found

    def exposed(self, fault: str) -> float:
        """Let the broker fail it in one way and return the seconds until the alarm.

        Legs are lost by the next entry, so its position is closed for that.
        """
        number = self.desk.broker.fault(fault, account=self.account)["id"]
        if fault == "lose_legs":
            # only after the fault is set: it enters again within a second, and then not until it is flat once more
            self.flatten()
        failed_at = self._hit_at(fault, number)
        return self._found_after(failed_at, "stop_inert" if fault == "inert_stop" else "position_uncovered")

    def flatten(self) -> None:
        """Close its position once; it enters again with the next candle."""
        exits = self.exits()
        with Client(Directory(self.desk.home.sockets)) as client:
            client.call(names.trader(self.session), FLATTEN, Switch("bench"), 10.0)
        self._wait("it is flat", lambda: self._state()["position"] == 0 or self.exits() > exits)

    def exits(self) -> int:
        """Return how many exits it has sent."""
        store = Store(self.desk.database_url)
        try:
            return sum(order.role is OrderRole.EXIT for order in store.orders(self.session, limit=1000))
        finally:
            store.close()

    def _is_protected(self) -> bool:
        state = self._state()
        stops = [each for each in state["orders"] if each["role"] == "stop_loss" and each["state"] == "submitted"]
        return bool(state["position"] and stops)

    def _state(self) -> dict[str, Any]:
        return self.desk.state(self.session)

    def _hit_at(self, fault: str, number: int) -> int:
        """Wait until a fault hits, and return when it did, in wall nanoseconds."""

        def hit_at() -> int:
            hits = [each["hit"] for each in self.desk.broker.faults()["faults"] if each["id"] == number]
            return int(hits[0][-1]["at"]) if hits and hits[0] else 0

        return self._wait(f"{fault} hits", hit_at)

    def _found_after(self, failed_at: int, alarm: str) -> float:
        store = Store(self.desk.database_url)

        def raised_at() -> int:
            told = [row.at for row in store.alarms(self.session) if row.name == alarm and row.at >= failed_at]
            return min(told, default=0)

        try:
            return (self._wait(f"{alarm} is raised", raised_at) - failed_at) / _SECOND
        finally:
            store.close()

    def _wait(self, what: str, condition: Callable[[], T]) -> T:
        return wait_for(f"session {self.session}: {what}", condition, 90.0)


def begin(desk: TapeDesk, number: int, stop_ticks: int, **changes: Any) -> Victim:
    """Create and start a session in one of the desk's accounts, and return it ready."""
    account = ACCOUNTS[number]
    usual = {"name": f"stops-{number}", "external_policy": "ignore"}
    session = desk.begin(STRATEGY, account, {**usual, **changes}, stop_ticks=stop_ticks)
    return Victim(desk, session, account)


def resume(desk: TapeDesk) -> SwitchThrown:
    """Open the login again after one of its stops did nothing."""
    thrown = ThrowLoginSwitch(LOGIN, "bench", "it was made to fail")
    with Client(Directory(desk.home.sockets)) as client:
        return client.call(names.KEEPER, LOGIN_SWITCHES["resume"], thrown, 10.0)


def measure_stops(tries: int = TRIES) -> list[Measured]:
    """Run a desk of three sessions; let one stop after the other do nothing, then take protection away."""
    with temporary_home() as home:
        write_tape(home.root / TAPE, falling())
        desk = TapeDesk(home.root, speed=SPEED, tape=TAPE)
        try:
            with desk:
                victim = begin(desk, 0, NEAR)
                inert = [victim.inert() for _ in range(tries)]
                naked = _naked(desk, tries)
        except (TradeprocError, Late) as error:
            raise BenchFailed(f"{error}\n{desk.last_words()}") from error
    rows = [
        _row(f"a stop that does nothing → login halted, {len(inert)} tries", inert, GOAL_INERT),
        _row(f"a position without a stop → alarm, {len(naked)} tries", naked, GOAL_NAKED),
    ]
    values = {
        **{"inert_stop_p50_s": median(inert), "inert_stop_max_s": max(inert)},
        **{"naked_p50_s": median(naked), "naked_max_s": max(naked)},
    }
    return [Measured("detection of a broker that lies about stops", rows, values)]


def _naked(desk: TapeDesk, tries: int) -> list[float]:
    """Take protection away in each way in turn, in several accounts at the same time."""
    victims = [begin(desk, number, FAR, quantity=2) for number in (1, 2)]

    def suffer(victim: Victim, ways: Sequence[str]) -> list[float]:
        return [victim.naked(way) for way in ways]

    share = [
        [WAYS[each % len(WAYS)] for each in range(number, tries, len(victims))] for number in range(len(victims))
    ]
    with ThreadPoolExecutor(len(victims)) as lanes:
        return [took for found in lanes.map(suffer, victims, share) for took in found]


def _row(what: str, found: Sequence[float], goal: float) -> Row:
    told = f"p50 {median(found):.2f} s, max {max(found):.2f} s"
    return Row(what, told, goal=f"≤ {goal:g} s", is_met=max(found) <= goal)
