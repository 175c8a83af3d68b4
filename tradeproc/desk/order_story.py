"""Gathers the whole story of an order: its rows, and the event it was decided on from the trader's recording."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tradeproc.desk.exit_status import NotFound, WrongUsage
from tradeproc.desk.recorded_life import recorded_lives, whole_lines
from tradeproc.domain.candles import Candle
from tradeproc.domain.session import is_session_number
from tradeproc.domain.units import SECOND
from tradeproc.engine import events
from tradeproc.engine.recording import BadRecording, read_event
from tradeproc.home import Home
from tradeproc.store.story_rows import OrderStories, Row

NOT_RECORDED = "not recorded any more"
_AFTER = 60 * SECOND


@dataclass(frozen=True, slots=True)
class DecidedOn:
    """The event on which an order was made, and the newest closed bar then; `why` says why either is unknown."""

    event: str = "unknown"
    candle: Candle | None = None
    why: str = ""


@dataclass(slots=True)
class OrderStory:
    """All rows of an order, its bracket's entry first; `asked` is the one that a person named."""

    asked: Row
    orders: list[Row]
    decided_on: DecidedOn
    decisions: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    fills: list[Row] = field(default_factory=list)
    trades: list[Row] = field(default_factory=list)
    divergences: list[Row] = field(default_factory=list)
    alarms: list[Row] = field(default_factory=list)


def story_of(stories: OrderStories, home: Home, named: str, session: str | None) -> OrderStory:
    """Return the story of an order.

    Raises:
        NotFound: there is no such order, or no such session.
        WrongUsage: several orders are named so.
        DatabaseDown: the database is away.
    """
    stories.begin()
    asked = _find(stories, named, session)
    number, orders = asked["session"], stories.family(asked["parent"] or asked["id"])
    entry = orders[0] if orders else asked
    ids = [row["id"] for row in orders]
    at_broker = [row["broker_id"] for row in orders if row["broker_id"]]
    until = max(row["changed_at"] for row in orders)
    return OrderStory(
        asked,
        orders,
        decided_on(home, number, entry["created_at"]),
        decisions=stories.decisions(number, entry["created_at"]),
        events=stories.of_orders("events", number, ids),
        fills=stories.of_orders("fills", number, ids),
        trades=stories.of_orders("trades", number, ids),
        divergences=stories.of_orders("divergences", number, [*ids, *at_broker]),
        alarms=stories.alarms(number, entry["created_at"], until + _AFTER),
    )


def _find(stories: OrderStories, named: str, session: str | None) -> Row:
    number = None
    if session is not None:
        number = stories.session(session)
        if number is None:
            raise NotFound("session", session, "scripts/tradectl sessions lists them")
    found = stories.named(named, number)
    if not found and number is not None and is_session_number(named):
        found = stories.numbered(int(named), number)
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
                return _told(line, candles)
            if b'"CandleReceived"' in line:
                candles.append(line)
            if not line.startswith(b"{") and int(line[1 : line.index(b",")]) > made_at:
                return DecidedOn(candle=_newest(candles), why="nothing that was recorded has that moment")
    except (BadRecording, ValueError) as bad:
        return DecidedOn(why=str(bad))
    # the last recording before that moment ended too early: it is of another life, or was cut
    return DecidedOn(why=NOT_RECORDED)


def _told(line: bytes, candles: deque[bytes]) -> DecidedOn:
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
    found, candle = story.decided_on, story.decided_on.candle
    bar = None if candle is None else {name: getattr(candle, name) for name in candle.__slots__}
    rows = ("orders", "decisions", "events", "fills", "trades", "divergences", "alarms")
    return {
        "order": story.asked["id"],
        "session": story.asked["session"],
        "decided_on": {"event": found.event, "bar": bar, "why": found.why},
        **{name: getattr(story, name) for name in rows},
    }
