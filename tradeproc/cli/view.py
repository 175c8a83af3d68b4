"""The one-screen view: pure, a `Screen` and a size become something rich can print."""

from collections.abc import Sequence
from decimal import Decimal

from rich import box
from rich.console import RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.chart import draw
from tradeproc.cli.screen import FillSeen, OrderSeen, ProcessSeen, Screen

SECOND = 1_000_000_000
_SIDE_WIDTH = 34
_HEADER_ROWS = 2
_SMALLEST_CHART = 8
_STALE_SECONDS = 3.0
_DOTS = {"ready": "green", "starting": "yellow", "degraded": "yellow", "stopping": "yellow"}


def render(screen: Screen, now: int, *, width: int, height: int) -> RenderableType:
    """Return the whole view for a terminal of `width` x `height`; `now` is monotonic nanoseconds."""
    process_rows = (len(screen.processes) + 1) // 2
    bottom = min(max(process_rows + 2, 6), max(height - _HEADER_ROWS - _SMALLEST_CHART, 6))
    chart_rows = height - _HEADER_ROWS - bottom
    layout = Layout()
    top = Layout(name="top", size=chart_rows)
    top.split_row(
        Layout(_chart(screen, width - _SIDE_WIDTH - 4, chart_rows - 2)),
        Layout(_session(screen), size=_SIDE_WIDTH),
    )
    low = Layout(name="low", size=bottom)
    low.split_row(
        Layout(_processes(screen, now)),
        Layout(_activity(screen, bottom - 2), size=_SIDE_WIDTH),
    )
    layout.split_column(Layout(header(screen), size=_HEADER_ROWS), top, low)
    return layout


def header(screen: Screen) -> Text:
    """Return the two lines on top: what runs, and where the market, the wall clock and the bus are."""
    line = Text(screen.title, style="bold")
    line.append("\n")
    line.append_text(market_line(screen))
    return line


def market_line(screen: Screen) -> Text:
    """Return market time, speed, bars, lag and the note, as one line."""
    parts = [f"market {tables.when(screen.market_at)} UTC" if screen.market_at else "market time not known yet"]
    if screen.speed is not None:
        parts.append(f"{screen.speed:g}x")
    parts.append(f"{sum(candle.is_closed for candle in screen.candles.values())} bars")
    if screen.lag_ns is not None:
        parts.append(f"bus lag {tables.lag(screen.lag_ns)}")
    line = Text(" · ".join(parts), style="dim")
    if screen.note:
        line.append(f" · {screen.note}", style="yellow")
    return line


def progress_line(screen: Screen) -> str:
    """Return the state of the session as one plain line, for output that is no terminal."""
    parts = [
        tables.when(screen.market_at) if screen.market_at else "no market time yet",
        f"{sum(candle.is_closed for candle in screen.candles.values())} bars",
        f"position {tables.signed(screen.summary.get('position') or 0)}",
        f"{len(screen.open_orders)} working",
        f"{len(screen.fills)} fills",
    ]
    profit = profit_of(screen)
    if profit is not None:
        parts.append(f"P&L {tables.money(profit).plain}")
    return "  ".join(parts)


def profit_of(screen: Screen) -> Decimal | None:
    """Return realized and unrealized profit together, None while the trader has told neither."""
    told = [screen.summary.get(key) for key in ("realized", "unrealized")]
    amounts = [Decimal(str(amount)) for amount in told if amount is not None]
    return sum(amounts, Decimal(0)) if amounts else None


def _chart(screen: Screen, width: int, height: int) -> RenderableType:
    return Panel(draw(screen.bars, width, height, decimals=screen.decimals), box=box.ROUNDED, title="candles")


def _session(screen: Screen) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim")
    grid.add_column()
    summary = screen.summary
    grid.add_row("trading", tables.state(summary.get("trading_state") or "starting"))
    average = summary.get("average")
    position = tables.signed(summary.get("position") or 0)
    grid.add_row("position", f"{position} at {tables.number(average)}" if average is not None else position)
    for heading, key in (("realized", "realized"), ("open", "unrealized"), ("heat", "heat")):
        if summary.get(key) is not None:
            grid.add_row(heading, tables.money(summary[key]))
    profit = profit_of(screen)
    if profit is not None:
        grid.add_row("P&L", tables.money(profit))
    for order in screen.open_orders[-4:]:
        grid.add_row(order.role.replace("_", " "), _order_line(order))
    return Panel(grid, box=box.ROUNDED, title="session")


def _order_line(order: OrderSeen) -> Text:
    line = Text(f"{order.side} {order.quantity} ", style="green" if order.side == "buy" else "red")
    line.append(order.price, style="default")
    if order.filled:
        line.append(f" ({order.filled} filled)", style="dim")
    return line


def _processes(screen: Screen, now: int) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for _ in range(2):
        grid.add_column(no_wrap=True)
    cells = [_process(process, now) for process in screen.processes.values()]
    for row in range((len(cells) + 1) // 2):
        grid.add_row(*cells[row * 2 : row * 2 + 2])
    return Panel(grid, box=box.ROUNDED, title="processes")


def _process(process: ProcessSeen, now: int) -> Text:
    age = max(now - process.heard_at, 0) / SECOND
    is_silent = age > _STALE_SECONDS
    cell = Text("● ", style="red" if is_silent else _DOTS.get(process.state, "red"))
    cell.append(short_name(process.name), style="default")
    cell.append(f" {age:.1f}s", style="red" if is_silent else "dim")
    if process.state != "ready":
        cell.append(f" {process.state}", style="yellow")
    return cell


def short_name(process: str) -> str:
    """Return a process name without what the title says already: `keeper`, `link`, `bars-ESH24-1m`, `orders`."""
    name = process.partition(".")[2] or process
    return name.partition("-")[0] if name.startswith(("orders-", "positions-")) else name


def _activity(screen: Screen, rows: int) -> RenderableType:
    newest = list(reversed(screen.fills))[:rows]
    if not newest:
        return Panel(Text("no fills yet", style="dim"), box=box.ROUNDED, title="fills")
    return Panel(_fills(newest), box=box.ROUNDED, title=f"fills ({len(screen.fills)})")


def _fills(newest: Sequence[FillSeen]) -> Table:
    grid = Table.grid(padding=(0, 1))
    for fill in newest:
        style = "green" if fill.side == "buy" else "red"
        moment = tables.clock(fill.market_at or fill.at)
        grid.add_row(
            Text(moment, style="dim"), Text(fill.side, style=style), str(fill.quantity), tables.number(fill.price)
        )
    return grid
