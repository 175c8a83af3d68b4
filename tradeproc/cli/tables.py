"""Tables for people: pure, from rows as the processes answer them. Times are UTC with seconds, prices plain."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from tradeproc.domain.units import SECOND, plain

Row = Mapping[str, Any]
Cell = Callable[[Any], str | Text]

NOTHING = "–"
_GOOD = frozenset({"RUNNING", "running", "ready", "up", "ok", "active", "filled", "trading"})
_BAD = frozenset({"FATAL", "EXITED", "rejected", "halted", "down", "error", "needs_login", "failed", "critical"})
_WAITING = frozenset({"STARTING", "BACKOFF", "STOPPING", "starting", "degraded", "reducing", "pending", "pre_sent"})


def text(value: Any) -> str:
    """Return a value as it is."""
    return str(value)


def when(value: Any) -> str:
    """Return nanoseconds since the epoch as UTC date and time with seconds; 0 is nothing."""
    nanos = int(value)
    if nanos <= 0:
        return NOTHING
    return datetime.fromtimestamp(nanos // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")


def clock(value: Any) -> str:
    """Return nanoseconds since the epoch as UTC time of day; 0 is nothing."""
    return when(value)[11:] if int(value) > 0 else NOTHING


def number(value: Any) -> str:
    """Return a price or an amount as a person writes it: no exponent, no padding zeros."""
    return f"{plain(Decimal(str(value))):f}"


def money(value: Any) -> Text:
    """Return an amount of money with sign and cents, losses red."""
    amount = Decimal(str(value))
    style = "green" if amount > 0 else "red" if amount < 0 else ""
    return Text(f"{amount:+,.2f}" if amount else "0.00", style=style)


def signed(value: Any) -> str:
    """Return a position with its sign; flat is 0."""
    return f"{int(value):+d}" if int(value) else "0"


def state(value: Any) -> Text:
    """Return a state, coloured by whether it is good."""
    word = str(value)
    style = "green" if word in _GOOD else "red" if word in _BAD else "yellow" if word in _WAITING else ""
    return Text(word, style=style)


def seconds(value: Any) -> str:
    """Return a short age."""
    return f"{float(value):.1f} s"


def lag(value: Any) -> str:
    """Return nanoseconds as milliseconds."""
    return f"{int(value) / 1e6:.2f} ms"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, the key of the row, how a value is shown."""

    heading: str
    key: str
    cell: Cell = text
    right: bool = False

    def show(self, row: Row) -> str | Text:
        """Return the cell of a row; what is absent or empty is a dash."""
        value = row.get(self.key)
        return NOTHING if value is None or value == "" else self.cell(value)


SESSIONS = (
    Column("id", "id", right=True),
    Column("name", "name"),
    Column("contract", "contract"),
    Column("bar", "bar"),
    Column("strategy", "strategy"),
    Column("login", "login"),
    Column("account", "account"),
    Column("environment", "environment"),
    Column("wanted", "desired", state),
    Column("is", "state", state),
    Column("trading", "trading_state", state),
)
ORDERS = (
    Column("created", "created_at", when),
    Column("session", "session", right=True),
    Column("order", "id"),
    Column("contract", "contract"),
    Column("role", "role"),
    Column("side", "side"),
    Column("quantity", "quantity", right=True),
    Column("filled", "filled", right=True),
    Column("price", "price", right=True),
    Column("average", "average", number, right=True),
    Column("state", "state", state),
    Column("reason", "reason"),
)
POSITIONS = (
    Column("session", "session", right=True),
    Column("account", "account"),
    Column("contract", "contract"),
    Column("position", "quantity", signed, right=True),
    Column("average", "average", number, right=True),
    Column("as of", "at", when),
    Column("from", "source"),
)
FILLS = (
    Column("at", "at", when),
    Column("market time", "market_at", when),
    Column("session", "session", right=True),
    Column("order", "order_id"),
    Column("contract", "contract"),
    Column("side", "side"),
    Column("quantity", "quantity", right=True),
    Column("price", "price", number, right=True),
)
TRADES = (
    Column("session", "session", right=True),
    Column("contract", "contract"),
    Column("side", "side"),
    Column("quantity", "quantity", right=True),
    Column("entered (market time)", "entered_market_at", when),
    Column("at", "entry_price", number, right=True),
    Column("exited (market time)", "exited_market_at", when),
    Column("at", "exit_price", number, right=True),
    Column("profit", "profit", money, right=True),
)
DAY_TRADES = (
    Column("side", "side"),
    Column("quantity", "quantity", right=True),
    Column("entered", "entered_market_at", clock),
    Column("at", "entry_price", number, right=True),
    Column("exited", "exited_market_at", clock),
    Column("at", "exit_price", number, right=True),
    Column("profit", "profit", money, right=True),
)
DIVERGENCES = (
    Column("at", "at", when),
    Column("session", "session", right=True),
    Column("what", "kind"),
    Column("subject", "subject"),
    Column("ours", "ours"),
    Column("broker's", "brokers"),
    Column("cause", "cause"),
)
ALARMS = (
    Column("at", "at", when),
    Column("session", "session", right=True),
    Column("alarm", "name"),
    Column("cleared", "cleared_at", when),
    Column("detail", "detail"),
)
PROCESSES = (
    Column("process", "process"),
    Column("supervisor", "supervisor", state),
    Column("state", "state", state),
    Column("heartbeat", "age", seconds, right=True),
    Column("lag", "lag_ns", lag, right=True),
    Column("pid", "pid", right=True),
    Column("detail", "detail"),
)


def build(columns: Sequence[Column], rows: Iterable[Row]) -> Table:
    """Return the rich table of some rows; a column that no row fills is left out."""
    kept = list(rows)
    shown = [column for column in columns if any(row.get(column.key) not in (None, "") for row in kept)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in shown:
        table.add_column(column.heading, justify="right" if column.right else "left", overflow="fold")
    for row in kept:
        table.add_row(*[column.show(row) for column in shown])
    return table


def total_profit(trades: Iterable[Row]) -> Decimal:
    """Return the sum of the trades' profits, in the one currency we trade so far."""
    return sum((Decimal(str(trade["profit"])) for trade in trades), Decimal(0))
