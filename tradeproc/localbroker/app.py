"""All routes of the local broker in one place; paths and query names match in any case.

Source: tradestation.md, "OAuth2", "Market data", "Brokerage", "Order execution".
"""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tradeproc.localbroker.context import ServerContext
from tradeproc.localbroker.control import control_routes
from tradeproc.localbroker.pipeline import TITLES, AccountsOf, Call, Endpoint, Handler, error
from tradeproc.localbroker.tradestation import brokerage, market_data, order_entry
from tradeproc.localbroker.tradestation.sign_in_routes import sign_in_routes


def _nobody(call: Call) -> tuple[str, ...]:
    return ()


_OF_PATH, _OF_BODY, _OF_ORDER = brokerage.accounts_of, order_entry.accounts_in_body, order_entry.account_of_order
_ACCOUNTS, _STREAM = "/v3/brokerage/accounts", "/v3/brokerage/stream/accounts/{accounts}"
_ENTRY, _DATA = "/v3/orderexecution", "/v3/marketdata"

# method, path, name for faults, handler, whose accounts the request concerns
_TABLE: tuple[tuple[str, str, str, Handler, AccountsOf], ...] = (
    ("GET", _ACCOUNTS, "accounts", brokerage.accounts, _nobody),
    ("GET", f"{_ACCOUNTS}/{{accounts}}/balances", "balances", brokerage.balances, _OF_PATH),
    ("GET", f"{_ACCOUNTS}/{{accounts}}/bodbalances", "day_balances", brokerage.opening_balances, _OF_PATH),
    ("GET", f"{_ACCOUNTS}/{{accounts}}/positions", "positions", brokerage.positions, _OF_PATH),
    ("GET", f"{_ACCOUNTS}/{{accounts}}/orders", "orders", brokerage.orders, _OF_PATH),
    ("GET", f"{_ACCOUNTS}/{{accounts}}/orders/{{orders}}", "order", brokerage.orders_by_id, _OF_PATH),
    ("GET", f"{_ACCOUNTS}/{{accounts}}/historicalorders", "past_orders", brokerage.historical_orders, _OF_PATH),
    (
        *("GET", f"{_ACCOUNTS}/{{accounts}}/historicalorders/{{orders}}", "past_orders"),
        *(brokerage.historical_orders_by_id, _OF_PATH),
    ),
    ("GET", f"{_STREAM}/orders", "orders_stream", brokerage.stream_orders, _OF_PATH),
    ("GET", f"{_STREAM}/orders/{{orders}}", "orders_stream", brokerage.stream_orders, _OF_PATH),
    ("GET", f"{_STREAM}/positions", "positions_stream", brokerage.stream_positions, _OF_PATH),
    ("POST", f"{_ENTRY}/orders", "place", order_entry.place, _OF_BODY),
    ("PUT", f"{_ENTRY}/orders/{{order}}", "replace", order_entry.replace, _OF_ORDER),
    ("DELETE", f"{_ENTRY}/orders/{{order}}", "cancel", order_entry.cancel, _OF_ORDER),
    ("POST", f"{_ENTRY}/ordergroups", "place_group", order_entry.place_group, _OF_BODY),
    ("POST", f"{_ENTRY}/orderconfirm", "preview", order_entry.confirm, _OF_BODY),
    ("POST", f"{_ENTRY}/ordergroupconfirm", "preview", order_entry.confirm_group, _OF_BODY),
    ("GET", f"{_ENTRY}/routes", "routes", order_entry.routes, _nobody),
    ("GET", f"{_ENTRY}/activationtriggers", "routes", order_entry.activation_triggers, _nobody),
    ("GET", f"{_DATA}/symbols/{{symbols}}", "contracts", market_data.symbols, _nobody),
    ("GET", f"{_DATA}/symbollists/cryptopairs/symbolnames", "contracts", market_data.crypto_pairs, _nobody),
    ("GET", f"{_DATA}/options/{{rest:path}}", "quotes", market_data.not_made, _nobody),
    ("POST", f"{_DATA}/options/{{rest:path}}", "quotes", market_data.not_made, _nobody),
    ("GET", f"{_DATA}/stream/options/{{rest:path}}", "quotes_stream", market_data.not_made, _nobody),
    ("GET", f"{_DATA}/stream/marketdepth/{{rest:path}}", "quotes_stream", market_data.not_made, _nobody),
    ("GET", f"{_DATA}/barcharts/{{symbol}}", "bars", market_data.bars, _nobody),
    ("GET", f"{_DATA}/quotes/{{symbols}}", "quotes", market_data.quotes, _nobody),
    ("GET", f"{_DATA}/stream/barcharts/{{symbol}}", "bars_stream", market_data.stream_bars, _nobody),
    ("GET", f"{_DATA}/stream/quotes/{{symbols}}", "quotes_stream", market_data.stream_quotes, _nobody),
)


def make_app(context: ServerContext) -> ASGIApp:
    """Return the ASGI application of one local broker."""
    api = [
        Route(path, Endpoint(context, endpoint, handler, accounts_of).answer, methods=[method])
        for method, path, endpoint, handler, accounts_of in _TABLE
    ]
    app = Starlette(
        routes=[*api, *sign_in_routes(context), *control_routes(context)],
        exception_handlers={HTTPException: _refused, ClientDisconnect: _gone, Exception: _failed},
    )
    return _Folded(app)


async def _refused(request: Request, refused: Exception) -> Response:
    status = refused.status_code if isinstance(refused, HTTPException) else 500
    if status not in TITLES:
        status = 400
    return error(status, f"No such resource: {request.method} {request.url.path}")


async def _gone(request: Request, gone: Exception) -> Response:
    del request, gone  # nobody hears the answer
    return Response(status_code=400)


async def _failed(request: Request, failed: Exception) -> Response:
    # starlette raises it again after this answer, so that it is logged with its stack
    return error(500, f"The local broker has a fault of its own: {type(failed).__name__}")


class _Folded:
    """Lower-cases paths of the API and forgives a trailing slash; ids and symbols are compared in upper case."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and scope["path"].lower().startswith("/v3/"):
            scope["path"] = scope["path"].lower().rstrip("/")
        await self._app(scope, receive, send)
