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
        match self._symbol(symbol):
            case Known(record):
                details = read_details(record, contract)
                return Known(details) if isinstance(details, ContractDetails) else Unknown(details.reason)
            case Unknown() as unknown:
                return unknown

    def front_month(self, root: str) -> Answer[Contract]:
        """Return the contract that the broker's continuous symbol stands for now."""
        try:
            match self._symbol(SYMBOLS.to_continuous_symbol(root)):
                case Known(record):
                    return Known(SYMBOLS.to_contract(text(record, "Underlying")))
                case Unknown() as unknown:
                    return unknown
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
        match self._rest.ask(
            Resource.BARS, f"/marketdata/barcharts/{quote(symbol, safe='')}", bar_query(minutes, count)
        ):
            case Known(body):
                found = read_list(body, "Bars", lambda record: read_bar(record, contract.code, minutes))
            case Unknown() as unknown:
                return unknown
        match found:
            case Known(bars):
                return Known(tuple({bar.opened_at: bar for bar in sorted(bars, key=_opened_at)}.values()))
            case Unknown() as unknown:
                return unknown

    def shutdown(self) -> None:
        """Close connections; idempotent."""
        self._rest.close()

    def _symbol(self, symbol: str) -> Answer[Json]:
        """Return the record of one symbol; the answer's order and case need not be ours."""
        match self._rest.ask(Resource.SYMBOLS, f"/marketdata/symbols/{quote(symbol, safe='')}"):
            case Known(body):
                found = read_list(body, "Symbols", lambda record: record)
            case Unknown() as unknown:
                return unknown
        match found:
            case Known(records):
                ours = [record for record in records if text(record, "Symbol").upper() == symbol.upper()]
                return Known(ours[0]) if ours else Unknown(f"the answer does not have {symbol}")
            case Unknown() as unknown:
                return unknown


def _opened_at(bar: Candle) -> int:
    return bar.opened_at
