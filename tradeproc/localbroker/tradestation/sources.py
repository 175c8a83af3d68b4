"""The lines of each stream: bars, quotes, orders and positions. Each source remembers what its client was told.

Source: tradestation.md, "STREAM" sections of "Market data" and "Brokerage".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.exchange.orders import (
    ChangeKind,
    ExchangeOrder,
    OrderStatus,
    OrderUpdate,
    PositionUpdate,
    Update,
)
from tradeproc.localbroker.context import ServerContext
from tradeproc.localbroker.tradestation.market_shapes import bar_bodies, bar_body
from tradeproc.localbroker.tradestation.stream_forms import BROKERAGE, MARKET_DATA
from tradeproc.localbroker.tradestation.views import find, order_view, position_view, quote_view
from tradeproc.localbroker.up_down_bars import LiveBars
from tradeproc.localbroker.wire_forms import Line, StreamForm

_REVALUE_SECONDS = 1.0
_DAY_SECONDS = 86_400


@dataclass(slots=True)
class BarStreamSource:
    """History, then the forming bar as it changes, and each bar once more when it is closed."""

    context: ServerContext
    code: str
    minutes: int
    history: int
    form: StreamForm = MARKET_DATA
    _live: LiveBars = field(init=False)

    def snapshot(self) -> list[Line]:
        """Return the history; an unfinished bar may end it."""
        market = self.context.market
        self._live = market.live_bars(self.code, self.minutes)
        return bar_bodies(market.bars(self.code, self.minutes, self.history), self.code)

    def changes(self) -> list[Line]:
        """Return the bars that changed or are new, oldest first."""
        changed = self._live.until(self.context.market.played_until)
        return [bar_body(bar, self.code, is_realtime=True, is_end_of_history=False) for bar in changed]


@dataclass(slots=True)
class QuoteStreamSource:
    """One full quote for each symbol, then only the fields that changed."""

    context: ServerContext
    symbols: tuple[str, ...]
    form: StreamForm = MARKET_DATA
    _told: dict[str, dict[str, Any]] = field(default_factory=dict)

    def snapshot(self) -> list[Line]:
        """Return the full quotes, and an error for each unknown symbol."""
        lines: list[Line] = []
        for symbol in self.symbols:
            if find(self.context, symbol) is None:
                lines.append({"Symbol": symbol, "Error": "FAILED, INVALID SYMBOL"})
        return [*lines, *self.changes()]

    def changes(self) -> list[Line]:
        """Return what changed of each quote."""
        return [line for symbol in self.symbols if (line := self._change(symbol)) is not None]

    def _change(self, symbol: str) -> Line | None:
        code = find(self.context, symbol)
        quote = quote_view(self.context, symbol, code) if code is not None else None
        if quote is None:
            return None
        before = self._told.get(symbol)
        self._told[symbol] = quote
        if before is None:
            return quote
        changed = {key: value for key, value in quote.items() if before.get(key) != value}
        return {"Symbol": symbol, **changed, "TradeTime": quote["TradeTime"]} if changed else None


@dataclass(slots=True)
class OrderStreamSource:
    """Today's and open orders, then the full order after each change, in the sequences that were recorded."""

    context: ServerContext
    accounts: frozenset[str]
    only: frozenset[str]
    since: int
    form: StreamForm = BROKERAGE
    _revision: int = 0

    def snapshot(self) -> list[Line]:
        """Return today's and open orders, oldest first."""
        exchange = self.context.market.exchange
        self._revision = exchange.revision
        orders = [order for account in sorted(self.accounts) for order in exchange.orders(account)]
        return [
            _sorted(order_view(self.context, order))
            for order in orders
            if self._wants(order) and is_of_today(order, self.since)
        ]

    def changes(self) -> list[Line]:
        """Return the frames of the changes since the last call."""
        updates = self._updates()
        if updates is None:
            return self.snapshot()
        return [
            _sorted(frame)
            for update in updates
            if isinstance(update, OrderUpdate) and self._wants(update.order)
            for frame in self._frames(update)
        ]

    def _updates(self) -> Sequence[Update] | None:
        exchange = self.context.market.exchange
        updates = exchange.updates_since(self._revision)
        self._revision = exchange.revision
        return updates

    def _wants(self, order: ExchangeOrder) -> bool:
        return order.account in self.accounts and (not self.only or order.id in self.only)

    def _frames(self, update: OrderUpdate) -> Iterator[Line]:
        order, tell = update.order, partial(order_view, self.context)
        if update.what is ChangeKind.TRIGGERED:
            yield tell(order, status="STP")
            return
        if order.status is OrderStatus.FILLED:
            # as recorded: the fill comes first with ACK, then the final state twice, at first without its closing
            # time
            yield tell(order, status="ACK", with_closing=False)
            yield tell(order, with_closing=False)
        if order.status is OrderStatus.CANCELLED:
            yield tell(order, status="UCN", with_closing=False)
            yield tell(order, with_closing=False)
        yield tell(order)


def is_of_today(order: ExchangeOrder, since: int) -> bool:
    """Tell whether an order is open, or was opened or closed at or after `since` (wall time)."""
    return order.status.is_open or order.opened_at >= since or (order.closed_at or 0) >= since


@dataclass(slots=True)
class PositionStreamSource:
    """The positions, then each one that changed; they are revalued at most once a second while the market moves.

    With `only_changes`, a position after the snapshot is its id and the fields that changed.
    """

    context: ServerContext
    accounts: frozenset[str]
    only_changes: bool
    form: StreamForm = BROKERAGE
    _revision: int = 0
    _valued_at: int = 0
    _told: dict[str, Line] = field(default_factory=dict)

    def snapshot(self) -> list[Line]:
        """Return all positions that are not flat."""
        self._revision = self.context.market.exchange.revision
        self._valued_at = monotonic_ns()
        self._told = self._positions()
        return list(self._told.values())

    def changes(self) -> list[Line]:
        """Return the positions that changed; closed ones are marked as Deleted."""
        if not self._is_due():
            return []
        self._valued_at = monotonic_ns()
        before, self._told = self._told, self._positions()
        closed: list[Line] = [{"PositionID": key, "Deleted": True} for key in before if key not in self._told]
        changed = [
            self._difference(before.get(key, {}), line) for key, line in self._told.items() if before.get(key) != line
        ]
        return [*closed, *changed]

    def _is_due(self) -> bool:
        exchange = self.context.market.exchange
        updates = exchange.updates_since(self._revision)
        self._revision = exchange.revision
        if updates is None or any(isinstance(update, PositionUpdate) for update in updates):
            return True
        return bool(self._told) and monotonic_ns() - self._valued_at >= _REVALUE_SECONDS * SECOND

    def _positions(self) -> dict[str, Line]:
        exchange = self.context.market.exchange
        holdings = [holding for account in sorted(self.accounts) for holding in exchange.holdings(account)]
        return {holding.id: position_view(self.context, holding) for holding in holdings}

    def _difference(self, before: Line, line: Line) -> Line:
        if not self.only_changes or not before:
            return line
        return {"PositionID": line["PositionID"]} | {
            key: value for key, value in line.items() if before.get(key) != value
        }


def _sorted(line: Line) -> Line:
    # recorded frames have their keys in alphabetical order
    return dict(sorted(line.items()))


def start_of_day(now: int) -> int:
    """Return midnight UTC of the day of `now`, in nanoseconds."""
    return now - now % (_DAY_SECONDS * SECOND)
