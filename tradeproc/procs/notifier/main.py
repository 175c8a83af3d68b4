"""`notifier.notifier`: brings alarms to people, over whatever service they read.

Owns `run/notifier`. Hears alarms of traders, warden and portfolio on the bus, their lists of what stands, and
the keeper's list of the database; needs none of them. Without `[[notifier.targets]]` it ends at once. When it dies,
nobody is told until it is back; then what stands and was not told yet is told.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tradeproc import config
from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Envelope
from tradeproc.bus.node import Answered, Deferred, Node, Reply
from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.config import Config
from tradeproc.domain.texts import one_line
from tradeproc.domain.units import Nanos
from tradeproc.errors import EXIT_DONE, Refusal
from tradeproc.home import find_home
from tradeproc.procs.notifier.alarm_sources import AlarmSources, StandingAlarm
from tradeproc.procs.notifier.telling import (
    Book,
    Message,
    TargetState,
    TellingRule,
    delivered,
    failed,
    forget_finished,
    next_message,
    observe,
)
from tradeproc.procs.notifier.told_file import ToldFile, ToldRecord
from tradeproc.procs.notifier.wording import UNDELIVERED, body_of, is_critical, title_of
from tradeproc.protocol import names, scopes
from tradeproc.protocol.alarms import ALARM, Alarm, name_in_group, scope_of, scope_of_kept, severity_of
from tradeproc.protocol.book_messages import ALARMS, AlarmsListed, ListRows
from tradeproc.protocol.names import GroupName, ProcessName
from tradeproc.protocol.notifier_messages import TEST_TARGETS, TargetsTested, TargetTested, TryTargets
from tradeproc.protocol.process_messages import HEARTBEAT, Heartbeat
from tradeproc.protocol.trader_messages import STATE, SessionState

if TYPE_CHECKING:
    from tradeproc.procs.notifier.targets import Target

log = logging.getLogger(__name__)

_STUCK_SECONDS = 120.0
_OVERDUE_SECONDS = 30.0
_TEST_SECONDS = 20.0
_FORGOTTEN = 60 * SECOND


class NoSuchTarget(Refusal):
    """A test of a target that the configuration does not have."""

    def __init__(self, number: int, most: int) -> None:
        super().__init__(f"there is no target {number}; the configuration has {most}")


@dataclass(frozen=True, slots=True)
class NotifierTiming:
    """How often the notifier looks for what is due, for processes, and asks the keeper, in seconds.

    `settle`: until so long after the start of a process, and of our own, what is not named yet may still stand.
    `overdue`: a message that has been under way for so long counts as not taken.
    """

    step: float = 0.25
    look: float = 1.0
    ask: float = 5.0
    settle: float = 20.0
    overdue: float = _OVERDUE_SECONDS


class Notifier:
    """The lists, the book and the targets on one loop."""

    def __init__(
        self,
        node: Node,
        desk: str,
        targets: Sequence[tuple["Target", TellingRule]],
        file: ToldFile,
        timing: NotifierTiming = NotifierTiming(),
    ) -> None:
        self._node, self._desk, self._file, self._timing = node, desk, file, timing
        self._targets = [target for target, _ in targets]
        self._rules = [rule for _, rule in targets]
        record = file.read()
        self._book: Book = record.book
        self._states = [record.targets.get(each.fingerprint, TargetState()) for each in self._targets]
        self._busy: dict[int, Nanos] = {}
        self._began_at = Nanos(monotonic_ns())
        self._epochs: dict[ProcessName, tuple[int, Nanos]] = {}
        self._sources = AlarmSources()
        self._traders: dict[ProcessName, Nanos] = {}
        self._delivered = self._failed = 0
        node.handle(TEST_TARGETS, self._try)
        node.add_statistics(self._statistics)
        node.subscribe(names.WARDEN, ALARM, partial(self._hear, names.WARDEN))
        node.subscribe(names.PORTFOLIO, ALARM, partial(self._hear, names.PORTFOLIO))
        node.subscribe(names.WARDEN, HEARTBEAT, self._hear_warden)
        node.subscribe(names.PORTFOLIO, HEARTBEAT, self._hear_portfolio)
        for target in self._targets:
            node.add_thread(target.name, partial(target.is_stuck, _STUCK_SECONDS))
        node.every(timing.step, self._step)
        node.every(timing.look, self._look)
        node.every(timing.ask, self._ask)
        node.after(0.0, self._look)
        node.after(0.0, self._ask)

    # --- what stands

    def _hear(self, source: ProcessName, envelope: Envelope[Alarm]) -> None:
        self._sources.hear(source, envelope.body, Nanos(wall_ns()))
        self._node.note_event(sent_at=envelope.sent_at)
        self._step()

    def _hear_state(self, source: ProcessName, envelope: Envelope[SessionState]) -> None:
        self._traders[source] = Nanos(monotonic_ns())
        scope, now = str(scopes.of_session(envelope.body.session)), Nanos(wall_ns())
        self._sources.take_all(
            source,
            [
                StandingAlarm(scope, name, severity_of(name), now, one_line(detail))
                for name, detail in envelope.body.alarms.items()
            ],
            is_young=self._is_young(source, envelope.epoch),
        )

    def _is_young(self, source: ProcessName, epoch: int) -> bool:
        """Tell whether a process has started anew so lately that it may not know yet what stands."""
        now = Nanos(monotonic_ns())
        before, since = self._epochs.get(source, (epoch, Nanos(0)))
        if before != epoch:
            since = now
        self._epochs[source] = epoch, since
        return bool(since) and now - since < self._timing.settle * SECOND

    def _hear_warden(self, envelope: Envelope[Heartbeat]) -> None:
        told = envelope.body.statistics.get("alarms")
        if not isinstance(told, list):
            return
        now, found = Nanos(wall_ns()), []
        for text in told:
            group, _, plain_name = str(text).partition(" ")
            name = name_in_group(GroupName(group), plain_name)
            found.append(StandingAlarm(str(scope_of(GroupName(group))), name, severity_of(name), now, ""))
        self._sources.take_all(names.WARDEN, found, is_young=self._is_young(names.WARDEN, envelope.epoch))

    def _hear_portfolio(self, envelope: Envelope[Heartbeat]) -> None:
        told = envelope.body.statistics.get("alarms")
        if not isinstance(told, dict):
            return
        now = Nanos(wall_ns())
        found = [
            StandingAlarm(
                str(scope_of_kept(None, str(name))), str(name), severity_of(str(name)), now, one_line(str(detail))
            )
            for name, detail in told.items()
        ]
        is_young = self._is_young(names.PORTFOLIO, envelope.epoch)
        self._sources.take_all(names.PORTFOLIO, found, is_young=is_young)

    def _look(self) -> None:
        """Listen to new traders; forget those that are gone, when the database tells what they left."""
        now = Nanos(monotonic_ns())
        for process in self._node.directory.processes():
            if process.is_trader and process not in self._traders:
                self._traders[process] = now
                self._node.subscribe(process, ALARM, partial(self._hear, process))
                self._node.subscribe(process, STATE, partial(self._hear_state, process))
        for process, heard_at in self._traders.items():
            if now - heard_at > _FORGOTTEN and self._sources.is_complete:
                self._sources.forget(process)

    def _ask(self) -> None:
        self._node.request(names.KEEPER, ALARMS, ListRows(), seconds=4.0, on_reply=self._listed)

    def _listed(self, reply: Reply[AlarmsListed]) -> None:
        # without an answer, and while the database is away, the rows that were read last stand
        if isinstance(reply, Answered):
            self._sources.take_kept(reply.body.alarms, is_cut=reply.body.cut)

    # --- what is told

    def _step(self) -> None:
        now = Nanos(wall_ns())
        self._sources.take_all(names.NOTIFIER, self._own_alarms(now))
        self._note_overdue(now)
        sources = self._sources
        is_complete = sources.is_complete and monotonic_ns() - self._began_at >= self._timing.settle * SECOND
        book = observe(self._book, sources.standing(), sources.ended(), now, is_complete=is_complete)
        self._book, self._states = forget_finished(self._rules, self._states, book)
        self._write()
        for index, target in enumerate(self._targets):
            if index in self._busy:
                continue
            message = next_message(self._rules[index], self._states[index], self._book, now)
            if message is not None:
                self._send(index, target, message)
        self._say_how_it_goes()

    def _send(self, index: int, target: "Target", message: Message) -> None:
        def done(reason: str) -> None:
            self._node.post(lambda: self._done(index, message, reason))

        title, body = title_of(self._desk, message), body_of(self._desk, message)
        if target.send(title, body, done, is_critical=is_critical(message)):
            self._busy[index] = Nanos(monotonic_ns())

    def _note_overdue(self, now: Nanos) -> None:
        """Count a message that is under way for too long as not taken, so that a person hears of its target."""
        for index, since in self._busy.items():
            if monotonic_ns() - since > self._timing.overdue * SECOND:
                self._busy[index] = Nanos(monotonic_ns())
                reason = f"no answer within {self._timing.overdue:g} s"
                log.warning("alarm_overdue target=%d reason=%s", index + 1, reason)
                self._states[index] = failed(self._rules[index], self._states[index], reason, now)

    def _done(self, index: int, message: Message, reason: str) -> None:
        self._busy.pop(index, None)
        now, state = Nanos(wall_ns()), self._states[index]
        if reason:
            self._failed += 1
            log.warning("alarm_undelivered target=%d reason=%s", index + 1, reason)
            self._states[index] = failed(self._rules[index], state, reason, now)
        else:
            self._delivered += 1
            log.info("alarm_delivered target=%d alarms=%d", index + 1, len(message.parts))
            self._states[index] = delivered(state, message, now)
            self._node.note_work()
        self._write()
        self._step()

    def _write(self) -> None:
        states = {target.fingerprint: state for target, state in zip(self._targets, self._states, strict=True)}
        self._file.write(ToldRecord(self._book, states))

    def _own_alarms(self, now: Nanos) -> list[StandingAlarm]:
        """Return an alarm for each target that failed twice in a row, so that the others tell of it."""
        found = []
        for target, state in zip(self._targets, self._states, strict=True):
            if state.failures > 1:
                name, detail = f"{UNDELIVERED}:{target.number}", f"{target.name}: {state.reason}"
                found.append(StandingAlarm(str(scopes.HOST), name, severity_of(name), now, detail))
        return found

    def _troubles(self) -> list[str]:
        named = zip(self._targets, self._states, strict=True)
        told = [f"{target.name} does not take alarms: {state.reason}" for target, state in named if state.failures]
        return [*told, *filter(None, [self._file.trouble])]

    def _say_how_it_goes(self) -> None:
        troubles = self._troubles()
        self._node.set_state("degraded" if troubles else "ready", "; ".join(troubles))

    def _statistics(self) -> dict[str, object]:
        standing = sum(case.over_at is None for case in self._book.values())
        return {"standing": standing, "delivered": self._delivered, "undelivered": self._failed}

    # --- a person's test

    def _try(self, question: TryTargets) -> Deferred[TargetsTested]:
        if question.target is not None and not 1 <= question.target <= len(self._targets):
            raise NoSuchTarget(question.target, len(self._targets))
        chosen = [each for each in self._targets if question.target in (None, each.number)]
        answer: Deferred[TargetsTested] = Deferred()
        reasons: dict[int, str] = {}

        def finish() -> None:
            late = f"no answer within {_TEST_SECONDS:g} s"
            tested = [(each, reasons.get(each.number, late)) for each in chosen]
            answer.answer(
                TargetsTested(tuple(TargetTested(each.number, each.name, not why, why) for each, why in tested))
            )

        def took(number: int, reason: str) -> None:
            reasons[number] = reason
            if len(reasons) == len(chosen):
                finish()

        def done(number: int, reason: str) -> None:
            self._node.post(lambda: took(number, reason))

        title = f"[{self._desk}] test"
        body = f"Desk {self._desk}: this is a test. Alarms of this desk reach you here."
        self._node.after(_TEST_SECONDS, finish)
        for each in chosen:
            if not each.send(title, body, partial(done, each.number), is_critical=False):
                took(each.number, "an earlier message is still under way")
        return answer


def rules_of(settings: Config) -> list[TellingRule]:
    """Return how each target of the configuration is told."""
    found = []
    for each in settings.notifier.targets:
        begin, _, end = each.quiet.partition("-")
        quiet = (time.fromisoformat(begin), time.fromisoformat(end)) if each.quiet else None
        repeats = tuple(Nanos(int(minutes * 60 * SECOND)) for minutes in settings.notifier.repeat_minutes)
        zone = ZoneInfo(each.zone) if each.zone else None
        found.append(TellingRule(each.level, quiet, zone, repeats, settings.notifier.hourly_most))
    return found


def targets_of(settings: Config) -> list["Target"]:
    """Return the targets of the configuration.

    Raises:
        BadConfig: an address is not where the configuration says, or apprise does not know such a service.
    """
    # only here: where nobody is to be told, the process ends without loading apprise's 30 MB
    from tradeproc.procs.notifier.services import load_services
    from tradeproc.procs.notifier.targets import Target, silence

    silence()
    found, urls = [], settings.notifier_urls()
    load_services(urls)
    for number, url in enumerate(urls, 1):
        try:
            found.append(Target(number, url))
        except ValueError:
            problem = f"[notifier] target {number}: url is no address that apprise knows, as mailto://…"
            raise config.BadConfig(settings.file, problem) from None
    return found


def main(arguments: Sequence[str]) -> int:
    """Bring alarms to people until SIGTERM; end with 0 at once when nobody is to be told."""
    del arguments
    home = find_home()
    settings = config.load(home)
    if not settings.notifier.targets:
        log.info("notifier_disabled nothing_to_run=1")
        return EXIT_DONE
    node = Node(names.NOTIFIER, Directory(home.sockets))
    pairs = list(zip(targets_of(settings), rules_of(settings), strict=True))
    Notifier(node, settings.desk.name, pairs, ToldFile(home.run / "notifier"))
    node.run()
    return node.exit_status
