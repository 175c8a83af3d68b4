"""The dialect as the server uses it: its routes, its sign-in and its errors.

Source: tradestation.md, "OAuth2", "Market data", "Brokerage", "Order execution", "Error body", "Quotas",
"Stream framing" and "Quirks reported".
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tradeproc.localbroker.context import ServerContext
from tradeproc.localbroker.pipeline import AccountsOf, Call, Endpoint, Handler, as_json
from tradeproc.localbroker.tradestation import brokerage, market_data, order_entry
from tradeproc.localbroker.tradestation.error_bodies import TITLES, refusal
from tradeproc.localbroker.tradestation.oauth import OAuthSettings, TradeStationSignIn
from tradeproc.localbroker.tradestation.sign_in_routes import sign_in_routes
from tradeproc.localbroker.wire_forms import RecordFields, SignIn, WireForms


def _nobody(call: Call) -> tuple[str, ...]:
    return ()


_OF_PATH, _OF_BODY, _OF_ORDER = brokerage.accounts_of, order_entry.accounts_in_body, order_entry.account_of_order
_ACCOUNTS, _STREAM = "/v3/brokerage/accounts", "/v3/brokerage/stream/accounts/{accounts}"
_ENTRY, _DATA = "/v3/orderexecution", "/v3/marketdata"

# method, path, neutral name for faults, handler, whose accounts the request concerns
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


class TradeStationForms:
    """How TradeStation writes errors; paths match in any case, with or without a slash at their end."""

    fields = RecordFields(
        frozenset({"OpenedDateTime", "ClosedDateTime", "Timestamp", "TimeStamp"}),
        frozenset({"ExecQuantity", "Quantity"}),
    )

    def error(self, status: int, message: str) -> Response:
        """Return an error answer; a status that the API does not have becomes 400."""
        known = status if status in TITLES else 400
        return as_json(refusal(TITLES[known], message), known)

    def too_many(self, resource: str, seconds: int) -> Response:
        """Return the answer to a request beyond the quota, with the headers that tell when to try again."""
        answer = self.error(429, "Rate quota exceeded")
        answer.headers["retry-after"] = str(seconds)
        quota = (("Limit", 500), ("Period", 300), ("Remaining", 0), ("Reset", seconds), ("Resource", resource))
        for name, value in quota:
            answer.headers[f"x-ratelimit-{name}"] = str(value)
        return answer

    def spell(self, path: str) -> str:
        """Return a path of the API in lower case; ids and symbols are compared in upper case."""
        return path.lower().rstrip("/") if path.lower().startswith("/v3/") else path


class TradeStationDialect:
    """TradeStation's API version 3."""

    forms: WireForms = TradeStationForms()

    def sign_in(self, folder: Path, options: Mapping[str, Any]) -> SignIn:
        """Return its OAuth2 host; the options are those of `OAuthSettings`.

        Raises:
            TypeError: an option that it does not have.
        """
        return TradeStationSignIn(folder, OAuthSettings(**options))

    def routes(self, context: ServerContext) -> list[Route]:
        """Return the routes of the API and of the sign-in host.

        Raises:
            TypeError: the server was opened with the sign-in of another dialect.
        """
        api = [
            Route(path, Endpoint(context, endpoint, handler, accounts_of).answer, methods=[method])
            for method, path, endpoint, handler, accounts_of in _TABLE
        ]
        if not isinstance(context.sign_in, TradeStationSignIn):
            raise TypeError(f"the sign-in of another dialect: {type(context.sign_in).__name__}")
        return [*api, *sign_in_routes(context, context.sign_in)]
