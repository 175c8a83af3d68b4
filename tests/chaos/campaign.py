"""A campaign: N random faults, one after the other, on several sessions that trade all the time.

After each fault: it shows in a log; every process is well again; no order was sent twice; database, engine and broker
agree on orders, fills and position; every open contract was covered by a working stop within ten seconds; nothing
hangs and nothing is orphaned. Equal seeds draw equal faults in equal order.
"""

import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.chaos.evidence import Evidence
from tests.chaos.troubles import DETECT_SECONDS, MAKERS, Trouble
from tests.drills.desk import ACCOUNTS, Desk, Late, wait_for
from tradeproc.errors import TradeprocError
from tradeproc.supervision.client import Supervisor

COVER_SECONDS = 10.0
WELL_SECONDS = 90.0
# an order whose answer was lost is given up after half a minute of confirmed absence
AGREE_SECONDS = 75.0
LIVE_SPEED = 20.0


@dataclass(frozen=True)
class Result:
    """One fault: when it was seen and when all was well again, seconds after it was made; what was violated."""

    number: int
    trouble: Trouble
    detected: float | None
    recovered: float | None
    violations: tuple[str, ...]


class CoverWatch:
    """Looks four times a second whether open contracts are covered by working stops."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._naked_since: dict[str, float] = {}
        self._found: list[str] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "CoverWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def take(self) -> list[str]:
        """Return what was violated since the last call."""
        found, self._found = self._found, []
        return found

    def _run(self) -> None:
        while not self._is_over.wait(0.25):
            try:
                positions = self._desk.broker.exposure()["positions"]
            except TradeprocError:
                continue  # the broker itself is down; nothing fills meanwhile
            now = time.monotonic()
            naked = {row["account"]: row for row in positions if abs(row["quantity"]) > row["stopped"]}
            self._naked_since = {account: self._naked_since.get(account, now) for account in naked}
            for account, since in self._naked_since.items():
                if now - since > COVER_SECONDS:
                    self._found.append(f"{account}: {naked[account]} uncovered for {now - since:.1f} s")
                    self._naked_since[account] = now


@dataclass
class Campaign:
    """Runs faults and keeps their results; `say` gets a line for each."""

    desk: Desk
    seed: int
    say: Callable[[str], None] = print
    only: tuple[str, ...] = ()
    results: list[Result] = field(default_factory=list)
    sessions: dict[str, int] = field(default_factory=dict)

    def run(self, faults: int) -> list[Result]:
        """Make that many faults."""
        chance = random.Random(self.seed)
        evidence = Evidence(self.desk.home.log)
        for account in ACCOUNTS[:2]:
            self.sessions[account] = self.desk.begin(account=account)
        self.desk.broker.speed(LIVE_SPEED)
        with CoverWatch(self.desk) as cover:
            for number in range(1, faults + 1):
                time.sleep(chance.uniform(0.0, 1.0))
                result = self._one(number, chance, evidence, cover)
                self.results.append(result)
                self.say(line_of(result))
        return self.results

    def _one(self, number: int, chance: random.Random, evidence: Evidence, cover: CoverWatch) -> Result:
        evidence.mark()
        kinds = self.only or tuple(MAKERS)
        make = MAKERS[chance.choices(kinds, [MAKERS[kind][0] for kind in kinds])[0]][1]
        began = time.monotonic()
        trouble = make(self.desk, chance)
        violations: list[str] = []
        detected = recovered = None
        try:
            if trouble.lasts:
                detected = self._last(trouble, began, evidence)
            if trouble.pattern and detected is None:
                evidence.wait(trouble.pattern, DETECT_SECONDS)
                detected = time.monotonic() - began
            if not trouble.lasts:
                trouble.end()
            self._wait_well()
            recovered = time.monotonic() - began - trouble.lasts
            self._check()
        except (Late, AssertionError) as error:
            violations.append(str(error))
        violations += [*cover.take(), *self._orphans()]
        return Result(number, trouble, detected, recovered, tuple(violations))

    def _last(self, trouble: Trouble, began: float, evidence: Evidence) -> float | None:
        """Let a trouble last, end it, and return when it was seen meanwhile."""
        detected = None
        with suppress(Late):
            evidence.wait(trouble.pattern, trouble.lasts)
            detected = time.monotonic() - began
        time.sleep(max(began + trouble.lasts - time.monotonic(), 0.0))
        trouble.end()
        return detected

    def _wait_well(self) -> None:
        """Wait until supervisord runs everything, every process says it is ready and traders trade again."""
        names = ["core.postgres", "core.tokens", "core.portfolio", "core.keeper", "core.jobs", "warden.warden"]
        names += ["localbroker.localbroker", "link-paper.link"]
        for account, session in self.sessions.items():
            names += [f"session-{session}.account", f"session-{session}.trader"]
            names += [f"link-paper.orders-{account}", f"link-paper.positions-{account}"]
        names.append("link-paper.bars-ESH24-1m")
        deadline = time.monotonic() + WELL_SECONDS
        for name in names:
            wait_for(
                f"{name} ready",
                lambda name=name: self.desk.ask(name, "status", {}, 2.0)["state"] == "ready",  # type: ignore[misc]
                max(deadline - time.monotonic(), 0.5),
            )

    def _check(self) -> None:
        """Compare all books while the market stands still."""
        self.desk.broker.pause()
        try:
            for account, session in self.sessions.items():
                self.desk.assert_books_agree(session, account, AGREE_SECONDS)
        finally:
            self.desk.broker.resume()

    def _orphans(self) -> Iterator[str]:
        """Yield processes of this desk that supervisord does not know."""
        known = {each.pid for each in Supervisor(self.desk.home).processes() if each.pid}
        supervisord = self.desk.supervisord.pid if self.desk.supervisord else 0
        for process in psutil.process_iter(["pid", "ppid"]):
            if process.pid in known or process.pid in (supervisord, os.getpid()):
                continue
            try:
                is_ours = process.environ().get("TRADEPROC_HOME") == str(self.desk.home.root)
                parents = {each.pid for each in process.parents()}
            except psutil.Error:
                continue
            if is_ours and supervisord not in parents:
                yield f"orphan: {process.pid} {' '.join(process.cmdline())[:120]}"


def line_of(result: Result) -> str:
    """Return one line about one fault."""
    seen = "      –" if result.detected is None else f"{result.detected:6.2f}s"
    well = "      –" if result.recovered is None else f"{result.recovered:6.2f}s"
    verdict = "ok" if not result.violations else "VIOLATED: " + " | ".join(result.violations)
    return (
        f"{result.number:4d} {result.trouble.kind:22s} {result.trouble.subject:34s} seen {seen} well {well} {verdict}"
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(results: Sequence[Result]) -> list[str]:
    """Return a line for each kind of fault: how many, detection and recovery p50, p95 and max, violations."""
    kinds: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        kinds[result.trouble.kind].append(result)
        kinds["all"].append(result)
    lines = [f"{'fault':24s} {'n':>4s}  {'detected p50/p95/max':>24s}  {'recovered p50/p95/max':>24s}  violations"]
    for kind, found in sorted(kinds.items(), key=lambda item: (item[0] == "all", item[0])):
        cells = [
            "–" if not values else f"{quantile(values, 0.5):.2f} / {quantile(values, 0.95):.2f} / {max(values):.2f} s"
            for values in (
                [each.detected for each in found if each.detected is not None],
                [each.recovered for each in found if each.recovered is not None],
            )
        ]
        violations = sum(bool(each.violations) for each in found)
        lines.append(f"{kind:24s} {len(found):4d}  {cells[0]:>24s}  {cells[1]:>24s}  {violations}")
    return lines


@contextmanager
def chaotic_desk(folder: Path) -> Iterator[Desk]:
    """A desk with an endless market and a clock that can be stepped."""
    desk = Desk(folder, speed=1.0, history_minutes=10, tape="generated:ESH24:7")
    step = desk.home.run / "clock_step"
    step.write_bytes(bytes(8))
    desk.environment["TRADEPROC_CLOCK_STEP"] = str(step)
    # the broker is elsewhere: its clock does not move with ours
    conf = folder / "supervisord.conf"
    program = "[program:localbroker]\n"
    conf.write_text(conf.read_text().replace(program, f'{program}environment=TRADEPROC_CLOCK_STEP=""\n'))
    with desk:
        yield desk
