"""What a session knew at a moment, what it decided until then, and why it did not trade: from rows and recordings.

The state is the engine's, run again over what its trader was told up to that moment (`recorded_life.py`); decisions,
alarms and blocks are rows. What is not known is a line that says why, never an empty answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tradeproc.clock import wall_ns
from tradeproc.desk.exit_status import NotFound, WrongUsage
from tradeproc.desk.recorded_life import (
    CannotReplay,
    RecordedLife,
    ReplayReport,
    Until,
    find_life,
    recorded_lives,
    run_again,
    state_rows,
)
from tradeproc.domain.units import SECOND, Nanos, iso
from tradeproc.engine.idle import why_no_entry
from tradeproc.engine.limits import closed_gate
from tradeproc.home import Home
from tradeproc.store.database import DatabaseDown
from tradeproc.store.read_only import Row
from tradeproc.store.story_rows import OrderStories

_BEATS = 10 * SECOND
"""A trader that lives records something at least so often; a recording that ends earlier ended with it."""


@dataclass(slots=True)
class RecordedMoment:
    """What the recording shows of a moment.

    `missing` says why nothing is known of it, else it is empty; `notes` are what makes the rest less certain. `why`
    is the first thing that stood against an entry, `entries` what the gate of all entries said. `state` is the
    engine's as `tradectl replay --until` shows it.
    """

    missing: str = ""
    notes: list[str] = field(default_factory=list)
    life: int | None = None
    strategy: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    entries: str = ""
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class SessionMoment:
    """A session at a moment: the recording's part, and rows.

    `decisions` are the newest five that began until then, `alarms` and `blocks` those that stood. `missing` says why
    there are no rows.
    """

    session: int
    at: Nanos
    recorded: RecordedMoment
    decisions: list[Row] = field(default_factory=list)
    alarms: list[Row] = field(default_factory=list)
    blocks: list[Row] = field(default_factory=list)
    missing: str = ""


def moment_of(stories: OrderStories, home: Home, named: str, at: Nanos) -> SessionMoment:
    """Return what a session, by number or name, knew and decided at a moment.

    Raises:
        NotFound: there is no such session.
        WrongUsage: the moment lies ahead.
    """
    if at > wall_ns():
        raise WrongUsage(f"{iso(at)} lies ahead; nothing is known of it")
    try:
        stories.begin()
        number = stories.session(named)
        if number is None:
            raise NotFound("session", named, "scripts/tradectl sessions lists them")
        told = SessionMoment(number, at, RecordedMoment())
        told.decisions = stories.decided(number, at)
        told.alarms = stories.standing(number, at)
        told.blocks = stories.between("heat_blocks", number, at, at)
    except DatabaseDown as down:
        # the recordings name their sessions too
        told = SessionMoment(find_life(home, named, None).session, at, RecordedMoment())
        told.missing = f"the database is away, so decisions, alarms and blocks are not known: {down}"
    told.recorded = recorded_moment(home, told.session, at)
    return told


def recorded_moment(home: Home, session: int, at: Nanos) -> RecordedMoment:
    """Return what the recording of a session shows of a moment."""
    kept = recorded_lives(home, session)
    if not kept:
        return RecordedMoment(f"no recording of session {session} is kept, so what it knew is not known")
    begun = [life for life in kept if life.began_at <= at]
    if not begun:
        return RecordedMoment(f"the oldest life that is recorded began at {iso(kept[0].began_at)}, after that moment")
    try:
        report = run_again(home, begun[-1], Until(at=at))
    except CannotReplay as cannot:
        return RecordedMoment(str(cannot), life=begun[-1].fence)
    return _shown(report, begun[-1], kept[len(begun) :], at)


def _shown(report: ReplayReport, life: RecordedLife, later: Sequence[RecordedLife], at: Nanos) -> RecordedMoment:
    found = RecordedMoment(life=life.fence, notes=list(report.notes))
    found.strategy = str(report.header.spec.get("strategy", ""))
    found.arguments = dict(report.header.spec.get("arguments", {}))
    until = iso(report.at)
    if report.difference is not None:
        found.missing = (
            f"the engine decides otherwise than the trader did from {iso(report.difference.at)} on, so what it knew "
            "later is not known; scripts/tradectl replay shows where"
        )
        return found
    if not report.is_whole:
        found.missing = f"the recording can be read up to {until} only: {report.ended}"
        return found
    if not report.ended and at - report.at > _BEATS:
        following = f"the next one began at {iso(later[0].began_at)}" if later else "none has begun since"
        found.missing = (
            f"no trader of it was recorded then: the life under lease {life.fence} ends at {until}, {following}"
        )
        return found
    found.why = why_no_entry(report.state, at)
    found.entries = closed_gate(report.state, at) or "allowed"
    found.state = state_rows(report.state)
    return found


def plain_moment(told: SessionMoment) -> dict[str, Any]:
    """Return a moment as a program reads it; what nobody knows is empty, and `missing` says why."""
    recorded = {name: getattr(told.recorded, name) for name in RecordedMoment.__slots__}
    rows = {name: getattr(told, name) for name in ("decisions", "alarms", "blocks", "missing")}
    return {"session": told.session, "at": told.at, "recorded": recorded, **rows}
