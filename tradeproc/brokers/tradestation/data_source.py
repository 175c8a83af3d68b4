"""Market data on request by TradeStation's REST API; satisfies `contract.DataSource`.

Source: TradeStation API v3, "Get Symbol Details" (PriceFormat, Underlying), "Get Bars" (limits of a request).
"""

from collections.abc import Sequence
from urllib.parse import quote

from tradeproc.brokers.contract import ContractDetails
from tradeproc.brokers.tradestation.budget import Resource
from tradeproc.brokers.tradestation.fields import Json, text
from tradeproc.brokers.tradestation.market import LONGEST_BAR, bar_query, read_bar, read_details
from tradeproc.brokers.tradestation.rest import RestClient
from tradeproc.brokers.tradestation.symbols import SYMBOLS
from tradeproc.brokers.tradestation.wire import read_list
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import Contract
from tradeproc.errors import Refusal


class TradeStationData:
    """Thread-safe; keeps no state but its connections."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest

    def contract_details(self, contract: Contract) -> Answer[ContractDetails]:
        """Return tick size and point value on the exchange's own scale, and when the contract expires."""
        try:
            symbol = SYMBOLS.to_broker_symbol(contract)
        except Refusal as refusal:
            return Unknown(str(refusal))
        return self._symbol(symbol).then(lambda record: _details(record, contract))

    def front_month(self, root: str) -> Answer[Contract]:
        """Return the contract that the broker's continuous symbol stands for now."""
        try:
            continuous = self._symbol(SYMBOLS.to_continuous_symbol(root))
            return continuous.then(lambda record: Known(SYMBOLS.to_contract(text(record, "Underlying"))))
        except Refusal as refusal:
            return Unknown(str(refusal))

    def history(self, contract: Contract, minutes: int, count: int) -> Answer[Sequence[Candle]]:
        """Return the newest bars, oldest first; fewer than asked where the broker's limits are lower."""
        if not 1 <= minutes <= LONGEST_BAR:
            return Unknown(f"bars of {minutes} minutes are not served; 1 to {LONGEST_BAR} are")
        try:
            symbol = SYMBOLS.to_broker_symbol(contract)
        except Refusal as refusal:
            return Unknown(str(refusal))
        path = f"/marketdata/barcharts/{quote(symbol, safe='')}"
        told = self._rest.ask(Resource.BARS, path, bar_query(minutes, count))
        bars = told.then(
            lambda body: read_list(body, "Bars", lambda record: read_bar(record, contract.code, minutes))
        )
        return bars.then(lambda bars: Known(_in_order(bars)))

    def shutdown(self) -> None:
        """Close connections; idempotent."""
        self._rest.close()

    def _symbol(self, symbol: str) -> Answer[Json]:
        """Return the record of one symbol; the answer's order and case need not be ours."""

        def with_symbol(records: Sequence[Json]) -> Answer[Json]:
            ours = [record for record in records if text(record, "Symbol").upper() == symbol.upper()]
            return Known(ours[0]) if ours else Unknown(f"the answer does not have {symbol}")

        told = self._rest.ask(Resource.SYMBOLS, f"/marketdata/symbols/{quote(symbol, safe='')}")
        return told.then(lambda body: read_list(body, "Symbols", lambda record: record)).then(with_symbol)


def _details(record: Json, contract: Contract) -> Answer[ContractDetails]:
    details = read_details(record, contract)
    return Known(details) if isinstance(details, ContractDetails) else Unknown(details.reason)


def _in_order(bars: Sequence[Candle]) -> tuple[Candle, ...]:
    """Return bars oldest first, the newest picture of each."""
    return tuple({bar.opened_at: bar for bar in sorted(bars, key=lambda bar: bar.opened_at)}.values())
