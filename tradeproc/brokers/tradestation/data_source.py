"""Market data on request by TradeStation's REST API; satisfies `contract.DataSource`.

Source: TradeStation API v3, "Get Symbol Details" (PriceFormat, Underlying), "Get Bars" (limits of a request).
"""

import logging
from collections.abc import Sequence
from urllib.parse import quote

from tradeproc.brokers.contract import ContractDetails
from tradeproc.brokers.tradestation.budget import Resource
from tradeproc.brokers.tradestation.fields import Json, text
from tradeproc.brokers.tradestation.market import LONGEST_BAR, bar_query, read_bar, read_details
from tradeproc.brokers.tradestation.rest import RestClient
from tradeproc.brokers.tradestation.symbols import SYMBOLS
from tradeproc.brokers.tradestation.wire import Unreadable, read_list
from tradeproc.clock import wall_ns
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import Contract
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.errors import Refusal

log = logging.getLogger(__name__)

_MOST_QUESTIONS = 12


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
        """Return the newest bars, oldest first, in as many questions as the limit of one needs.

        A bar that cannot be read is left out, with a line in the log.
        """
        if not 1 <= minutes <= LONGEST_BAR:
            return Unknown(f"bars of {minutes} minutes are not served; 1 to {LONGEST_BAR} are")
        try:
            symbol = SYMBOLS.to_broker_symbol(contract)
        except Refusal as refusal:
            return Unknown(str(refusal))
        path = f"/marketdata/barcharts/{quote(symbol, safe='')}"

        def read(record: Json) -> Candle | Unreadable:
            return read_bar(record, contract.code, minutes, wall_ns())

        bars: dict[int, Candle] = {}
        last: Nanos | None = None
        for _ in range(_MOST_QUESTIONS):
            query = bar_query(minutes, count - len(bars), last)
            told = self._rest.ask(Resource.BARS, path, query)
            match told.then(lambda body: read_list(body, "Bars", read)):
                case Known(page):
                    pass
                case Unknown() as unknown:
                    return unknown
            readable = _readable(page)
            if page and not readable:
                return Unknown(f"none of {len(page)} bars can be read")
            oldest, known = min(bars, default=None), len(bars)
            bars |= {bar.opened_at: bar for bar in readable if oldest is None or bar.opened_at < oldest}
            # a short page means that there are no more bars; a page without older bars would repeat for ever
            if len(page) < int(query["barsback"]) or len(bars) >= count or len(bars) == known:
                break
            last = Nanos(bars[min(bars)].closed_at - SECOND)
        return Known(tuple(bars[opened_at] for opened_at in sorted(bars)))

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


def _readable(bars: Sequence[Candle | Unreadable]) -> list[Candle]:
    broken = [bar.reason for bar in bars if isinstance(bar, Unreadable)]
    if broken:
        log.warning("bars_unreadable count=%d first=%s", len(broken), broken[0])
    return [bar for bar in bars if isinstance(bar, Candle)]
