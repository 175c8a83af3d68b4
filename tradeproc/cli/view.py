"""The one-screen view: pure, a `Screen` and a size become something rich can print."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from rich import box
from rich.console import RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.chart import Axis, draw
from tradeproc.cli.layout import plain_text
from tradeproc.cli.screen import FillSeen, OrderSeen, Screen
from tradeproc.cli.why import entries, headline
from tradeproc.domain.units import SECOND
from tradeproc.protocol.names import ProcessName
from tradeproc.protocol.trader_messages import SessionState

_NARROW, _WIDE, _WIDE_FROM = 32, 38, 100
_LAGS_FROM = 112
_HEADER_ROWS = 2
_SMALLEST_CHART = 8
_SMALLEST_FILLS = 5
_STALE_SECONDS = 3.0
_ROLES = {"stop_loss": "stop loss", "profit_target": "target"}
_HEADINGS = 9
_UP, _FAILED = "RUNNING", frozenset({"FATAL", "EXITED", "UNKNOWN"})
_DOTS = {"ready": "green", "starting": "yellow", "degraded": "yellow", "stopping": "yellow"}


def render(screen: Screen, now: int, *, width: int, height: int) -> RenderableType:
    """Return the whole view for a terminal of `width` x `height`; `now` is monotonic nanoseconds."""
    side = _WIDE if width >= _WIDE_FROM else _NARROW
    rows = height - _HEADER_ROWS
    names = process_names(screen)
    low = min(max((len(names) + 1) // 2 + 2, 5), max(rows - _SMALLEST_CHART, 5))
    session = _session_rows(screen)
    high = min(len(session) + 2, max(rows - _SMALLEST_FILLS, 5))
    left, right = Layout(), Layout(size=side)
    left.split_column(
        Layout(_chart(screen, width - side - 4, rows - low - 2), size=rows - low),
        Layout(_processes(screen, names, now, is_wide=width >= _LAGS_FROM), size=low),
    )
    right.split_column(
        Layout(_session(session), size=high),
        Layout(_activity(screen, rows - high - 2), size=rows - high),
    )
    body = Layout(size=rows)
    body.split_row(left, right)
    layout = Layout()
    layout.split_column(Layout(header(screen, width), size=_HEADER_ROWS), body)
    return layout


def header(screen: Screen, width: int) -> Text:
    """Return the two lines on top: what runs for which account, and where the clocks and the bus are."""
    title, account = plain_text(screen.title), plain_text(screen.account)
    title.stylize("bold")
    account.stylize(_account_style(screen.account))
    title.truncate(max(width - account.cell_len - 2, 10), overflow="ellipsis")
    gap = max(width - title.cell_len - account.cell_len, 2)
    line = market_line(screen)
    line.truncate(width, overflow="ellipsis")
    return Text.assemble(title, " " * gap, account, "\n", line)


def _account_style(account: str) -> str:
    return "bold white on red" if account.endswith(" live") else "bold green"


def market_line(screen: Screen) -> Text:
    """Return market time, speed, wall time, bars, lag and the alarms, as one line."""
    speed = f" ({screen.speed:g}x)" if screen.speed is not None else ""
    parts = [f"market {tables.when(screen.market_at)}{speed}" if screen.market_at else "market time not known yet"]
    if screen.wall_at is not None:
        parts.append(f"wall {tables.clock(screen.wall_at)} UTC")
    parts.append(f"{screen.closed_bars} bars")
    if screen.lag_ns is not None:
        parts.append(f"bus lag {tables.lag(screen.lag_ns)}")
    line = Text(" · ".join(parts), style="dim")
    if screen.note:
        line = Text.assemble((screen.note, "yellow"), " · ", line)
    wrong = "; ".join(filter(None, (screen.alarms, screen.death and f"died: {screen.death}")))
    if wrong:
        alarms = plain_text(f"! {wrong}")
        alarms.stylize("bold red")
        return Text.assemble(alarms, " · ", line)
    return line


def progress_line(screen: Screen) -> str:
    """Return the state of the session as one plain line, for output that is no terminal."""
    parts = [
        tables.when(screen.market_at) if screen.market_at else "no market time yet",
        f"{screen.closed_bars} bars",
        f"position {tables.signed(0 if screen.summary is None else screen.summary.position)}",
        f"{len(screen.open_orders)} working",
        f"{len(screen.fills)} fills",
    ]
    profit = profit_of(screen)
    if profit is not None:
        parts.append(f"P&L {tables.money(profit).plain}")
    if screen.summary is not None and (trouble := headline(screen.summary)):
        parts.append(trouble)
    if screen.note:
        parts.append(screen.note)
    return "  ".join(parts)


def profit_of(screen: Screen) -> Decimal | None:
    """Return realized and unrealized profit together, None while the trader has told neither or does not know."""
    summary = screen.summary
    if summary is None or summary.realized is None:
        return None  # a price is unknown, and a sum of the others would look like the whole
    return summary.realized + (summary.unrealized or Decimal(0))


def _chart(screen: Screen, width: int, height: int) -> RenderableType:
    drawn = draw(screen.bars, width, height, Axis(screen.tick, screen.decimals))
    return Panel(drawn, box=box.ROUNDED, title="candles")


def _session(rows: Sequence[tuple[str, Text]]) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True, min_width=_HEADINGS)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for heading, value in rows:
        grid.add_row(plain_text(heading), value)
    return Panel(grid, box=box.ROUNDED, title="session")


def _session_rows(screen: Screen) -> list[tuple[str, Text]]:
    summary = screen.summary
    if summary is None:
        return [("trading", Text("waiting for the trader", style="yellow"))]
    rows: list[tuple[str, Text]] = [("trading", tables.state(summary.trading_state))]
    rows += _why(summary)
    position, average = tables.signed(summary.position), summary.average
    held = position if average is None else f"{position} at {average:.{screen.decimals}f}"
    rows.append(("position", Text(held, style="bold")))
    if summary.last is not None:
        rows.append(("last", Text(f"{summary.last:.{screen.decimals}f}")))
    for heading, amount in (("closed", summary.realized), ("open", summary.unrealized)):
        if amount is not None:
            rows.append((heading, tables.money(amount)))
    profit = profit_of(screen)
    if profit is not None:
        rows.append(("P&L", Text.assemble(tables.money(profit), " ", plain_text(summary.currency))))
    rows.append(("streams", _streams(summary.streams)))
    is_safe = summary.database == "up" and summary.lease
    rows.append(("database", Text("up" if is_safe else "down", style="green" if is_safe else "bold red")))
    is_sure = summary.reconciled
    rows.append(("broker", Text("agrees" if is_sure else "being asked", style="green" if is_sure else "yellow")))
    for order in screen.open_orders[-4:]:
        rows.append((_ROLES.get(order.role, order.role), _order_line(order)))
    return rows


def _why(summary: SessionState) -> list[tuple[str, Text]]:
    """Return why nothing is entered, and how many decisions were refused, where there is something to say."""
    told = summary.decisions
    is_open = summary.entries == "allowed" and not told.off
    why = plain_text(entries(None, summary, "").partition(": ")[2])
    why.stylize("dim" if is_open else "yellow")
    rows = [("entries", why)] if why.plain else []
    if told.refused:
        because = f": {told.newest[-1].refusal}" if told.newest else ""
        rows.append(("refused", plain_text(f"{told.refused} of {told.wanted}{because}")))
    return rows


def _streams(streams: Mapping[str, str]) -> Text:
    down = [name for name, reason in streams.items() if reason != "up"]
    if down:
        return Text.assemble(plain_text(f"{', '.join(down)} down"), style="bold red")
    return Text(f"{len(streams)} up", style="green")


def _order_line(order: OrderSeen) -> Text:
    line = plain_text(f"{order.side} {order.quantity} ")
    line.stylize("green" if order.side == "buy" else "red")
    # under its own heading a stop loss need not say that it is a stop
    price = f"at {order.price.removeprefix('stop ')}" if order.role in _ROLES else order.price
    line.append(plain_text(price).plain, style="default")
    if order.filled:
        line.append(f" ({order.filled} filled)", style="dim")
    return line


def process_names(screen: Screen) -> list[str]:
    """Return all processes that are to be shown, in supervisord's order."""
    return [*screen.programs, *(name for name in screen.processes if name not in screen.programs)]


def _processes(screen: Screen, names: Sequence[str], now: int, *, is_wide: bool) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    for _ in range(2):
        grid.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
    grid.expand = True
    cells = [_process(screen, name, now, is_wide=is_wide) for name in names]
    half = (len(cells) + 1) // 2
    for row in range(half):
        grid.add_row(*cells[row::half])
    heading = f"{len(cells)} processes: age of heartbeat" + (", lag on the bus" if is_wide else "")
    return Panel(grid, box=box.ROUNDED, title=heading, subtitle=screen.hint or None)


def _process(screen: Screen, name: str, now: int, *, is_wide: bool) -> Text:
    supervised, process = screen.programs.get(name, _UP), screen.processes.get(name)
    if supervised != _UP or process is None:
        word = " no heartbeat yet" if supervised == _UP else f" {supervised.lower()}"
        dot = "red" if supervised in _FAILED else "yellow"
        return Text.assemble(("● ", dot), short_name(name), (word, "yellow"))
    age = max(now - process.heard_at, 0) / SECOND
    is_silent = age > _STALE_SECONDS
    cell = Text("● ", style="red" if is_silent else _DOTS.get(process.state, "red"))
    cell.append(f"{short_name(name):14}" if is_wide else short_name(name), style="default")
    cell.append(f" {age:.1f} s", style="red" if is_silent else "dim")
    if is_wide and process.lag_ns:
        cell.append(f"  {tables.lag(process.lag_ns)}", style="dim")
    if process.state != "ready":
        cell.append(f" {process.state}", style="yellow")
    return cell


def short_name(process: str) -> str:
    """Return a process name without what the title says already: `keeper`, `link`, `bars-ESH24-1m`, `orders`."""
    name = ProcessName(process)
    return name.kind if name.kind in ("orders", "positions") else name.program or process


def _activity(screen: Screen, rows: int) -> RenderableType:
    newest = list(reversed(screen.fills))[:rows]
    if not newest:
        return Panel(Text("no fills yet", style="dim"), box=box.ROUNDED, title="fills")
    return Panel(_fills(newest, screen.decimals), box=box.ROUNDED, title=f"fills ({len(screen.fills)}), market time")


def _fills(newest: Sequence[FillSeen], decimals: int) -> Table:
    grid = Table.grid(padding=(0, 1))
    for fill in newest:
        style = "green" if fill.side == "buy" else "red"
        moment = tables.clock(fill.market_at or fill.at)
        price = "unknown" if fill.price is None else f"{fill.price:.{decimals}f}"
        side = Text.assemble(plain_text(fill.side), style=style)
        grid.add_row(Text(moment, style="dim"), side, Text(str(fill.quantity)), Text(price))
    return grid
