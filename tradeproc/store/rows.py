"""Rows of the database as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradeproc.domain.book import Divergence, DivergenceKind, Fill, FillKind, Position, Trade
from tradeproc.domain.broker_orders import BrokerAccount
from tradeproc.domain.orders import (
    Order,
    OrderEvent,
    OrderRole,
    OrderSource,
    OrderState,
    OrderType,
    Side,
    TimeInForce,
)
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import Contracts, Money, Nanos, Price, Ticks, plain

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as the database keeps it; `holder` took the lease last.

    `desired` is "running", "stopped", or "flattening": to be stopped as soon as it is flat, and not before.
    """

    id: int
    spec: SessionSpec
    desired: str
    fence: int
    holder: str
    leased_at: Nanos | None
    created_at: Nanos
    changed_at: Nanos


@dataclass(frozen=True, slots=True)
class Latch:
    """A trading state that a person or a limit set: active, reducing or halted; `at` is 0 for one never set."""

    scope: str
    state: str
    by: str
    reason: str
    at: Nanos


@dataclass(frozen=True, slots=True)
class PositionRow:
    """The newest position of a session in a contract, and who said so."""

    session: int
    position: Position
    source: str
    at: Nanos


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Who has seen a divergence or an alarm, when, and what they said about it."""

    at: Nanos
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class DivergenceRow:
    """A divergence, when both sides agreed again (None while it is open), and who has seen it."""

    divergence: Divergence
    closed_at: Nanos | None
    acknowledged: Acknowledged | None = None


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """An alarm of a session (None: of the host), when it was cleared (None while it stands), and who has seen it."""

    session: int | None
    name: str
    detail: str
    at: Nanos
    cleared_at: Nanos | None
    acknowledged: Acknowledged | None = None


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What a strategy wanted, and why it was not done (empty when it was); `times` in a row, the newest at `at`."""

    session: int
    began_at: Nanos
    at: Nanos
    times: int
    market_at: Nanos
    decision: str
    reason: str
    refusal: str


@dataclass(frozen=True, slots=True)
class LoginRow:
    """A login as it was configured when it last changed."""

    name: str
    broker: str
    environment: str
    base_url: str
    changed_at: Nanos


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account of a login and when the broker last listed it."""

    login: str
    account: BrokerAccount
    seen_at: Nanos


def session_of(row: Row) -> SessionRow:
    """Return a session."""
    return SessionRow(**{**row, "spec": SessionSpec.from_dict(row["spec"])})


def order_of(row: Row) -> Order:
    """Return an order."""
    return Order(
        id=row["id"],
        session=row["session"],
        fence=row["fence"],
        contract=row["contract"],
        side=Side(row["side"]),
        quantity=Contracts(row["quantity"]),
        type=OrderType(row["type"]),
        role=OrderRole(row["role"]),
        created_at=Nanos(row["created_at"]),
        market_at=Nanos(row["market_at"]),
        limit=None if row["limit_ticks"] is None else Ticks(row["limit_ticks"]),
        stop=None if row["stop_ticks"] is None else Ticks(row["stop_ticks"]),
        time_in_force=TimeInForce(row["time_in_force"]),
        state=OrderState(row["state"]),
        filled=Contracts(row["filled"]),
        average=_price(row["average"]),
        broker_id=row["broker_id"],
        parent=row["parent"],
        in_flight=row["in_flight"],
        changed_at=Nanos(row["changed_at"]),
        reason=row["reason"],
        revision=row["revision"],
    )


def order_event_of(row: Row) -> OrderEvent:
    """Return an order event."""
    return OrderEvent(
        order_id=row["order_id"],
        at=Nanos(row["at"]),
        source=OrderSource(row["source"]),
        before=None if row["before"] is None else OrderState(row["before"]),
        after=OrderState(row["after"]),
        what=row["what"],
        filled=Contracts(row["filled"]),
        details=dict(row["details"]),
    )


def fill_of(row: Row) -> Fill:
    """Return a fill."""
    return Fill(
        order_id=row["order_id"],
        broker_id=row["broker_id"],
        session=row["session"],
        contract=row["contract"],
        side=Side(row["side"]),
        quantity=Contracts(row["quantity"]),
        cumulative=Contracts(row["cumulative"]),
        price=_price(row["price"]),
        at=Nanos(row["at"]),
        market_at=Nanos(row["market_at"]),
        kind=FillKind(row["kind"]),
        revision=row["revision"],
    )


def trade_of(row: Row) -> Trade:
    """Return a round-trip trade."""
    return Trade(
        session=row["session"],
        contract=row["contract"],
        side=Side(row["side"]),
        quantity=Contracts(row["quantity"]),
        entry_price=_price(row["entry_price"]),
        exit_price=_price(row["exit_price"]),
        entered_at=Nanos(row["entered_at"]),
        exited_at=Nanos(row["exited_at"]),
        profit=None if row["profit"] is None else Money(plain(row["profit"])),
        entry_order=row["entry_order"],
        exit_order=row["exit_order"],
    )


def position_of(row: Row) -> PositionRow:
    """Return the newest position of a session in a contract."""
    position = Position(row["account"], row["contract"], Contracts(row["quantity"]), _price(row["average"]))
    return PositionRow(row["session"], position, row["source"], Nanos(row["at"]))


def divergence_of(row: Row) -> DivergenceRow:
    """Return a divergence."""
    kind = DivergenceKind(row["kind"])
    told = Divergence(
        row["session"], kind, row["subject"], row["ours"], row["brokers"], row["cause"], Nanos(row["at"])
    )
    return DivergenceRow(told, row["closed_at"], _acknowledged_of(row))


def alarm_of(row: Row) -> AlarmRow:
    """Return an alarm."""
    at, cleared_at = Nanos(row["at"]), row["cleared_at"]
    return AlarmRow(row["session"], row["name"], row["detail"], at, cleared_at, _acknowledged_of(row))


def _acknowledged_of(row: Row) -> Acknowledged | None:
    at = row["acknowledged_at"]
    return None if at is None else Acknowledged(at, row["acknowledged_by"], row["acknowledged_reason"])


def account_of(row: Row) -> AccountRow:
    """Return an account of a login."""
    account = BrokerAccount(row["id"], row["kind"], row["currency"], row["is_tradable"], row["status"])
    return AccountRow(row["login"], account, Nanos(row["seen_at"]))


def _price(value: Decimal | None) -> Price | None:
    return None if value is None else Price(plain(value))
