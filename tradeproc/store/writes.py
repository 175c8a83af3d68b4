"""Every write that a trading process makes, as a plain value: the name of a statement and what goes into it.

The same value goes into the database or, while that is down, into the journal; all of them can be repeated. Each
holds JSON values only (Decimals as text), so a journal line is the write itself.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from tradeproc.domain.book import Balance, Divergence, Fill, Position, Trade
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import Order, OrderEvent
from tradeproc.domain.texts import storable_value
from tradeproc.domain.units import Nanos

Values = dict[str, Any]

# as JSON writes it; a text may hold these six characters too, which costs it a second look
NUL = b"\\u0000"


@dataclass(frozen=True, slots=True)
class Write:
    """One statement of `queries/*.sql` with its parameters."""

    statement: str
    parameters: Values


def orders_write(
    orders: Sequence[Order], events: Sequence[OrderEvent], fills: Sequence[Fill], *, session: int, fence: int | None
) -> Write:
    """Return the write of a session's orders with the events and fills that belong to them; fence None: unchecked."""
    return Write(
        "save_orders",
        {
            "session": session,
            "fence": fence,
            "orders": _json([_order(order) for order in orders]),
            "events": _json([_event(ordinal, event) for ordinal, event in enumerate(events)]),
            "fills": _json([{**_fill(fill), "ordinal": ordinal} for ordinal, fill in enumerate(fills)]),
        },
    )


def entry_values(
    orders: Sequence[Order], events: Sequence[OrderEvent], *, session: int, fence: int
) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the parameters of `enter_orders`; an entry is never journalled, so this is no `Write`."""
    return (
        b"%d" % session,
        b"%d" % fence,
        packed([_order(order) for order in orders]),
        packed([_event(ordinal, event) for ordinal, event in enumerate(events)]),
    )


def fill_write(fill: Fill) -> Write:
    """Return the write of one fill."""
    return Write("save_fill", {**_fill(fill), "session": fill.session})


def position_write(session: int, position: Position, source: str, at: Nanos) -> Write:
    """Return the write of a position; nothing is kept when it is what the database knows."""
    return Write(
        "save_position",
        {
            "session": session,
            "account": position.account,
            "contract": position.contract,
            "quantity": position.quantity,
            "average": _text(position.average),
            "source": source,
            "at": at,
        },
    )


def balance_write(balance: Balance) -> Write:
    """Return the write of a balance; nothing is kept when it is what the database knows."""
    return Write(
        "save_balance",
        {
            "account": balance.account,
            "currency": balance.currency,
            "cash": _text(balance.cash),
            "equity": _text(balance.equity),
            "realized": _text(balance.realized),
            "unrealized": _text(balance.unrealized),
            "at": balance.at,
        },
    )


def divergence_write(divergence: Divergence) -> Write:
    """Return the write of a divergence."""
    return Write(
        "save_divergence",
        {
            "session": divergence.session,
            "kind": divergence.kind.value,
            "subject": divergence.subject,
            "ours": divergence.ours,
            "brokers": divergence.brokers,
            "cause": divergence.cause,
            "at": divergence.at,
        },
    )


def divergences_closed_write(session: int, kind: str | None, subject: str | None, at: Nanos) -> Write:
    """Return the write that closes the open divergences of a session, of one kind or about one subject if given."""
    return Write("close_divergences", {"session": session, "kind": kind, "subject": subject, "at": at})


def alarm_write(session: int | None, name: str, detail: str, at: Nanos) -> Write:
    """Return the write of an alarm of a session, or of the host (None)."""
    return Write("save_alarm", {"session": session, "name": name, "detail": detail, "at": at})


def alarms_cleared_write(session: int | None, name: str | None, at: Nanos) -> Write:
    """Return the write that clears the standing alarms of a session or of the host, of one name if given."""
    return Write("clear_alarms", {"session": session, "name": name, "at": at})


def latch_write(scope: str, state: str, by: str, reason: str, at: Nanos) -> Write:
    """Return the write of a latch that closes a scope which stands open; one that is closed stays as it is."""
    return Write("trip_latch", {"scope": scope, "state": state, "by": by, "reason": reason, "at": at})


def packed(value: object, option: int = 0) -> bytes:
    """Return a value as JSON that PostgreSQL takes, its texts made storable where they are not.

    A number that JSON cannot hold becomes its digits, which the database refuses: no journal fails over it.
    """
    try:
        plain = orjson.dumps(value, option=option)
    except TypeError:
        return orjson.dumps(_digits(storable_value(value)), option=option)
    return orjson.dumps(storable_value(value), option=option) if NUL in plain else plain


def _digits(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _digits(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_digits(each) for each in value]
    return str(value) if isinstance(value, int) and value.bit_length() > 63 else value


def trade_values(number: int, trade: Trade) -> Values:
    """Return a trade as the columns of its table."""
    return {
        "number": number,
        "contract": trade.contract,
        "side": trade.side.value,
        "quantity": trade.quantity,
        "entry_price": _text(trade.entry_price),
        "exit_price": _text(trade.exit_price),
        "entered_at": trade.entered_at,
        "exited_at": trade.exited_at,
        "profit": _text(trade.profit),
        "entry_order": trade.entry_order,
        "exit_order": trade.exit_order,
    }


def _order(order: Order) -> Values:
    product = instrument_of(order.contract)
    return {
        "id": order.id,
        "fence": order.fence,
        "contract": order.contract,
        "side": order.side.value,
        "quantity": order.quantity,
        "type": order.type.value,
        "role": order.role.value,
        "created_at": order.created_at,
        "market_at": order.market_at,
        "limit_ticks": order.limit,
        "limit_price": None if order.limit is None else _text(product.price(order.limit)),
        "stop_ticks": order.stop,
        "stop_price": None if order.stop is None else _text(product.price(order.stop)),
        "time_in_force": order.time_in_force.value,
        "state": order.state.value,
        "filled": order.filled,
        "average": _text(order.average),
        "broker_id": order.broker_id,
        "parent": order.parent,
        "in_flight": order.in_flight,
        "changed_at": order.changed_at,
        "reason": order.reason,
        "revision": order.revision,
    }


def _event(ordinal: int, event: OrderEvent) -> Values:
    told: Values = {
        "order_id": event.order_id,
        "at": event.at,
        "source": event.source.value,
        "before": None if event.before is None else event.before.value,
        "after": event.after.value,
        "what": event.what,
        "filled": event.filled,
        "details": event.details,
    }
    digest = hashlib.blake2b(packed(told, orjson.OPT_SORT_KEYS), digest_size=8).digest()
    return {**told, "ordinal": ordinal, "fingerprint": int.from_bytes(digest, "big", signed=True)}


def _fill(fill: Fill) -> Values:
    return {
        "order_id": fill.order_id,
        "broker_id": fill.broker_id,
        "contract": fill.contract,
        "side": fill.side.value,
        "quantity": fill.quantity,
        "cumulative": fill.cumulative,
        "price": _text(fill.price),
        "at": fill.at,
        "market_at": fill.market_at,
        "kind": fill.kind.value,
        "revision": fill.revision,
    }


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _json(values: list[Values]) -> str:
    return packed(values).decode()
