"""What the one-screen view shows, as values; filled by watch.py, drawn by view.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tradeproc.cli.chart import ChartBar
from tradeproc.domain.book import Fill
from tradeproc.domain.candles import Candle
from tradeproc.domain.units import Price
from tradeproc.protocol.process_messages import Heartbeat
from tradeproc.protocol.trader_messages import OrderBody, SessionState

_OPEN = frozenset({"pre_sent", "pending", "submitted", "partially_filled"})


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    """A process as its last heartbeat told; `heard_at` and `lag_ns` are nanoseconds, `heard_at` monotonic."""

    name: str
    state: str
    heard_at: int
    lag_ns: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FillSeen:
    """A fill of the session; `market_at` places it in the chart, 0 when unknown. A `price` of None is unknown."""

    side: str
    quantity: int
    price: Price | None
    market_at: int
    at: int


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """An order of the session."""

    id: str
    side: str
    quantity: int
    filled: int
    type: str
    price: str
    role: str
    state: str

    @property
    def is_open(self) -> bool:
        """Tell whether it may still fill."""
        return self.state in _OPEN


@dataclass(frozen=True, slots=True)
class Screen:
    """Everything the view shows at one moment.

    `summary` is the trader's own state, None before it has told any; `speed` how much faster than the wall clock
    market time runs; `programs` what supervisord says of each process; `tick` the step of prices in points; `note`
    what people should know of the market; `death` the newest death of a process in the last minutes, empty when
    there was none.
    """

    title: str = ""
    account: str = ""
    hint: str = ""
    speed: float | None = None
    wall_at: int | None = None
    market_at: int | None = None
    summary: SessionState | None = None
    candles: Mapping[int, Candle] = field(default_factory=dict)
    orders: Mapping[str, OrderSeen] = field(default_factory=dict)
    fills: tuple[FillSeen, ...] = ()
    processes: Mapping[str, ProcessSeen] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    tick: float = 0.01
    note: str = ""
    death: str = ""

    @property
    def bars(self) -> list[ChartBar]:
        """Return the candles for the chart, oldest first, with our trades marked on them."""
        bars = []
        for candle in sorted(self.candles.values(), key=lambda each: each.opened_at):
            mark = sum(
                fill.quantity * (1 if fill.side == "buy" else -1)
                for fill in self.fills
                if candle.opened_at <= fill.market_at < candle.closed_at
            )
            bars.append(ChartBar(candle.open, candle.high, candle.low, candle.close, candle.is_closed, mark))
        return bars

    @property
    def closed_bars(self) -> int:
        """Return how many closed candles there are."""
        return sum(candle.is_closed for candle in self.candles.values())

    @property
    def open_orders(self) -> list[OrderSeen]:
        """Return the orders that may still fill, newest last."""
        return [order for order in self.orders.values() if order.is_open]

    @property
    def lag_ns(self) -> int | None:
        """Return the largest lag on the bus that any process told in its last heartbeat."""
        return max((process.lag_ns for process in self.processes.values()), default=None)

    @property
    def decimals(self) -> int:
        """Return how many decimals a price has: those of the tick."""
        return len(f"{self.tick:.10f}".rstrip("0").partition(".")[2])

    @property
    def alarms(self) -> str:
        """Return what wants a person's attention, as one line."""
        told = {} if self.summary is None else self.summary.alarms
        return "; ".join(f"{name}: {detail}" if detail else name for name, detail in sorted(told.items()))

    def with_summary(self, state: SessionState) -> "Screen":
        """Return the screen with a trader's state applied, which names all orders that can still fill."""
        screen = replace(self, summary=state, orders={})
        for order in state.orders:
            screen = screen.with_order(order)
        return screen

    def with_candle(self, candle: Candle) -> "Screen":
        """Return the screen with a candle applied."""
        return replace(self, candles={**self.candles, candle.opened_at: candle})

    def with_order(self, told: OrderBody) -> "Screen":
        """Return the screen with an order of the session applied."""
        order = OrderSeen(
            id=told.id,
            side=told.side.value,
            quantity=told.quantity,
            filled=told.filled,
            type=told.type.value,
            price=price_of_order(told.limit_price, told.stop_price),
            role=told.role.value,
            state=told.state.value,
        )
        return replace(self, orders={**self.orders, order.id: order})

    def with_fill(self, fill: Fill) -> "Screen":
        """Return the screen with a fill applied; a fill told twice is kept once."""
        seen = FillSeen(fill.side.value, fill.quantity, fill.price, fill.market_at, fill.at)
        if seen in self.fills:
            return self
        return replace(self, fills=tuple(sorted((*self.fills, seen), key=lambda each: each.at)))

    def with_programs(self, states: Mapping[str, str]) -> "Screen":
        """Return the screen with supervisord's word for every program; a process it no longer has is forgotten."""
        kept = {name: process for name, process in self.processes.items() if name in states}
        return replace(self, programs=dict(states), processes=kept)

    def with_heartbeat(self, beat: Heartbeat, heard_at: int) -> "Screen":
        """Return the screen with a heartbeat applied; `heard_at` is monotonic nanoseconds."""
        process = ProcessSeen(str(beat.process), beat.state, heard_at, beat.lag_ns, beat.detail)
        told = beat.market_at
        market_at = self.market_at if told is None else max(told, self.market_at or 0)
        return replace(self, processes={**self.processes, process.name: process}, market_at=market_at)


def price_of_order(limit: object, stop: object) -> str:
    """Return the prices of an order as a person writes them: `market`, `4801.25`, `stop 4790`, `stop 1 limit 2`."""
    if limit is None and stop is None:
        return "market"
    if stop is None:
        return f"{limit}"
    return f"stop {stop}" if limit is None else f"stop {stop} limit {limit}"
