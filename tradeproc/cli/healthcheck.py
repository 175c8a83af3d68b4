"""`scripts/healthcheck` for cron: silent and 0 when well; otherwise one line a problem, exit 1, 2 or 3.

Collects what `health.py` judges: from supervisord, from every process, from the database itself, from the disk.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from tradeproc.cli.desk import TOKENS, Desk
from tradeproc.cli.exits import one_line
from tradeproc.cli.health import evaluate, exit_code
from tradeproc.cli.observations import (
    AlarmSeen,
    BeatSeen,
    DivergenceSeen,
    LoginSeen,
    Observations,
    OrderWaiting,
    ProgramSeen,
    SessionSeen,
    StreamSeen,
)
from tradeproc.clock import SECOND, wall_ns
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.orders import OrderState
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import Nanos
from tradeproc.domain.wanted import wanted_now
from tradeproc.engine.alarms import AlarmName
from tradeproc.errors import Outage, Refusal, TradeprocError
from tradeproc.home import find_home
from tradeproc.localbroker.client import LocalBroker
from tradeproc.procs.specification import database_of
from tradeproc.store import SessionRow, Store
from tradeproc.supervision.client import Program, ProgramState

UNKNOWN = 3
_SECONDS = 2.0
_STARTING_SECONDS = 20
# a trader's word for it
_DOUBT = "waiting for reconciliation"
_BYTES_PER_MB = 1 << 20


class Collector:
    """Looks at one desk; nothing that cannot be found out ends it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.statuses: dict[str, dict[str, Any]] = {}
        self.present: set[str] = set()
        self.store = Store(database_of(desk.config, desk.home), connect_timeout=_SECONDS, answer_timeout=_SECONDS)

    def close(self) -> None:
        """Close the connection to the database."""
        self.store.close()

    def collect(self) -> Observations:
        """Return everything that could be found out."""
        try:
            programs = self.desk.supervisor.processes()
        except (Outage, Refusal):
            return Observations(Unknown("does not answer"))
        self.present = set(self.desk.processes())
        beats = tuple(self._beat(program) for program in programs if program.state is ProgramState.RUNNING)
        sessions = self._sessions()
        return Observations(
            programs=Known(tuple(_program(program) for program in programs)),
            beats=beats,
            sessions=_sessions_seen(sessions, programs),
            streams=self._streams(sessions),
            orders=self._orders(sessions),
            divergences=self._divergences(),
            alarms=self._alarms(sessions),
            database=Unknown(sessions.reason) if isinstance(sessions, Unknown) else Known(None),
            disk_free_mb=Known(shutil.disk_usage(self.desk.home.run).free // _BYTES_PER_MB),
            logins=self._logins(),
            calendars=self._calendars(sessions),
        )

    def _beat(self, program: Program) -> BeatSeen:
        process = program.process
        if process not in self.present:
            now = wall_ns()
            if now - program.started_at * SECOND < _STARTING_SECONDS * SECOND:
                return BeatSeen(process, now, "degraded", "has just been started")
            return BeatSeen(process, None, detail="is not on the bus")
        try:
            told = self.desk.client.call(process, "status", {}, _SECONDS)
        except TradeprocError as error:
            return BeatSeen(process, None, detail=str(error))
        self.statuses[process] = told
        skew = told["statistics"].get("clock_skew")
        return BeatSeen(process, told["at"], told["state"], told["detail"], skew, self._starting_since(process, told))

    def _starting_since(self, process: str, told: dict[str, Any]) -> int | None:
        """Return when a start began that is not over; a trader is `starting` also while it doubts its position."""
        if told["state"] != "starting":
            return None
        if told["detail"] == _DOUBT:
            try:
                standing = self.desk.client.call(process, "state", {}, _SECONDS)["alarms"]
            except TradeprocError:
                return None
            if AlarmName.NOT_READY not in standing:
                return None
        return int(told["started_at"])

    def _sessions(self) -> Answer[list[SessionRow]]:
        try:
            now = wall_ns()
            return Known([row for row in self.store.sessions() if wanted_now(row.spec, row.desired, now)])
        except Outage as error:
            return Unknown(str(error))

    def _streams(self, sessions: Answer[list[SessionRow]]) -> Answer[tuple[StreamSeen, ...]]:
        match sessions:
            case Unknown(reason):
                return Unknown(reason)
            case Known(rows):
                return Known(tuple(stream for row in rows for stream in self._of_session(row)))

    def _of_session(self, row: SessionRow) -> list[StreamSeen]:
        spec, now = row.spec, wall_ns()
        found = []
        for kind in (f"bars-{spec.contract}-{spec.minutes}m", f"orders-{spec.account}", f"positions-{spec.account}"):
            process = f"link-{spec.login}.{kind}"
            told = self.statuses.get(process)
            if told is None:
                found.append(StreamSeen(process, False, None, self._is_open(spec, now), "its process is not running"))
                continue
            is_up = bool(told["statistics"].get("up"))
            is_open = self._is_open(spec, now)
            # an order or position stream may be silent for hours but for its heartbeats, which the feed counts
            found.append(StreamSeen(process, is_up, told["last_event_at"], is_open, told["detail"]))
        return found

    def _is_open(self, spec: SessionSpec, now: Nanos) -> bool:
        """Tell whether data should come: by the exchange's calendar, or by the tape where that is the market."""
        configured = self.desk.config
        local = f"127.0.0.1:{configured.localbroker.port}"
        if configured.localbroker.enabled and local in configured.login(spec.login).base_url:
            try:
                with LocalBroker(f"http://{local}", seconds=_SECONDS) as broker:
                    told = broker.status()
                return not (told["over"] or told["paused"])
            except TradeprocError:
                return True
        return market_hours(spec.calendar).is_open(now)

    def _orders(self, sessions: Answer[list[SessionRow]]) -> Answer[tuple[OrderWaiting, ...]]:
        match sessions:
            case Unknown(reason):
                return Unknown(reason)
            case Known(rows):
                pass
        try:
            orders = [order for row in rows for order in self.store.open_orders(row.id)]
        except Outage as error:
            return Unknown(str(error))
        open_ids = {order.id for order in orders}
        return Known(
            tuple(
                OrderWaiting(order.id, order.session, order.state.value, order.changed_at)
                for order in orders
                # a bracket's leg waits for its entry as long as that is open, which is as it should be
                if order.state in (OrderState.PRE_SENT, OrderState.PENDING) and order.parent not in open_ids
            )
        )

    def _divergences(self) -> Answer[tuple[DivergenceSeen, ...]]:
        try:
            rows = self.store.divergences()
        except Outage as error:
            return Unknown(str(error))
        return Known(tuple(DivergenceSeen(r.divergence.session, r.divergence.subject, r.divergence.at) for r in rows))

    def _alarms(self, due: Answer[list[SessionRow]]) -> Answer[tuple[AlarmSeen, ...]]:
        match due:
            case Unknown(reason):
                return Unknown(reason)
            case Known(rows):
                running = {None, *(row.id for row in rows)}
        try:
            kept = {None, *(row.id for row in self.store.sessions())}
            standing = self.store.alarms(only_standing=True)
        except Outage as error:
            return Unknown(str(error))
        return Known(
            tuple(
                AlarmSeen(row.session, row.name, row.detail, row.at, row.session in running)
                for row in standing
                if row.session in kept
            )
        )

    def _logins(self) -> Answer[tuple[LoginSeen, ...]]:
        try:
            rows = self.desk.ask(TOKENS, "logins", seconds=_SECONDS)["logins"]
        except TradeprocError as error:
            return Unknown(str(error))
        return Known(
            tuple(
                LoginSeen(row["login"], row["state"], row["expires_at"], row.get("logged_in_at"), row["detail"])
                for row in rows
            )
        )

    def _calendars(self, sessions: Answer[list[SessionRow]]) -> tuple[tuple[str, int], ...]:
        rows = sessions.value if isinstance(sessions, Known) else []
        return tuple((key, market_hours(key).horizon) for key in sorted({row.spec.calendar for row in rows}))


def _sessions_seen(
    sessions: Answer[list[SessionRow]], programs: Sequence[Program]
) -> Answer[tuple[SessionSeen, ...]]:
    up = {program.process for program in programs if program.state.is_up}
    match sessions:
        case Unknown(reason):
            return Unknown(reason)
        case Known(rows):
            return Known(
                tuple(
                    SessionSeen(
                        row.id, row.spec.name, f"session-{row.id}.trader" in up, row.changed_at, row.spec.login
                    )
                    for row in rows
                )
            )


def _program(program: Program) -> ProgramSeen:
    return ProgramSeen(f"{program.group}:{program.name}", program.state.value, program.error, program.exit_status)


def main(argv: Sequence[str] | None = None) -> int:
    """Look at the desk, print its problems, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/healthcheck",
        description="Silent and 0 when well; else one line a problem.",
        epilog="exit codes: 0 well, 1 warning, 2 critical, 3 unknown; cron: * * * * * /path/to/scripts/healthcheck",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, also when well")
    parser.add_argument("--home", metavar="FOLDER", help="the folder of supervisord.conf (default: the nearest)")
    options = parser.parse_args(argv)
    try:
        with Desk(find_home(options.home)) as desk, closing(Collector(desk)) as collector:
            problems = evaluate(collector.collect(), desk.config.health, wall_ns())
    except TradeprocError as error:
        print(
            json.dumps({"exit": UNKNOWN, "error": one_line(error)}) if options.json else f"UNKNOWN {one_line(error)}"
        )
        return UNKNOWN
    code = exit_code(problems)
    if options.json:
        rows = [{"level": each.level.value, "subject": each.subject, "text": each.text} for each in problems]
        print(json.dumps({"exit": code, "problems": rows}, indent=2))
    else:
        for problem in problems:
            print(problem)
    return code


if __name__ == "__main__":
    sys.exit(main())
