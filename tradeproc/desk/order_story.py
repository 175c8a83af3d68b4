"""Gathers the whole story of an order: its rows, and the event it was decided on from the trader's recording.

Rows that still wait in the trader's journal are told with the others and as such (`waiting`); while the database is
away they are all that is told.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tradeproc.desk.exit_status import NotFound, WrongUsage
from tradeproc.desk.recorded_life import CannotReplay, RecordedLife, recorded_lives, whole_lines
from tradeproc.desk.unwritten_rows import UnwrittenRows, unwritten_rows
from tradeproc.domain.candles import Candle
from tradeproc.domain.session import is_session_number
from tradeproc.domain.units import SECOND
from tradeproc.engine import events
from tradeproc.engine.recording import BadRecording, read_event
from tradeproc.home import Home
from tradeproc.store.database import DatabaseDown
from tradeproc.store.read_only import Row
from tradeproc.store.story_rows import OrderStories

NOT_RECORDED = "not recorded any more"
_AFTER = 60 * SECOND
_MOST_REFUSED = 50


@dataclass(frozen=True, slots=True)
class DecidedOn:
    """The event on which an order was made, and the newest closed bar then; `why` says why either is unknown.

    `strategy` and `arguments` are those of that life, empty where they are not recorded.
    """

    event: str = "unknown"
    candle: Candle | None = None
    why: str = ""
    strategy: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class OrderStory:
    """All rows of an order, its bracket's entry first; `asked` is the one that a person named.

    `heat` are answers to its questions for heat, `blocks` what its portfolio refused then, `rolls` the steps of the
    rolls that it belongs to, `outside` what moved the position meanwhile by no order of ours. `missing` says why the
    database told nothing.
    """

    asked: Row
    orders: list[Row]
    decided_on: DecidedOn
    decisions: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    fills: list[Row] = field(default_factory=list)
    trades: list[Row] = field(default_factory=list)
    divergences: list[Row] = field(default_factory=list)
    alarms: list[Row] = field(default_factory=list)
    heat: list[Row] = field(default_factory=list)
    blocks: list[Row] = field(default_factory=list)
    rolls: list[Row] = field(default_factory=list)
    outside: list[Row] = field(default_factory=list)
    missing: str = ""


@dataclass(frozen=True, slots=True)
class RefusedStory:
    """The newest refused decisions of a session, oldest first, and what the newest was decided on."""

    session: int
    refused: list[Row]
    decided_on: DecidedOn


def story_of(stories: OrderStories, home: Home, named: str, session: str | None) -> OrderStory:
    """Return the story of an order.

    Raises:
        NotFound: there is no such order, or no such session.
        WrongUsage: several orders are named so.
        DatabaseDown: the database is away, and no journal holds the order.
    """
    try:
        stories.begin()
        asked = _find(stories, home, named, session)
        return _told(stories, home, asked)
    except DatabaseDown as down:
        number = int(session) if session is not None and is_session_number(session) else None
        waiting = unwritten_rows(home, number)
        found = waiting.named(named)
        if not found:
            raise
        story = OrderStory(found[0], [], decided_on(home, found[0]["session"], found[0]["created_at"]))
        story.missing = f"the database is away, so only what waits in the journal is told: {down}"
        return _with_waiting(story, waiting)


def refused_of(stories: OrderStories, home: Home, session: str) -> RefusedStory:
    """Return what a session's strategy wanted and did not get, the newest fifty kinds.

    Raises:
        NotFound: there is no such session.
        DatabaseDown: the database is away.
    """
    stories.begin()
    number = stories.session(session)
    if number is None:
        raise NotFound("session", session, "scripts/tradectl sessions lists them")
    refused = stories.refused(number, _MOST_REFUSED)
    told = decided_on(home, number, refused[-1]["at"]) if refused else DecidedOn()
    return RefusedStory(number, refused, told)


def _told(stories: OrderStories, home: Home, asked: Row) -> OrderStory:
    number, waiting = asked["session"], unwritten_rows(home, asked["session"])
    orders = stories.family(asked["parent"] or asked["id"])
    entry = orders[0] if orders else asked
    family = [*orders, *waiting.family(entry["id"])]
    ids = list(dict.fromkeys(row["id"] for row in family))
    at_broker = [row["broker_id"] for row in family if row["broker_id"]]
    since, until = entry["created_at"], max(row["changed_at"] for row in family) + _AFTER
    story = OrderStory(
        asked,
        orders,
        decided_on(home, number, since),
        decisions=stories.decisions(number, since),
        events=stories.of_orders("events", number, ids),
        fills=stories.of_orders("fills", number, ids),
        trades=stories.of_orders("trades", number, ids),
        divergences=stories.of_orders("divergences", number, [*ids, *at_broker]),
        alarms=stories.alarms(number, since, until),
        heat=stories.of_orders("heat_answers", number, ids),
        rolls=stories.of_orders("rolls", number, ids),
    )
    ours = {row["number"] for row in story.fills}
    story.outside = [row for row in stories.between("outside", number, since, until) if row["number"] not in ours]
    story.blocks = stories.between("heat_blocks", number, since, until)
    return _with_waiting(story, waiting)


def _with_waiting(story: OrderStory, waiting: UnwrittenRows) -> OrderStory:
    """Add what waits in the journal; a row that is in the database too is told once, the newer one of an order."""
    first = story.orders[0]["id"] if story.orders else story.asked["parent"] or story.asked["id"]
    rows = {row["id"]: row for row in story.orders}
    for row in waiting.family(first):
        if row["id"] not in rows or row["revision"] >= rows[row["id"]]["revision"]:
            rows[row["id"]] = {**rows.get(row["id"], {}), **row}
    story.orders = sorted(rows.values(), key=lambda row: (row["created_at"], row["id"]))
    story.asked = rows.get(story.asked["id"], story.asked)
    names = {*rows, *(row["broker_id"] for row in rows.values() if row["broker_id"])}
    told = {row["fingerprint"] for row in story.events}
    story.events += [row for row in waiting.events if row["order_id"] in rows and row["fingerprint"] not in told]
    booked = {(row["order_id"], row["cumulative"], row["at"]) for row in story.fills}
    story.fills += [
        row
        for row in waiting.fills
        if row["order_id"] in rows and (row["order_id"], row["cumulative"], row["at"]) not in booked
    ]
    story.divergences += [row for row in waiting.divergences if row["subject"] in names]
    until = max(row["changed_at"] for row in rows.values()) + _AFTER
    since = story.orders[0]["created_at"]
    raised = {(row["name"], row["at"]) for row in story.alarms}
    story.alarms += [
        row
        for row in waiting.alarms
        if row["session"] == story.asked["session"]
        and since <= row["at"] <= until
        and (row["name"], row["at"]) not in raised
    ]
    steps = {(row["id"], row["step"], row["at"]) for row in story.rolls}
    story.rolls += [
        row
        for row in waiting.rolls
        if rows.keys() & {*row["close_orders"].split(), *row["entry_orders"].split()}
        and (row["id"], row["step"], row["at"]) not in steps
    ]
    return story


def _find(stories: OrderStories, home: Home, named: str, session: str | None) -> Row:
    number = None
    if session is not None:
        number = stories.session(session)
        if number is None:
            raise NotFound("session", session, "scripts/tradectl sessions lists them")
    found = stories.named(named, number)
    if not found and number is not None and is_session_number(named):
        found = stories.numbered(int(named), number)
    if not found:
        found = unwritten_rows(home, number).named(named)
    if not found:
        raise NotFound("order", named, "scripts/tradectl orders lists the newest; a row number needs --session")
    if len(found) > 1:
        them = ", ".join(row["id"] for row in found)
        raise WrongUsage(f"several orders are called {named}: {them}; give the client order id of the one you mean")
    return found[0]


def decided_on(home: Home, session: int, made_at: int) -> DecidedOn:
    """Return the event that was told when an order was made, from the recording of that life."""
    chosen = [life for life in recorded_lives(home, session) if life.began_at <= made_at]
    if not chosen:
        return DecidedOn(why=NOT_RECORDED)
    candles: deque[bytes] = deque(maxlen=500)
    at = b"[%d," % made_at
    try:
        for line in whole_lines(chosen[-1].parts):
            if line.startswith(at) and b'"TimePassed"' not in line:
                return _of_life(chosen[-1], _read(line, candles))
            if b'"CandleReceived"' in line:
                candles.append(line)
            if not line.startswith(b"{") and int(line[1 : line.index(b",")]) > made_at:
                return DecidedOn(candle=_newest(candles), why="nothing that was recorded has that moment")
    except (BadRecording, ValueError) as bad:
        return DecidedOn(why=str(bad))
    # the last recording before that moment ended too early: it is of another life, or was cut
    return DecidedOn(why=NOT_RECORDED)


def _of_life(life: RecordedLife, found: DecidedOn) -> DecidedOn:
    try:
        spec = life.header().spec
    except CannotReplay:
        return found
    return replace(found, strategy=str(spec.get("strategy", "")), arguments=spec.get("arguments", {}))


def _read(line: bytes, candles: deque[bytes]) -> DecidedOn:
    event = read_event(line).event
    if event is None:
        return DecidedOn(why="events were lost when it was recorded")
    if isinstance(event, events.CandleReceived):
        candles.append(line)
    return DecidedOn(type(event).__name__, _newest(candles))


def _newest(candles: deque[bytes]) -> Candle | None:
    while candles:
        event = read_event(candles.pop()).event
        if isinstance(event, events.CandleReceived) and event.candle.is_closed:
            return event.candle
    return None


def plain_story(story: OrderStory) -> dict[str, Any]:
    """Return a story as a program reads it: rows as the database has them; what nobody knows is None."""
    rows = ("orders", "decisions", "events", "fills", "trades", "divergences", "alarms")
    more = ("heat", "blocks", "rolls", "outside")
    return {
        "order": story.asked["id"],
        "session": story.asked["session"],
        "decided_on": plain_decided_on(story.decided_on),
        **{name: getattr(story, name) for name in (*rows, *more)},
        "missing": story.missing,
    }


def plain_decided_on(found: DecidedOn) -> dict[str, Any]:
    """Return what was decided on as a program reads it."""
    candle = found.candle
    bar = None if candle is None else {name: getattr(candle, name) for name in candle.__slots__}
    plain = {"event": found.event, "bar": bar, "why": found.why}
    return {**plain, "strategy": found.strategy, "arguments": dict(found.arguments)}
