"""Alarms: one shape wherever they come from, and how bad each is; pure."""

from enum import StrEnum
from typing import Final

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Nanos
from tradeproc.protocol import scopes
from tradeproc.protocol.definitions import Topic
from tradeproc.protocol.names import GroupName, ProcessName, session_group
from tradeproc.protocol.scopes import Scope


class Severity(StrEnum):
    """How bad an alarm is: critical when money may be in danger, else something that a person should look at."""

    WARNING = "warning"
    CRITICAL = "critical"


_CRITICAL: Final = frozenset(
    {"position_uncovered", "order_reappeared", "close_stuck", "lease_lost", "strategy_failed", "strategy_off"}
    | {"disk_full", "given_up", "cannot_start", "halted", "dies", "not_flat_at_end"}
    | {"latches_unread", "latch_refused", "stop_inert", "loss_limit_reached"}
    | {"roll_overdue", "roll_stuck", "roll_incomplete"}
)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A trouble that a person should know of: it stands, or it is over (`cleared`).

    `who` raised it (None: a process of an earlier version, which did not say so), `scope` is what it is about,
    `since` when it was raised. `name` of the warden's names the program too, as `given_up:trader`, and the group
    where that is not a session's, as `core:given_up:jobs`.
    """

    who: ProcessName | None
    name: str
    scope: Scope
    severity: Severity
    since: Nanos
    detail: str
    cleared: bool


def words_of(name: str) -> frozenset[str]:
    """Return the words of an alarm's name that say what it is.

    The name of a portfolio or an account is none of them: a person may have called it like another alarm.
    """
    first = name.partition(":")[0]
    if first in (*PORTFOLIO_ALARMS, LIMIT_ALARM):
        return frozenset((first,))
    return frozenset(name.split(":"))


def severity_of(name: str) -> Severity:
    """Return how bad an alarm of that name is."""
    return Severity.CRITICAL if words_of(name) & _CRITICAL else Severity.WARNING


def name_in_group(group: GroupName, name: str) -> str:
    """Return the name of an alarm about a group of processes: one that is no session's is part of the name."""
    return f"{group}:{name}" if group.session is None else name


def scope_of(group: GroupName) -> Scope:
    """Return what an alarm about a group is about."""
    if group.session is not None:
        return scopes.of_session(group.session)
    return scopes.HOST if group.login is None else scopes.of_login(group.login)


def group_and_name(session: int | None, name: str) -> tuple[GroupName, str]:
    """Return the group that a kept alarm is about, and its name in that group: the way back of `name_in_group`.

    An alarm of the host alone has no group; its name then stands in the place of one.
    """
    if session is not None:
        return session_group(session), name
    group, _, name = name.partition(":")
    return GroupName(group), name


PORTFOLIO_ALARMS: Final = ("heat_blocked", "heat_warned", "heat_unknown")
"""The first words of alarms about a portfolio; its name follows, as `heat_blocked:main`."""


LIMIT_ALARM: Final = "loss_limit_reached"
"""The alarm of a loss limit: of a session by this name alone, of others with the scope, as `…:portfolio:main`."""


def scope_of_kept(session: int | None, name: str) -> Scope:
    """Return what a kept alarm is about."""
    first, _, portfolio = name.partition(":")
    if session is None and first == LIMIT_ALARM:
        return Scope.parse(portfolio)
    if session is None and first in PORTFOLIO_ALARMS:
        return scopes.of_portfolio(portfolio)
    return scope_of(group_and_name(session, name)[0])


ALARM: Topic[Alarm] = Topic("alarm", Alarm, ("trader", "warden", "portfolio"))
