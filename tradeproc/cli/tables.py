"""Tables for people, from rows as the processes answer them. Times are UTC with seconds, prices plain."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.text import Text

from tradeproc.cli.layout import NOTHING, Column, Listing, Row, plain_text
from tradeproc.clock import wall_ns
from tradeproc.domain.units import SECOND, plain

UNKNOWN = "unknown"
_GOOD = frozenset({"RUNNING", "running", "ready", "up", "ok", "active", "filled", "trading"})
_BAD = frozenset({"FATAL", "EXITED", "rejected", "halted", "down", "error", "needs_login", "failed", "critical"})
_WAITING = frozenset({"STARTING", "BACKOFF", "STOPPING", "starting", "degraded", "reducing", "pending", "pre_sent"})


def when(value: Any) -> str:
    """Return nanoseconds since the epoch as UTC date and time with seconds; 0 is nothing."""
    nanos = int(value)
    if nanos <= 0:
        return NOTHING
    return datetime.fromtimestamp(nanos // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")


def moment(value: Any) -> str:
    """Return nanoseconds since the epoch as UTC time of day, with its date when that is not today."""
    told = when(value)
    return told[11:] if told[:10] == when(wall_ns())[:10] else told


def clock(value: Any) -> str:
    """Return nanoseconds since the epoch as UTC time of day; 0 is nothing."""
    return when(value)[11:] if int(value) > 0 else NOTHING


def number(value: Any) -> str:
    """Return a price or an amount as a person writes it: no exponent, no padding zeros."""
    return f"{plain(Decimal(str(value))):f}"


def known(value: Any) -> str:
    """Return a price as `number` does, or the word for one that nobody knows."""
    return UNKNOWN if value == UNKNOWN else number(value)


def money(value: Any) -> Text:
    """Return an amount of money with sign and cents, losses red; one that nobody knows as that."""
    if value == UNKNOWN:
        return Text(UNKNOWN, style="yellow")
    amount = Decimal(str(value))
    style = "green" if amount > 0 else "red" if amount < 0 else ""
    return Text(f"{amount:+,.2f}" if amount else "0.00", style=style)


def signed(value: Any) -> str:
    """Return a position with its sign; flat is 0."""
    return f"{int(value):+d}" if int(value) else "0"


def held(value: Any) -> Text:
    """Return a position with its sign, or that nobody knows it."""
    return Text(signed(value)) if isinstance(value, int) else Text(str(value), style="yellow")


def state(value: Any) -> Text:
    """Return a state, coloured by whether it is good."""
    word = str(value)
    style = "green" if word in _GOOD else "red" if word in _BAD else "yellow" if word in _WAITING else ""
    return Text.assemble(plain_text(word), style=style)


def seconds(value: Any) -> str:
    """Return a short age."""
    return f"{float(value):.1f} s"


def lag(value: Any) -> str:
    """Return nanoseconds as milliseconds."""
    return f"{int(value) / 1e6:.2f} ms"


SESSIONS = (
    Column("id", "id", right=True),
    Column("name", "name", cut=10),
    Column("contract", "contract"),
    Column("bar", "bar", drop=2),
    Column("strategy", "strategy", cut=10),
    Column("login", "login", drop=3),
    Column("data", "data_login", drop=5),
    Column("account", "account", drop=1),
    Column("environment", "environment", drop=4),
    Column("wanted", "desired", state),
    Column("is", "state", state),
    Column("trading", "trading_state", state),
)
ROLLS = (
    Column("session", "session", right=True),
    Column("name", "name", cut=10),
    Column("contract", "contract"),
    Column("next", "next_contract"),
    Column("roll on", "roll_on"),
    Column("days left", "days_left", right=True),
    Column("because of", "basis", drop=2),
    Column("why", "why", cut=20, drop=4),
    Column("on", "last_day", drop=1),
    Column("who rolls", "mode"),
    Column("is", "state"),
)
PAST_ROLLS = (
    Column("began", "began_at", moment, right=True),
    Column("session", "session", right=True, drop=3),
    Column("from", "contract"),
    Column("into", "next_contract"),
    Column("is", "step", state),
    Column("held", "quantity", right=True),
    Column("opened", "opened", right=True),
    Column("spread", "spread", known, right=True),
    Column("closed at", "closed_price", known, right=True),
    Column("opened at", "opened_price", known, right=True),
    Column("ended", "at", moment, right=True, drop=2),
    Column("by", "by", drop=1),
    Column("why", "reason", cut=20),
)
ORDERS = (
    Column("created", "created_at", moment, right=True),
    Column("session", "session", right=True, drop=3),
    Column("order", "id"),
    Column("contract", "contract", drop=5),
    Column("role", "role", drop=4),
    Column("side", "side"),
    Column("quantity", "quantity", right=True),
    Column("filled", "filled", right=True, drop=1),
    Column("price", "price", right=True),
    Column("average", "average", number, right=True, drop=6),
    Column("state", "state", state),
    Column("reason", "reason", cut=10, drop=2),
)
POSITIONS = (
    Column("session", "session", right=True),
    Column("account", "account", drop=2),
    Column("contract", "contract"),
    Column("position", "quantity", held, right=True),
    Column("average", "average", number, right=True),
    Column("as of", "at", moment, right=True),
    Column("from", "source", drop=1),
    Column("reason", "reason", cut=20),
)
FILLS = (
    Column("at", "at", moment, right=True, drop=1),
    Column("market time", "market_at", moment, right=True),
    Column("session", "session", right=True, drop=3),
    Column("order", "order_id", drop=2),
    Column("contract", "contract"),
    Column("side", "side"),
    Column("quantity", "quantity", right=True),
    Column("price", "price", known, right=True),
    Column("what", "kind"),
)
TRADES = (
    Column("session", "session", right=True, drop=2),
    Column("contract", "contract", drop=3),
    Column("side", "side"),
    Column("quantity", "quantity", right=True, drop=1),
    Column("entered (market)", "entered_market_at", moment, right=True),
    Column("at", "entry_price", known, right=True),
    Column("exited (market)", "exited_market_at", moment, right=True),
    Column("at", "exit_price", known, right=True),
    Column("profit", "profit", money, right=True),
)
DAY_TRADES = (
    Column("side", "side"),
    Column("quantity", "quantity", right=True),
    Column("entered", "entered_market_at", clock),
    Column("at", "entry_price", known, right=True),
    Column("exited", "exited_market_at", clock),
    Column("at", "exit_price", known, right=True),
    Column("profit", "profit", money, right=True),
)
DECISIONS = (
    Column("newest", "at", moment, right=True, drop=3),
    Column("market time", "market_at", moment, right=True),
    Column("session", "session", right=True, drop=2),
    Column("decision", "decision"),
    Column("times", "times", right=True),
    Column("refused because", "refusal", cut=16),
    Column("its reason", "reason", cut=10, drop=1),
)
DIVERGENCES = (
    Column("at", "at", moment, right=True),
    Column("session", "session", right=True),
    Column("what", "kind"),
    Column("subject", "subject", cut=10),
    Column("ours", "ours", cut=10),
    Column("broker's", "brokers", cut=10),
    Column("cause", "cause", cut=10, drop=1),
    Column("seen", "acknowledged_at", moment, right=True, drop=2),
)
ALARMS = (
    Column("at", "at", moment, right=True),
    Column("session", "session", right=True, drop=1),
    Column("alarm", "name"),
    Column("cleared", "cleared_at", moment, right=True),
    Column("seen", "acknowledged_at", moment, right=True, drop=2),
    Column("detail", "detail", cut=12),
)
PORTFOLIOS = (
    Column("name", "name"),
    Column("sessions", "sessions", lambda value: ", ".join(map(str, value)), cut=8),
    Column("heat", "heat", money, right=True),
    Column("equity", "equity", money, right=True, drop=2),
    Column("limits", "limits", drop=1),
    Column("state", "state", state),
    Column("unknown", "unknown", cut=12),
)
PROCESSES = (
    Column("process", "process"),
    Column("supervisor", "supervisor", state, drop=1),
    Column("state", "state", state),
    Column("heartbeat", "age", seconds, right=True, drop=3),
    Column("lag", "lag_ns", lag, right=True, drop=4),
    Column("pid", "pid", right=True, drop=2),
    Column("detail", "detail", cut=16),
)


def build(columns: Sequence[Column], rows: Iterable[Row]) -> Listing:
    """Return the table of some rows; a column that no row fills is left out."""
    return Listing(columns, rows)


def total_profit(trades: Iterable[Row]) -> Decimal:
    """Return the sum of the profits that are known, in the one currency we trade so far."""
    return sum((Decimal(str(trade["profit"])) for trade in trades if trade["profit"] is not None), Decimal(0))
