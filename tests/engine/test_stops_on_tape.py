"""Real prices, with stops, targets and moves all along: nobody is told of a stop that does nothing.

And the same prices at a broker whose stops are inert from some moment on: it is told, every time. Played are an
evening of trades of ES, and minutes of 6E around a report, over a weekend's gap and at the open after it. Its whole
month (29,996 minutes, 6,846 stops hit) was played once in the same way, on 2026-11-28, and nobody was told of any.
"""

import csv
import gzip
import importlib.resources
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest

from tests.engine.desk import Desk, Faults, Scripted
from tests.engine.exchange_broker import ExchangeBroker
from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import Side
from tradeproc.domain.units import MINUTE, SECOND, Contracts, Nanos
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.exchange.orders import ExchangeOrder
from tradeproc.strategies.contract import (
    NOTHING,
    ClosePosition,
    Decision,
    ModifyOrders,
    OrderChange,
    SubmitBracket,
    View,
)
from tradeproc.testing.candles import Trade

WATCHED = {"stop_inert", "stop_limit_left_behind", "order_passed"}
TAPE = importlib.resources.files("tradeproc.localbroker") / "tapes" / "ESH4_trades_2023-12-25.csv.gz"
MINUTES = Path(__file__).parent / "tapes" / "6EH4_1min_2024-01-05.csv.gz"
_LONGEST_PAUSE = 90 * SECOND


def shipped() -> Iterator[Trade]:
    """Return the trades of the shipped tape."""
    with TAPE.open("rb") as packed, gzip.open(packed, "rt") as rows:
        for row in csv.DictReader(rows):
            yield int(row["ts_event_ns"]), float(row["price"]), int(row["size"])


def minutes(path: Traversable) -> Iterator[Trade]:
    """Return four trades a bar, at its open, its extremes and its close, at moments of the minute that vary."""
    with path.open("rb") as packed, gzip.open(packed, "rt") as rows:
        for number, row in enumerate(csv.DictReader(rows)):
            began = datetime.fromisoformat(row["timestamp_utc"]).replace(tzinfo=UTC)
            ends = ("high", "low") if number % 2 else ("low", "high")
            for part, name in enumerate(("open", *ends, "close")):
                second = 15 * part + (number * 7 + part * 3) % 14
                yield int(began.timestamp() + second) * SECOND, float(row[name]), max(1, int(row["volume"]) // 4)


class Close(Scripted):
    """Always in the market, alternately long and short, with near stops, some of them trailed."""

    def on_candle(self, view: View, state: int, arguments: object) -> tuple[Decision, int]:
        close, tick = view.candle.close, float(view.instrument.tick_size)
        if view.is_idle:
            side = list(Side)[state % 2]
            stop = close - side.sign * (2 + state % 3) * tick
            target = close + side.sign * (3 + state % 2) * tick
            return SubmitBracket(side, Contracts(2), stop_loss=stop, profit_target=target), state + 1
        stop_loss = view.stop_loss
        if view.position and stop_loss is None:
            return ClosePosition("its stop was rejected, because the market had passed it"), state + 1
        if stop_loss is not None and stop_loss.state.is_working and state % 3 == 0:
            sign = 1 if view.position > 0 else -1
            return ModifyOrders((OrderChange(stop_loss.id, stop=close - sign * 2 * tick),)), state
        return NOTHING, state


@dataclass
class Player:
    """Plays trades at the exchange and tells the session of its candles as a feed does: forming ones, then closed."""

    desk: Desk
    minute: int = 0
    bar: Candle | None = None
    heard: int = field(default=0)

    def play(self, trades: Iterator[Trade]) -> None:
        for at, price, size in trades:
            self._wait_until(at)
            self.desk.broker.now = self.desk.now
            self.desk.broker.trade(Decimal(str(price)))
            self._hear(at, price, size)
        self.desk.run(10)

    def _wait_until(self, at: int) -> None:
        if at - self.desk.now > _LONGEST_PAUSE:
            self.desk.run(60, beat=1)  # the market is closed: its minutes need not all be lived
            self.desk.now = Nanos(at - SECOND)
        while at - self.desk.now > 0:
            self.desk.run(min(0.5, (at - self.desk.now) / SECOND), beat=0.5)

    def _hear(self, at: int, price: float, size: int) -> None:
        bar = self.bar
        if bar is not None and at >= bar.closed_at:
            self.desk.tell(events.CandleReceived(replace(bar, is_closed=True)))
            bar = None
        if bar is None:
            opened = at // MINUTE * MINUTE
            bar = Candle(Nanos(opened), Nanos(opened + MINUTE), price, price, price, price, 0, 0, is_closed=False)
        self.bar = replace(
            bar,
            high=max(bar.high, price),
            low=min(bar.low, price),
            close=price,
            volume=bar.volume + size,
            ticks=bar.ticks + 1,
        )
        self.desk.tell(events.CandleReceived(self.bar))


def played(trades: Iterator[Trade], *, executes: int = 10**9, contract: str = "ESH24", **faults: float) -> Desk:
    """Return a desk after a tape; only the first `executes` stops that the market reaches do something."""
    first = next(trades)
    broker = ExchangeBroker(start=Decimal(str(first[1])), contract=contract)
    desk = Desk(Close(), broker=broker, faults=Faults(**faults), now=first[0], contract=contract)
    desk.start(history=0)
    reached: dict[str, int] = {}

    def is_inert(order: ExchangeOrder) -> bool:
        number = reached.setdefault(order.id, len(reached)) if order.stop is not None else -1
        return number >= executes

    broker.exchange.is_inert = is_inert
    Player(desk).play(trades)
    return desk


def raised(desk: Desk) -> list[str]:
    return [each.name for each in desk.all_of(do.RaiseAlarm) if each.name in WATCHED]


@pytest.mark.parametrize("slowest", [0.0, 1.0])
def test_over_a_real_evening_no_stop_is_called_inert(slowest: float) -> None:
    desk = played(shipped(), slowest=slowest)

    stops = [order for order in desk.orders if order.type.has_stop]
    assert sum(order.filled > 0 for order in stops) >= 10, "stops were hit"
    assert desk.state.strategy.failure == ""
    assert raised(desk) == []
    assert desk.all_of(do.KeepLatch) == []


@pytest.mark.parametrize("slowest", [0.0, 1.0])
def test_over_a_report_and_a_weekend_no_stop_is_called_inert(slowest: float) -> None:
    desk = played(minutes(MINUTES), contract="6EH24", slowest=slowest)

    stops = [order for order in desk.orders if order.type.has_stop]
    assert sum(order.filled > 0 for order in stops) >= 10, "stops were hit"
    assert desk.state.strategy.failure == ""
    assert raised(desk) == []
    assert desk.all_of(do.KeepLatch) == []


@pytest.mark.parametrize("executes", [0, 5])
def test_over_the_same_evening_a_broker_whose_orders_do_nothing_is_found(executes: int) -> None:
    desk = played(shipped(), executes=executes)

    assert "stop_inert" in raised(desk)
    assert desk.state.engine.latches["login:paper"] is events.TradingState.HALTED
