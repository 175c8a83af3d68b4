"""The text of a message: desk, what it is about, since when, what tradeproc did, what to do; pure.

`GUIDE` has a line for each name of an alarm, which `tests/procs/notifier/test_wording.py` holds against the code.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from tradeproc.domain.texts import one_line
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.procs.notifier.alarm_sources import StandingAlarm
from tradeproc.procs.notifier.telling import Due, Message, Telling
from tradeproc.protocol.alarms import LIMIT_ALARM, Severity
from tradeproc.protocol.scopes import Scope

UNDELIVERED: Final = "undelivered"
"""The notifier's own alarm, with the number of the target: `undelivered:2`."""

# services take 1,600 characters and more, except those that send a text message; the worst comes first
_MOST_LINES, _LONGEST_TITLE, _LONGEST_LINE = 12, 120, 120
_LIST = "scripts/tradectl alarms"
_SHOW = "scripts/tradectl session show {name}"
_RESUME = "scripts/tradectl resume --session {name} --reason WHY"
_LOOK = f"Look at the broker's own screen, then {_SHOW}"
_WAIT = f"Nothing, unless it lasts: {_SHOW}"
_LOG = "Read its log in run/log, mend what it says, then scripts/tradectl status"

# name: (what tradeproc did, what to do and by which command)
GUIDE: Final[Mapping[str, tuple[str, str]]] = {
    "order_unresolved": ("It asks the broker for the order and sends nothing again.", _LOOK),
    "illegal_transition": ("It took over what the broker says now.", _LOOK),
    "order_reappeared": (
        "It watches the order until it is over at the broker.",
        f"Cancel it there if unwanted. {_LOOK}",
    ),
    "order_unknown": ("It left the order alone, because it is not its own.", _LOOK),
    "broker_unreadable": ("It takes what cannot be read for unknown and asks again.", _LOOK),
    "position_diverged": ("It took over the broker's position.", _WAIT),
    "external_change": ("It closed entries; exits go on.", f"{_LOOK}; then {_RESUME}"),
    "external_adopted": ("It took the position into the session.", _SHOW),
    "witness_disagrees": ("It makes no entries until both logins tell the same price.", _SHOW),
    "witness_missing": ("It trades on without the second login's prices.", "scripts/tradectl logins"),
    "loss_limit_reached": ("It makes exits only.", f"Decide whether to go on: {_SHOW}, then {_RESUME}"),
    "profit_unknown": ("It makes no entries, because loss limits cannot be held.", _LOOK),
    "fill_unpriced": ("It counts the fill, and asks for its price.", _WAIT),
    "position_unconfirmed": ("It goes on asking the broker.", _LOOK),
    "position_uncovered": (
        "It did what the session's stop policy says.",
        "See that a stop works at the broker, or scripts/tradectl flatten --session {name}",
    ),
    "stop_inert": (
        "It halted the login's entries, and did what the session's inert-stop policy says.",
        "Close the position at the broker, or scripts/tradectl flatten --session {name}",
    ),
    "stop_limit_left_behind": (
        "It left the order as it is.",
        "Protect the position: scripts/tradectl flatten --session {name}",
    ),
    "order_passed": ("It left the order as it is.", _LOOK),
    "close_stuck": ("It goes on trying to close.", "Close the position at the broker's own screen"),
    "closed_early": ("It closes a position that must not stay over night.", _LOOK),
    "roll_due": ("It goes on in this contract.", "scripts/tradectl roll {name}"),
    "roll_overdue": (
        "It goes on protecting the position.",
        "scripts/tradectl roll {name}, or flatten --session {name}",
    ),
    "roll_stuck": ("It goes on trying.", f"{_LOOK}; scripts/tradectl roll --list"),
    "roll_incomplete": ("It opened less in the next contract than it closed.", f"{_LOOK}; then {_RESUME}"),
    "database_down": ("Entries wait; exits go on and are kept on the disk.", "scripts/tradectl status; see run/log"),
    "lease_lost": ("It makes no entries.", "See that no other desk trades this session: scripts/tradectl status"),
    "not_ready": ("It runs no strategy before the broker has answered.", _SHOW),
    "strategy_overran": ("It took the decision late or not at all.", _SHOW),
    "strategy_failed": (
        "It made no decision on that bar; the session exits only.",
        f"Mend the strategy, then {_RESUME}",
    ),
    "strategy_off": ("It calls the strategy no more; the session exits only.", f"Mend the strategy, then {_RESUME}"),
    "row_refused": ("It kept the row in run/journal.", "Read the file there, then scripts/tradectl status"),
    "heat_warned": ("Nothing is blocked yet.", "scripts/tradectl portfolio show {name}"),
    "heat_unknown": ("It refuses entries of the portfolio; exits go on.", "scripts/tradectl portfolio show {name}"),
    "heat_blocked": ("It refuses entries of the portfolio; exits go on.", "scripts/tradectl portfolio show {name}"),
    "given_up": ("It restarts the program seldom, and halted entries that depend on it.", _LOG),
    "cannot_start": ("It tries again later.", _LOG),
    "halted": ("It leaves the program down, for only a person can mend it.", _LOG),
    "dies": ("It restarts the program each time.", _LOG),
    "declaration_unread": ("It uses careful rules for the group.", "Mend the file that the alarm names"),
    "disk_low": ("Nothing yet.", "Make room on the disk"),
    "disk_full": ("It trades on; rows may be in memory only.", "Make room on the disk now"),
    "not_flat_at_end": ("It goes on closing.", f"{_LOOK}; scripts/tradectl flatten --session {{name}}"),
    "session_conflict": ("It does not run one of the two sessions.", "scripts/tradectl session list"),
    "group_file_put_aside": ("It wrote the file anew.", "See run/groups for the file that ends with .aside"),
    "latches_unread": ("It halted the host.", "scripts/tradectl status; then scripts/tradectl resume --reason WHY"),
    "latch_refused": ("The switch holds from its file.", "scripts/tradectl status"),
    "journal_damaged": ("It put the line aside.", "Read the file in run/journal that the alarm names"),
    "journal_refused": ("It put the row aside.", "Read the file in run/journal that the alarm names"),
    UNDELIVERED: ("It tries the target again.", "scripts/tradectl alarms test"),
}


def guide(name: str) -> tuple[str, str]:
    """Return what tradeproc did, and what to do; for a name of another version, where to look."""
    known = (GUIDE[word] for word in name.split(":") if word in GUIDE)
    return next(known, ("See the alarm.", _LIST))


def _joint_guide(alarm: StandingAlarm) -> tuple[str, str] | None:
    """Return the words of a loss limit of a portfolio or an account: no single session would be resumed."""
    scope = Scope(alarm.scope)
    if scope.kind not in ("portfolio", "account") or alarm.name.partition(":")[0] != LIMIT_ALARM:
        return None
    look = "scripts/tradectl portfolio show {name}" if scope.kind == "portfolio" else "scripts/tradectl sessions"
    resume = f"scripts/tradectl resume --{scope.kind} {{name}} --reason WHY"
    return GUIDE[LIMIT_ALARM][0], f"Decide whether to go on: {look}, then {resume}"


def title_of(desk: str, message: Message) -> str:
    """Return the first line of a message."""
    worst, count = message.parts[0], len(message.parts)
    several = f"{count} alarms, the worst: " if count > 1 else ""
    return one_line(f"[{one_line(desk, 40)}] {several}{_headline(worst)}", _LONGEST_TITLE)


def _headline(part: Due) -> str:
    alarm = part.case.alarm
    word = alarm.severity.value.upper() if part.telling in (Telling.RAISED, Telling.REPEATED) else "OVER"
    return f"{word} {_about(alarm)}: {alarm.name}"


def is_critical(message: Message) -> bool:
    """Tell whether a message tells of a critical alarm that stands."""
    return any(part.case.alarm.severity is Severity.CRITICAL and part.case.over_at is None for part in message.parts)


def body_of(desk: str, message: Message) -> str:
    """Return the text of a message, at most 1,600 characters long; a summary names the worst alarms, one a line."""
    desk = one_line(desk, 40)
    if len(message.parts) > 1:
        lines = [
            one_line(
                f"{_headline(part)} ({part.telling.value}), since {_moment(part.case.alarm.since)}", _LONGEST_LINE
            )
            for part in message.parts[:_MOST_LINES]
        ]
        if more := len(message.parts) - len(lines):
            lines.append(f"and {more} more")
        return "\n".join([f"Desk {desk}: too many messages this hour, so these are told together.", *lines, _LIST])
    (part,) = message.parts
    alarm = part.case.alarm
    did, wanted = _joint_guide(alarm) or guide(alarm.name)
    lines = [f"Desk: {desk}", f"About: {_about(alarm)}", f"What: {alarm.name} ({part.telling.value})"]
    lines += [alarm.detail] if alarm.detail else []
    lines.append(f"Since: {_moment(alarm.since)}")
    if part.case.over_at is not None:
        return "\n".join([*lines, f"Over: {_moment(part.case.over_at)}"])
    name = _name(alarm)
    lines += [f"tradeproc: {did}", f"You: {wanted.replace('{name}', name)}", f"All alarms: {_LIST}"]
    return "\n".join(lines)


def _about(alarm: StandingAlarm) -> str:
    return Scope(alarm.scope).in_words


def _name(alarm: StandingAlarm) -> str:
    return Scope(alarm.scope).name or "ID"


def _moment(at: Nanos) -> str:
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
