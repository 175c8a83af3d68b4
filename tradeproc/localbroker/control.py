"""The control API under `/local/`: pace, faults, the books, shutdown.

No real broker has such an API. It needs a key of its own.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tradeproc.clock import wall_ns
from tradeproc.domain.units import iso
from tradeproc.errors import Refusal
from tradeproc.exchange.orders import Declined, ExchangePosition
from tradeproc.localbroker.context import ServerContext
from tradeproc.localbroker.control_key import trouble
from tradeproc.localbroker.grid import to_points
from tradeproc.localbroker.pipeline import as_json

Body = Mapping[str, Any]


class BadControlRequest(Refusal):
    """A control request that cannot be read; the client gets its text as the answer."""


def control_routes(context: ServerContext) -> list[Route]:
    """Return the routes of the control API."""

    def pause(body: Body) -> Body:
        context.market.pause()
        return status(context)

    def resume(body: Body) -> Body:
        context.market.resume()
        return status(context)

    def shutdown(body: Body) -> Body:
        context.stop()
        return {"stopping": True}

    def expire_tokens(body: Body) -> Body:
        context.sign_in.kill_access_tokens(wall_ns())
        return {"expired": True}

    table: list[tuple[str, str, Callable[[Body], Body]]] = [
        ("GET", "status", lambda body: status(context)),
        ("POST", "speed", lambda body: _set_speed(context, body)),
        ("POST", "pause", pause),
        ("POST", "resume", resume),
        ("POST", "rewind", lambda body: _rewind(context, body)),
        ("POST", "faults", lambda body: _set_fault(context, body)),
        ("GET", "faults", lambda body: {"faults": context.faults.bodies()}),
        ("DELETE", "faults", lambda body: _clear_faults(context, body)),
        ("GET", "ledger", lambda body: ledger(context)),
        ("GET", "accounts", lambda body: _accounts(context)),
        ("GET", "exposure", lambda body: exposure(context)),
        ("POST", "expire_tokens", expire_tokens),
        ("POST", "end_day", lambda body: _end_day(context)),
        ("POST", "reject", lambda body: _reject(context, body)),
        ("POST", "shutdown", shutdown),
    ]
    return [Route(f"/local/{path}", _guarded(context, action), methods=[method]) for method, path, action in table]


def status(context: ServerContext) -> Body:
    """Return the state of the running broker: clocks, tape, accounts, counters, streams, faults."""
    market, now = context.market, context.market.now()
    return {
        "wall_at": now.wall,
        "market_at": now.market,
        "market_time": iso(now.market),
        "speed": market.pace.speed,
        "paused": market.pace.is_paused,
        "over": market.is_over,
        "tape": {
            "name": market.tape.name,
            "contracts": list(context.contracts),
            "ticks": len(market.tape),
            "first_at": market.tape.first_at,
            "last_at": market.tape.last_at,
            "warnings": list(market.tape.warnings),
        },
        "accounts": market.exchange.accounts(),
        "revision": market.exchange.revision,
        "requests": dict(sorted(context.requests.items())),
        "tokens_issued": context.sign_in.issued,
        "streams": [stream.body for stream in context.streams.open.values()],
        "faults": context.faults.bodies(),
    }


def ledger(context: ServerContext) -> Body:
    """Return the broker's own books: orders as they stand, every fill, every request, and what is held."""
    books, exchange = context.market.books, context.market.exchange
    held = [_held(holding) for account in exchange.accounts() for holding in exchange.holdings(account)]
    return {"orders": books.orders(), "fills": books.fills(), "requests": books.requests(), "positions": held}


def _held(holding: ExchangePosition) -> Body:
    """Return a position with its prices in points."""
    average, contract = holding.average, holding.contract
    prices = {"cost": to_points(holding.cost, contract)}
    return asdict(holding) | prices | {"average": None if average is None else to_points(average, contract)}


def exposure(context: ServerContext) -> Body:
    """Return each position and how much of it working stop orders of the opposite side would close, in contracts."""
    exchange = context.market.exchange
    rows = []
    for account in exchange.accounts():
        for holding in exchange.holdings(account):
            stops = [
                order.released - order.filled
                for order in exchange.orders(account)
                if order.status.is_open
                and order.contract == holding.contract
                and order.type.has_stop
                and order.side.sign * holding.quantity < 0
            ]
            row = {"account": account, "contract": holding.contract}
            rows.append({**row, "quantity": holding.quantity, "stopped": sum(stops)})
    return {"positions": rows}


def _set_speed(context: ServerContext, body: Body) -> Body:
    speed = body.get("speed")
    if not isinstance(speed, int | float) or isinstance(speed, bool):
        raise BadControlRequest("speed must be a number above 0")
    try:
        context.market.set_speed(float(speed))
    except OverflowError:
        raise BadControlRequest("speed is beyond any number") from None
    return status(context)


def _rewind(context: ServerContext, body: Body) -> Body:
    closed = context.rewind(is_closing=body.get("close") is True)
    return {**status(context), **closed}


def _set_fault(context: ServerContext, body: Body) -> Body:
    fault = context.faults.set(body, wall_ns())
    context.signals.notify_all()
    return fault.body


def _clear_faults(context: ServerContext, body: Body) -> Body:
    cleared = context.faults.clear(str(body.get("name") or ""))
    context.signals.notify_all()
    return {"cleared": cleared}


def _end_day(context: ServerContext) -> Body:
    context.market.end_day()
    context.tell_changes()
    return status(context)


def _reject(context: ServerContext, body: Body) -> Body:
    rejected = context.market.reject(str(body.get("order_id")), str(body.get("reason") or "EC602"))
    if isinstance(rejected, Declined):
        raise BadControlRequest(rejected.text)
    context.tell_changes()
    return {"order_id": rejected.order.id, "status": rejected.order.status.value, "reason": rejected.order.reason}


def _accounts(context: ServerContext) -> Body:
    exchange = context.market.exchange
    return {"accounts": [asdict(exchange.funds(account)) for account in exchange.accounts()]}


def _guarded(context: ServerContext, action: Callable[[Body], Body]) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        if why_not := trouble(request.headers, context.control_key):
            return _refused(403, "Forbidden", why_not)
        try:
            raw = await request.body()
            body = orjson.loads(raw) if raw.strip() else {}
            if not isinstance(body, dict):
                raise BadControlRequest("the body must be a JSON object")
            found = action({**request.query_params, **body})
        except orjson.JSONDecodeError:
            return _refused(400, "BadRequest", "The request body is no JSON.")
        except Refusal as refused:
            return _refused(400, "BadRequest", str(refused))
        return Response(orjson.dumps(found, default=_plain), media_type="application/json")

    return serve


def _refused(status: int, title: str, message: str) -> Response:
    return as_json({"Error": title, "Message": message}, status)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)
