"""A campaign: N random faults, one after the other, on several sessions that trade all the time.

After each fault: it shows in a log; every process is well again; no order was sent twice; database, engine and broker
agree on orders, fills and position; every open contract was covered by a working stop within ten seconds; nobody held
more than its strategy may; nothing hangs and nothing is orphaned. A hung process and a mute stream are noticed within
15 s. A seed and a number name the same fault always. One fault in ten is double: the second hits during the first.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.cover import COVER_SECONDS, CoverWatch
from tests.chaos.draws import Draw, draw, make, second_kind, second_scene
from tests.chaos.evidence import Evidence
from tests.chaos.mending import FAILURES, mend, orphans, wait_well
from tests.chaos.report import Result, line_of
from tests.chaos.scene import Missed, Scene
from tests.chaos.trouble import LIVE_SPEED
from tests.chaos.troubles import DETECT_SECONDS, MAKERS, Trouble
from tests.drills.desk import Desk
from tests.procs.notifier.listener import listening
from tradeproc.testing.desk import ACCOUNTS

# an order whose answer was lost is given up after half a minute of confirmed absence
AGREE_SECONDS = 75.0
# what each session does about a position without a stop, and its strategy's arguments: near stops are reached
SESSIONS = (("replace", {"stop_ticks": 60}), ("flatten", {"stop_ticks": 14, "hold": 6}))
# roomy: entries ask for heat and are never refused for want of it
PORTFOLIO = """
name = "chaos"
equity = 10000000
warn_percent = 50.0
block_percent = 90.0
worst_case = 800
sessions = {sessions}
"""


@dataclass
class Campaign:
    """Runs faults and keeps their results; `say` gets a line for each. `kinds`: those to draw from.

    `patience`: by how much the times within which faults are to be noticed and contracts covered are multiplied,
    for a busy machine.
    """

    desk: Desk
    seed: int
    say: Callable[[str], None] = print
    kinds: tuple[str, ...] = tuple(MAKERS)
    patience: float = 1.0
    results: list[Result] = field(default_factory=list)
    sessions: dict[str, int] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)

    def run(self, faults: int, first: int = 1) -> list[Result]:
        """Make that many faults, from the one of that number on; those that met nothing come on top."""
        evidence = Evidence(self.desk.home.log)
        for account, (policy, arguments) in zip(ACCOUNTS, SESSIONS, strict=False):
            changes = {"stop_policy": policy, "inert_stop_policy": "flatten"}
            self.sessions[account] = self.desk.begin(account=account, changes=changes, **arguments)
        portfolio = self.desk.home.root / "chaos.toml"
        portfolio.write_text(PORTFOLIO.format(sessions=[f"test-{account}" for account in self.sessions]))
        self.desk.tradectl("portfolio", "create", str(portfolio))
        self.desk.broker.speed(LIVE_SPEED)
        scene = Scene(self.desk, self.sessions)
        wait_well(scene)
        number, last = first, first + faults
        with CoverWatch(self.desk, seconds=COVER_SECONDS * self.patience) as cover:
            while number < last:
                result = self._one(number, scene, evidence, cover)
                last += result.is_void and last < first + 2 * faults
                number += 1
                self.results.append(result)
                self.say(line_of(result))
        return self.results

    def _one(self, number: int, scene: Scene, evidence: Evidence, cover: CoverWatch) -> Result:
        drawn = draw(self.seed, number, self.kinds)
        time.sleep(drawn.chance.uniform(0.0, 1.0))
        evidence.mark()
        made: list[Trouble] = []
        violations: list[str] = []
        detected = recovered = None
        is_void = False
        try:
            self._make(drawn, scene, made)
            detected = self._endure(made, evidence, violations)
            wait_well(scene)
            recovered = time.monotonic() - max(each.since + each.lasts for each in made)
            self._check()
        except Missed:
            is_void = True
        except FAILURES as error:
            violations.append(f"{type(error).__name__}: {error}")
        violations += cover.take()
        try:
            violations += [f"orphan: {each.pid} {' '.join(each.cmdline())[:120]}" for each in orphans(self.desk)]
        except FAILURES as error:
            violations.append(f"{type(error).__name__}: {error}")
        if violations:
            violations += mend(scene)
            cover.take()
        kind = " + ".join(each.kind for each in made) or drawn.kinds[0]
        subject = " + ".join(each.subject for each in made)
        return Result(number, kind, subject, detected, recovered, tuple(violations), is_void)

    def _make(self, drawn: Draw, scene: Scene, made: list[Trouble]) -> None:
        made.append(make(drawn.kinds[0], scene, drawn.chance))
        if drawn.is_double:
            first = made[0]
            time.sleep(drawn.chance.uniform(0.0, 2.0))
            made.append(make(second_kind(first, drawn), second_scene(scene, first, drawn), drawn.chance))

    def _endure(self, made: Sequence[Trouble], evidence: Evidence, violations: list[str]) -> float | None:
        """Wait until all faults were seen and are over, and return when the last one was seen."""
        seen: dict[int, float] = {}
        running = dict(enumerate(made))
        # with two at once, who should notice may be down itself
        patience = self.patience * DETECT_SECONDS * len(made)
        while running or any(each.pattern and number not in seen for number, each in enumerate(made)):
            now, text = time.monotonic(), evidence.text()
            for number, each in enumerate(made):
                age = now - each.since
                if each.pattern and number not in seen and evidence.shows(each.pattern, text):
                    seen[number] = age
                    within = self.patience * each.within if len(made) == 1 else patience
                    if age > within:
                        violations.append(f"{each.kind} noticed after {age:.1f} s, {within:g} s allowed")
                is_settled = number in seen or not each.pattern or age > patience
                if number in running and age >= each.lasts and (each.lasts or is_settled):
                    running.pop(number).end()
                if number not in seen and each.pattern and age > patience + each.lasts:
                    seen[number] = age
                    violations.append(f"no line matches {each.pattern!r} within {age:.0f} s")
            time.sleep(0.05)
        return max(seen.values(), default=None)

    def _check(self) -> None:
        """Compare all books while the market stands still; a difference that stays is told once."""
        self.desk.broker.pause()
        try:
            for account, session in self.sessions.items():
                self.desk.assert_books_agree(session, account, AGREE_SECONDS, self._known)
        except AssertionError as error:
            self._known.update(str(error).splitlines())
            raise
        finally:
            self.desk.broker.resume()


@contextmanager
def chaotic_desk(folder: Path) -> Iterator[Desk]:
    """A desk with an endless market and a clock that can be stepped."""
    desk = Desk(folder, speed=1.0, history_minutes=10, tape="generated:ESH24+ESM24:7")
    step = desk.home.run / "clock_step"
    step.write_bytes(bytes(8))
    desk.environment["TRADEPROC_CLOCK_STEP"] = str(step)
    # the broker is elsewhere: its clock does not move with ours
    conf = folder / "supervisord.conf"
    program = "[program:localbroker]\n"
    conf.write_text(conf.read_text().replace(program, f'{program}environment=TRADEPROC_CLOCK_STEP=""\n'))
    with listening() as listener:
        _tell(desk, listener.url)
        with desk:
            yield desk


def _tell(desk: Desk, url: str) -> None:
    """Let the alarms of a desk go to an address."""
    secret = desk.home.root / "alarms.url"
    secret.write_text(url)
    secret.chmod(0o600)
    file = desk.home.conf / "tradeproc.toml"
    file.write_text(f'{file.read_text()}\n[[notifier.targets]]\nurl = {{ file = "{secret}" }}\n')
