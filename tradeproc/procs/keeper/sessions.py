"""What the keeper knows of sessions: the row of the database beside the programs of supervisord."""

from collections.abc import Collection, Iterable, Mapping

from tradeproc.clock import wall_ns
from tradeproc.domain.wanted import next_change, wanted_now
from tradeproc.engine.events import concerns
from tradeproc.procs.portfolio.sums import most_severe
from tradeproc.protocol import names
from tradeproc.protocol.session_messages import SessionBody
from tradeproc.store.rows import SessionRow
from tradeproc.supervision.client import Program, ProgramState
from tradeproc.supervision.wanted_groups import WantedSession


def wanted_of(row: SessionRow) -> WantedSession:
    """Return what the pure steps need to know of a session."""
    spec = row.spec
    return WantedSession(row.id, spec.login, spec.account, spec.root, spec.data_login, spec.witness_login)


class SessionView:
    """The newest look at supervisord and at the latches; everything the keeper answers about sessions.

    `portfolios` are those of the sessions that are in one, by number; empty while no portfolio is latched.
    """

    def __init__(self) -> None:
        self.latches: Mapping[str, str] = {}
        self.portfolios: Mapping[int, str] = {}
        self._programs: dict[str, list[Program]] = {}
        self._conflicts: Mapping[int, int] = {}

    def seen(self, programs: Iterable[Program], conflicts: Mapping[int, int]) -> None:
        """Take a new look."""
        self._programs = {}
        for program in programs:
            self._programs.setdefault(program.group, []).append(program)
        self._conflicts = conflicts

    def has_group(self, session: int) -> bool:
        """Tell whether supervisord has the session's group."""
        return names.session_group(session) in self._programs

    def body(self, row: SessionRow) -> SessionBody:
        """Return a session for people: specification, what should be, what is."""
        programs = self._programs.get(names.session_group(row.id), [])
        holder = self._conflicts.get(row.id)
        now = wall_ns()
        return SessionBody(
            id=row.id,
            name=row.spec.name,
            spec=row.spec.to_dict(),
            desired=row.desired,
            is_due=wanted_now(row.spec, row.desired, now),
            next_change_at=next_change(row.spec, row.desired, now),
            state=_state(programs),
            trading_state=self.trading_state(row.id, row.spec.logins, row.spec.account),
            programs={program.name: program.state.value for program in programs},
            conflict=f"session {holder} trades the same account and product" if holder else "",
            fence=row.fence,
            holder=row.holder,
            created_at=row.created_at,
            changed_at=row.changed_at,
        )

    def trading_state(self, session: int, logins: Collection[str] = (), account: str | None = None) -> str:
        """Return the most severe of the latches that concern a session."""
        portfolio = self.portfolios.get(session, "")
        counting = [
            state for scope, state in self.latches.items() if concerns(scope, session, logins, portfolio, account)
        ]
        return most_severe(counting)


def _state(programs: Iterable[Program]) -> str:
    states = {program.state for program in programs}
    if not states:
        return "stopped"
    if states == {ProgramState.RUNNING}:
        return "running"
    if ProgramState.STOPPING in states:
        return "stopping"
    return "starting" if all(state.is_up for state in states) else "down"
