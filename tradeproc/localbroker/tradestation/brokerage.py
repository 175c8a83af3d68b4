"""Accounts, balances, positions and orders, and their streams.

Source: tradestation.md, "Brokerage".
"""

import base64
import fnmatch
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.responses import Response

from tradeproc.clock import SECOND, wall_ns
from tradeproc.exchange.orders import ExchangeOrder
from tradeproc.localbroker.context import BOOK, TICKS
from tradeproc.localbroker.faults import FaultName
from tradeproc.localbroker.pipeline import ApiError, Call
from tradeproc.localbroker.streams import StreamAnswer, refused_stream
from tradeproc.localbroker.tradestation.account_shapes import (
    account_body,
    balance_body,
    opening_balance_body,
    status_code,
)
from tradeproc.localbroker.tradestation.error_bodies import listing, refusal
from tradeproc.localbroker.tradestation.numbers import words
from tradeproc.localbroker.tradestation.sources import (
    OrderStreamSource,
    PositionStreamSource,
    is_of_today,
    start_of_day,
)
from tradeproc.localbroker.tradestation.stream_forms import BROKERAGE
from tradeproc.localbroker.tradestation.views import find, market_value, order_view, position_view
from tradeproc.localbroker.wakeups import FAULTS

Body = Mapping[str, Any]
Errors = list[dict[str, str]]
T = TypeVar("T")

_MOST_ACCOUNTS, _MOST_ORDERS, _MOST_ROWS = 25, 50, 600
_GROUPS = {
    "filled": frozenset({"FLL", "FLP"}),
    "canceled": frozenset({"OUT", "CAN", "EXP"}),
    "rejected": frozenset({"REJ"}),
}


def accounts_of(call: Call) -> tuple[str, ...]:
    """Return the accounts that the path names."""
    return tuple(words(call.path.get("accounts", "")))


def accounts(call: Call) -> Body:
    """Answer with all accounts of the login."""
    return {"Accounts": [account_body(account) for account in call.context.market.exchange.accounts()]}


def balances(call: Call) -> Body:
    """Answer with the accounts' money."""
    known, errors = _known(call)
    context = call.context
    found = [
        balance_body(context.market.exchange.funds(account), market_value(context, account)) for account in known
    ]
    return listing("Balances", found, errors)


def opening_balances(call: Call) -> Body:
    """Answer with the accounts' money at the beginning of the day."""
    known, errors = _known(call)
    found = [opening_balance_body(account, call.context.market.exchange.day_start(account)) for account in known]
    return listing("BODBalances", found, errors)


def positions(call: Call) -> Body:
    """Answer with the positions; `symbol` filters by a comma list with `*`."""
    known, errors = _known(call)
    patterns = words(call.query.get("symbol", ""))
    exchange = call.context.market.exchange
    found = [position_view(call.context, holding) for account in known for holding in exchange.holdings(account)]
    wanted = [
        position
        for position in found
        if not patterns or any(fnmatch.fnmatchcase(position["Symbol"], pattern) for pattern in patterns)
    ]
    return listing("Positions", _whole(call, "positions", known, wanted), errors)


def orders(call: Call) -> Body:
    """Answer with today's and open orders, newest first."""
    known, errors = _known(call)
    since = start_of_day(wall_ns())
    found = [order for order in _newest_first(call, known) if is_of_today(order, since)]
    return _page(call, "orders", known, [order for order in found if _is_wanted(call, order)], errors)


def orders_by_id(call: Call) -> Body:
    """Answer with the orders of some ids, today's and open ones."""
    since = start_of_day(wall_ns())
    return _by_id(call, lambda order: is_of_today(order, since))


def historical_orders(call: Call) -> Body:
    """Answer with closed orders, the last closed first."""
    known, errors = _known(call)
    since = _since(call)
    found = [order for order in _newest_first(call, known) if (order.closed_at or 0) >= since]
    found.sort(key=lambda order: order.closed_at or 0, reverse=True)
    return _page(call, "past_orders", known, [order for order in found if _is_wanted(call, order)], errors)


def historical_orders_by_id(call: Call) -> Body:
    """Answer with the closed orders of some ids."""
    since = _since(call)
    return _by_id(call, lambda order: (order.closed_at or 0) >= since)


def stream_orders(call: Call) -> StreamAnswer | Response:
    """Answer with an endless stream of orders, all of the accounts or those of some ids."""
    known, errors = _known(call)
    if errors:
        return refused_stream(errors[0], form=BROKERAGE)
    only = frozenset(words(call.path.get("orders", "")))
    source = OrderStreamSource(call.context, frozenset(known), only, start_of_day(wall_ns()))
    stream = call.context.streams.enter("orders_stream", ",".join(known), tuple(known), (BOOK, FAULTS))
    return StreamAnswer(call.context.streams, stream, source)


def stream_positions(call: Call) -> StreamAnswer | Response:
    """Answer with an endless stream of positions."""
    known, errors = _known(call)
    if errors:
        return refused_stream(errors[0], form=BROKERAGE)
    source = PositionStreamSource(call.context, frozenset(known), call.query.get("changes", "").lower() == "true")
    stream = call.context.streams.enter("positions_stream", ",".join(known), tuple(known), (BOOK, TICKS, FAULTS))
    return StreamAnswer(call.context.streams, stream, source)


def _known(call: Call) -> tuple[list[str], Errors]:
    asked = words(call.path["accounts"])
    if not 1 <= len(asked) <= _MOST_ACCOUNTS:
        raise ApiError(400, f"1 to {_MOST_ACCOUNTS} accounts can be asked for.")
    unknown = [account for account in asked if not call.context.knows(account)]
    errors = [refusal("Forbidden", "Invalid Account ID.", AccountID=",".join(unknown))] if unknown else []
    return [account for account in asked if account not in unknown], errors


def _newest_first(call: Call, known: list[str]) -> list[ExchangeOrder]:
    exchange = call.context.market.exchange
    found = [order for account in known for order in exchange.orders(account)]
    return sorted(found, key=lambda order: (order.opened_at, int(order.id)), reverse=True)


def _by_id(call: Call, is_shown: Callable[[ExchangeOrder], bool]) -> Body:
    known, errors = _known(call)
    asked = words(call.path["orders"])
    if not 1 <= len(asked) <= _MOST_ORDERS:
        raise ApiError(400, f"1 to {_MOST_ORDERS} orders can be asked for.")
    found = []
    for order_id in asked:
        order = call.context.market.exchange.order(order_id)
        if order is not None and order.account in known and is_shown(order):
            found.append(order_view(call.context, order))
        else:
            errors.append(refusal("NotFound", "Order not found.", AccountID=",".join(known), OrderID=order_id))
    return listing("Orders", found, errors)


def _is_wanted(call: Call, order: ExchangeOrder) -> bool:
    symbols = [find(call.context, symbol) for symbol in words(call.query.get("symbol", ""))]
    if symbols and order.contract not in symbols:
        return False
    group = call.query.get("status", "").lower()
    if group == "open":
        return order.status.is_open
    return status_code(order) in _GROUPS[group] if group in _GROUPS else True


def _whole(call: Call, endpoint: str, known: list[str], found: list[T]) -> list[T]:
    """Return a list as it is, or without its second half if a fault says so."""
    if found and call.context.faults.take({FaultName.CUT_LIST}, endpoint, known) is not None:
        return found[: len(found) // 2]
    return found


def _page(call: Call, endpoint: str, known: list[str], found: list[ExchangeOrder], errors: Errors) -> Body:
    faults, token = call.context.faults, call.query.get("nexttoken", "")
    size = _page_size(call)
    if faults.is_armed(FaultName.LOSE_PAGE, endpoint, known):
        size = 1
        if token:
            faults.take({FaultName.LOSE_PAGE}, endpoint, known)
            raise ApiError(503, "Something went wrong on our side.")
    elif not token:
        found = _whole(call, endpoint, known, found)
    start = _start(token, found)
    shown = found[start : start + size]
    answer = dict(listing("Orders", [order_view(call.context, order) for order in shown], errors))
    # without a page size the rest is left out without a sign, as the real broker does
    if "pagesize" in call.query and start + size < len(found):
        answer["NextToken"] = base64.urlsafe_b64encode(shown[-1].id.encode()).decode()
    return answer


def _page_size(call: Call) -> int:
    text = call.query.get("pagesize", str(_MOST_ROWS))
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or not 1 <= int(text) <= _MOST_ROWS:
        raise ApiError(400, f"pageSize must be 1 to {_MOST_ROWS}.")
    return int(text)


def _start(token: str, found: list[ExchangeOrder]) -> int:
    """Return the index at which the next page begins: after the last order shown, wherever it stands now."""
    if not token:
        return 0
    try:
        last = base64.urlsafe_b64decode(token).decode()
        return [order.id for order in found].index(last) + 1
    except ValueError:
        raise ApiError(400, "Invalid nextToken.") from None


def _since(call: Call) -> int:
    text = call.query.get("since", "").replace("/", "-").partition("T")[0]
    if not text:
        raise ApiError(400, "since is required.")
    for form in ("%Y-%m-%d", "%m-%d-%Y"):
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()) * SECOND
        except ValueError:
            continue
    raise ApiError(400, f"Invalid since: {text!r}.")
