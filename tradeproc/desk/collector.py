"""Looks at a running desk for the health check: supervisord, every process, the database itself, the disk."""

import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.config import DATABASE_URL, BadConfig, Config, HealthConfig
from tradeproc.desk.installation import Desk
from tradeproc.desk.observations import (
    BeatSeen,
    DeathSeen,
    LoginSeen,
    Observations,
    ProgramSeen,
    StreamSeen,
)
from tradeproc.desk.stored_facts import StoredFacts, sessions_seen
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.market_hours import checked_at, market_hours
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import Nanos
from tradeproc.engine.alarms import AlarmName
from tradeproc.errors import EXIT_HALT, Outage, Refusal, TradeprocError
from tradeproc.home import Home
from tradeproc.localbroker.client import LocalBroker
from tradeproc.localbroker.control_key import key_file_of
from tradeproc.procs.session_start import database_of
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import TOKENS
from tradeproc.protocol.process_messages import STATUS, Status
from tradeproc.protocol.token_messages import LOGINS
from tradeproc.protocol.trader_messages import ASK_STATE
from tradeproc.store import SessionRow, Store
from tradeproc.store.embedded import database_url
from tradeproc.supervision.client import Program, ProgramState
from tradeproc.supervision.deaths import read_deaths
from tradeproc.supervision.wanted_groups import is_done

_SECONDS = 2.0
_STARTING_SECONDS = 20
# a program that went down so lately may be about to be started again
_SETTLE_SECONDS = 3
_LOOK_SECONDS = 0.25
_MOST_AT_ONCE = 32
# a trader's word for it
_DOUBT = "waiting for reconciliation"
_BYTES_PER_MB = 1 << 20
_POSTGRES, _LOCALBROKER = names.POSTGRES.at_supervisord, names.LOCAL_BROKER.at_supervisord
_NOTIFIER = names.NOTIFIER.at_supervisord


class Collector:
    """Looks at one desk; nothing that cannot be found out ends it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.config = config_of(desk)
        self.statuses: dict[str, Status] = {}
        self.present: set[str] = set()
        self.store: Answer[Store] = Unknown("not looked for")

    @property
    def thresholds(self) -> HealthConfig:
        """Return the configured thresholds, the default ones when the configuration cannot be used."""
        return self.config.value.health if isinstance(self.config, Known) else HealthConfig()

    def close(self) -> None:
        """Close the connection to the database."""
        if isinstance(self.store, Known):
            self.store.value.close()

    def collect(self) -> Observations:
        """Return everything that could be found out."""
        try:
            programs = self._settled()
        except (Outage, Refusal):
            return Observations(Unknown("does not answer"), configuration=_trouble(self.config))
        self.present = set(self.desk.processes())
        beats = self._beats([program for program in programs if program.state is ProgramState.RUNNING])
        self.store = self._store(programs)
        books = StoredFacts(self.store)
        sessions = books.due(wall_ns())
        is_down = isinstance(self.store, Known) and isinstance(sessions, Unknown)
        return Observations(
            programs=Known(tuple(_program(self.desk.home, program) for program in programs)),
            configuration=_trouble(self.store if isinstance(self.config, Known) else self.config),
            idle=self._idle(programs),
            beats=beats,
            sessions=sessions_seen(sessions, wall_ns()),
            streams=self._streams(sessions),
            orders=books.orders(sessions),
            divergences=books.divergences(),
            alarms=books.alarms(sessions),
            database=_trouble(sessions) if is_down else Known(None),
            disk_free_mb=Known(shutil.disk_usage(self.desk.home.run).free // _BYTES_PER_MB),
            logins=self._logins(),
            calendars=self._calendars(sessions),
            wardens_deaths=tuple(
                DeathSeen(each.at, each.reason) for each in read_deaths(self.desk.home, names.WARDEN)
            ),
            calendar_checked_at=checked_at(),
        )

    def _settled(self) -> list[Program]:
        """Return all programs, once those that went down a moment ago are up again or have had the time for it."""
        deadline = monotonic_ns() + _SETTLE_SECONDS * SECOND
        while True:
            programs = self.desk.supervisor.processes()
            since = wall_ns() // SECOND - _SETTLE_SECONDS
            is_fresh = any(each.state.is_down and each.stopped_at >= since for each in programs)
            if not is_fresh or monotonic_ns() >= deadline:
                return programs
            time.sleep(_LOOK_SECONDS)

    def _idle(self, programs: Sequence[Program]) -> frozenset[str]:
        """Return the programs that have nothing to do; without a configuration their own word is taken for it."""
        match self.config:
            case Known(config):
                try:
                    external = config.external_database()
                except BadConfig:
                    external = "somewhere"
                found = {_POSTGRES: external, _LOCALBROKER: not config.localbroker.enabled}
                found[_NOTIFIER] = not config.notifier.targets
                return frozenset(name for name, is_idle in found.items() if is_idle)
            case Unknown(_):
                done = {each.process.at_supervisord for each in programs if is_done(each)}
                return frozenset(done & {_POSTGRES, _LOCALBROKER, _NOTIFIER})

    def _store(self, programs: Sequence[Program]) -> Answer[Store]:
        """Return the way to the database; without a configuration to the embedded one, where that is what runs."""
        match self.config:
            case Known(config):
                try:
                    url = database_of(config, self.desk.home)
                except BadConfig as bad:
                    return Unknown(str(bad))
            case Unknown(reason):
                is_embedded = any(each.process.at_supervisord == _POSTGRES and not is_done(each) for each in programs)
                url = os.environ.get(DATABASE_URL) or (database_url(self.desk.home) if is_embedded else "")
                if not url:
                    return Unknown(reason)
        return Known(Store(url, connect_timeout=_SECONDS, answer_timeout=_SECONDS))

    def _beats(self, programs: Sequence[Program]) -> tuple[BeatSeen, ...]:
        """Ask all at once: those that do not answer cost their deadline once, not one after the other."""
        with ThreadPoolExecutor(_MOST_AT_ONCE) as pool:
            beats = list(pool.map(self._beat, programs))
        now = wall_ns()
        heard: dict[str, int] = {}
        for told in self.statuses.values():
            # the warden watches all other processes, the keeper watches the warden
            for process, seconds in told.statistics.get("silence", {}).items():
                heard[process] = now - int(seconds * SECOND)
        return tuple(_last_beat(beat, heard.get(beat.process)) for beat in beats)

    def _beat(self, program: Program) -> BeatSeen:
        process = program.process
        if process not in self.present:
            now = wall_ns()
            if now - program.started_at * SECOND < _STARTING_SECONDS * SECOND:
                return BeatSeen(process, now, "degraded", "has just been started")
            return BeatSeen(process, None, detail="is not on the bus")
        try:
            told = self.desk.client.call(process, STATUS, NoBody(), _SECONDS)
        except TradeprocError as error:
            return BeatSeen(process, None, detail=str(error))
        self.statuses[process] = told
        skew = told.statistics.get("clock_skew")
        return BeatSeen(process, told.at, told.state, told.detail, skew, self._starting_since(process, told))

    def _starting_since(self, process: str, told: Status) -> int | None:
        """Return when a start began that is not over; a trader is `starting` also while it doubts its position."""
        if told.state != "starting":
            return None
        if told.detail == _DOUBT:
            try:
                standing = self.desk.client.call(process, ASK_STATE, NoBody(), _SECONDS).alarms
            except TradeprocError:
                return None
            if AlarmName.NOT_READY not in standing:
                return None
        return told.started_at

    def _streams(self, sessions: Answer[list[SessionRow]]) -> Answer[tuple[StreamSeen, ...]]:
        match sessions:
            case Unknown(reason):
                return Unknown(reason)
            case Known(rows):
                return Known(tuple(stream for row in rows for stream in self._of_session(row)))

    def _of_session(self, row: SessionRow) -> list[StreamSeen]:
        spec, now = row.spec, wall_ns()
        found = []
        for process in (
            names.bars_feed(spec.login_of_data, spec.contract, spec.minutes),
            names.account_feed(spec.login, "orders", spec.account),
            names.account_feed(spec.login, "positions", spec.account),
        ):
            told = self.statuses.get(process)
            if told is None:
                found.append(StreamSeen(process, False, None, self._is_open(spec, now), "its process is not running"))
                continue
            is_up = bool(told.statistics.get("up"))
            is_open = self._is_open(spec, now)
            # an order or position stream may be silent for hours but for its heartbeats, which the feed counts
            found.append(StreamSeen(process, is_up, told.last_event_at, is_open, told.detail))
        return found

    def _is_open(self, spec: SessionSpec, now: Nanos) -> bool:
        """Tell whether data should come: by the exchange's calendar, or by the tape where that is the market."""
        configured = self.config.value if isinstance(self.config, Known) else None
        if (
            configured is not None
            and configured.localbroker.enabled
            and configured.is_at_local_broker(spec.login_of_data)
        ):
            return _is_tape_running(f"127.0.0.1:{configured.localbroker.port}", key_file_of(self.desk.home))
        return market_hours(spec.calendar).is_open(now)

    def _logins(self) -> Answer[tuple[LoginSeen, ...]]:
        try:
            rows = self.desk.ask(TOKENS, LOGINS, NoBody(), seconds=_SECONDS).logins
        except TradeprocError as error:
            return Unknown(str(error))
        return Known(
            tuple(
                LoginSeen(
                    *(row.login, row.state, row.expires_at, row.logged_in_at, row.detail),
                    person_needed_at=row.person_needed_at,
                )
                for row in rows
            )
        )

    def _calendars(self, sessions: Answer[list[SessionRow]]) -> tuple[tuple[str, int], ...]:
        rows = sessions.value if isinstance(sessions, Known) else []
        return tuple((key, market_hours(key).horizon) for key in sorted({row.spec.calendar for row in rows}))


def _is_tape_running(address: str, key: Path) -> bool:
    try:
        with LocalBroker(f"http://{address}", key, seconds=_SECONDS) as broker:
            told = broker.status()
        return not (told["over"] or told["paused"])
    except TradeprocError:
        return True


def _last_beat(beat: BeatSeen, heard_at: int | None) -> BeatSeen:
    """Return a process with the last heartbeat that it, or who listens to it, knows of."""
    known = [at for at in (beat.at, heard_at) if at is not None]
    return replace(beat, at=max(known, default=None))


def config_of(desk: Desk) -> Answer[Config]:
    """Return the configuration of a desk; unknown, with why, when it cannot be used."""
    try:
        return Known(desk.config)
    except BadConfig as bad:
        return Unknown(str(bad))


def _trouble(answer: Answer[Any]) -> Answer[None]:
    return Unknown(answer.reason) if isinstance(answer, Unknown) else Known(None)


def _program(home: Home, program: Program) -> ProgramSeen:
    """Return a program, and why it stays down where it said so itself."""
    if not program.error and program.exit_status == EXIT_HALT and program.state is ProgramState.EXITED:
        words = next((each.reason for each in read_deaths(home, program.process) if each.code == EXIT_HALT), "")
        return ProgramSeen(program.process.at_supervisord, program.state.value, words, program.exit_status)
    return ProgramSeen(program.process.at_supervisord, program.state.value, program.error, program.exit_status)
