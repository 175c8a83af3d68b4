"""Pure: what the objects of a stream mean, one reader a stream, and how a stream can end.

A reader returns the events of one object; a `StreamEnded` among them is the last. Objects of an unknown kind are
counted and skipped, and so is a bar that cannot be read, because its next state comes soon. An order or position that
cannot be read is an event, because without one it would be taken for absent.

Source: TradeStation API v3, "HTTP Streaming" (Heartbeat, StreamStatus, Error), "Stream Orders", "Stream Positions".
"""

from collections.abc import Sequence
from typing import Protocol

from tradeproc.brokers.contract import (
    Beat,
    ListedPosition,
    SnapshotEnded,
    StreamedBar,
    StreamedOrder,
    StreamedPosition,
    StreamedUnreadable,
    StreamEnded,
    StreamEvent,
    UnreadableRecord,
)
from tradeproc.brokers.tradestation.fields import Json, text, trouble
from tradeproc.brokers.tradestation.market import read_bar
from tradeproc.brokers.tradestation.wire import Foreign, Unreadable, add_positions, read_order, read_position
from tradeproc.domain.book import Position
from tradeproc.domain.units import Contracts, Nanos

# a reconnect does not help: a wrong symbol or account, no right to the data, or another logon took over
_FATAL_TITLES = frozenset({"badrequest", "duallogon", "forbidden", "notfound", "invalidsymbol"})
_FATAL_WORDS = ("invalid symbol", "invalid_symbol", "not entitled", "not_entitled", "invalid account")


class Reader(Protocol):
    """Makes events of the objects of one stream; `skipped` counts those it skipped, `why` is the newest reason."""

    skipped: int
    why: str

    def read(self, record: Json, now: Nanos) -> Sequence[StreamEvent]:
        """Return the events of one object, none if it tells nothing."""


class BarReader:
    """Bars of one contract; `SnapshotEnded` comes once, after the bar that ends the history."""

    def __init__(self, code: str, minutes: int) -> None:
        self.skipped, self.why = 0, ""
        self._code, self._minutes = code, minutes
        self._has_history = False

    def read(self, record: Json, now: Nanos) -> Sequence[StreamEvent]:
        """Return the bar, or what the stream says of itself."""
        told = _housekeeping(record, now)
        if told is not None:
            return told
        bar = read_bar(record, self._code, self._minutes, now)
        if isinstance(bar, Unreadable):
            self.skipped, self.why = self.skipped + 1, bar.reason
            return ()
        events: list[StreamEvent] = [StreamedBar(bar, is_history=record.get("IsRealtime") is not True)]
        if record.get("IsEndOfHistory") is True and not self._has_history:
            self._has_history = True
            events.append(SnapshotEnded())
        return events


class OrderReader:
    """Orders of one account."""

    def __init__(self) -> None:
        self.skipped, self.why = 0, ""

    def read(self, record: Json, now: Nanos) -> Sequence[StreamEvent]:
        """Return the order in full, or what the stream says of itself."""
        told = _housekeeping(record, now)
        if told is not None:
            return told
        if "OrderID" not in record and "Legs" not in record:
            self.skipped, self.why = self.skipped + 1, "no OrderID"
            return ()
        match read_order(record):
            case Foreign():
                return ()
            case UnreadableRecord() as unread:
                return (StreamedUnreadable(unread),)
            case order:
                return (StreamedOrder(order),)


class PositionReader:
    """Positions of one account; it remembers the lots by id, because a closed one is reported by its id only."""

    def __init__(self) -> None:
        self.skipped, self.why = 0, ""
        self._lots: dict[str, ListedPosition] = {}

    def read(self, record: Json, now: Nanos) -> Sequence[StreamEvent]:
        """Return the contract's position in full, or what the stream says of itself."""
        told = _housekeeping(record, now)
        if told is not None:
            return told
        lot_id = text(record, "PositionID")
        if record.get("Deleted") is True:
            gone = self._lots.pop(lot_id, None)
            return () if gone is None else (self._event_of(gone),)
        if not lot_id and "Symbol" not in record:
            self.skipped, self.why = self.skipped + 1, "no PositionID"
            return ()
        lot = read_position(record)
        if isinstance(lot, Foreign):
            return ()
        if not lot_id:
            # without an id, the report that this lot is closed could not be matched to it
            return (
                StreamedUnreadable(UnreadableRecord("", lot.account, lot.contract, "a position without PositionID")),
            )
        self._lots[lot_id] = lot
        return (self._event_of(lot),)

    def _event_of(self, lot: ListedPosition) -> StreamEvent:
        """Return the position of the lot's contract, unreadable while one of its lots cannot be read."""
        same = [other for other in self._lots.values() if other.contract in ("", lot.contract)]
        for other in same:
            if isinstance(other, UnreadableRecord):
                return StreamedUnreadable(other)
        if not lot.contract:
            return StreamedUnreadable(UnreadableRecord("", lot.account, "", "a lot that could not be read is closed"))
        held = add_positions(each for each in same if isinstance(each, Position) and each.account == lot.account)
        return StreamedPosition(held[0] if held else Position(lot.account, lot.contract, Contracts(0), None))


def _housekeeping(record: Json, now: Nanos) -> Sequence[StreamEvent] | None:
    """Return the events of an object that every stream may send; None for a record of the stream's own kind."""
    if "Heartbeat" in record:
        return (Beat(now),)
    status = text(record, "StreamStatus").lower()
    if status == "endsnapshot":
        return (SnapshotEnded(),)
    if status == "goaway":
        return (StreamEnded("the server is about to go away", is_polite=True),)
    if status:
        return ()
    if trouble(record) is not None:
        return (ended_by_error(record),)
    return None


def ended_by_error(record: Json) -> StreamEnded:
    """Return how an error object ends a stream; after any error the client has to close the connection."""
    said, title = trouble(record) or "an error without a name", text(record, "Error").lower()
    if title == "goaway":
        return StreamEnded(said, is_polite=True)
    return StreamEnded(said, is_fatal=title in _FATAL_TITLES or _has(said, _FATAL_WORDS))


def ended_by_status(status: int, body: Json | None) -> StreamEnded:
    """Return how a status other than 200 ends a stream; only the broker's own error object can make it fatal."""
    if body is None or trouble(body) is None:
        return StreamEnded(f"refused with status {status}")
    ended = ended_by_error(body)
    is_fatal = ended.is_fatal and status in (400, 403, 404)
    return StreamEnded(f"refused with status {status}: {ended.reason}", is_fatal=is_fatal)


def ended_by_bytes(reason: str) -> StreamEnded:
    """Return how bytes that are no JSON end a stream; older servers write some errors as plain text."""
    return StreamEnded(reason, is_fatal=_has(reason, _FATAL_WORDS))


def _has(text_: str, words: Sequence[str]) -> bool:
    lowered = text_.lower()
    return any(word in lowered for word in words)
