"""TradeStation's JSON of bars, quotes and symbol details. Pure.

Source: tradestation.md, "Market data".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradeproc.domain.candles import Candle, Tick
from tradeproc.domain.instruments import Contract, Instrument, instrument, instrument_of
from tradeproc.domain.units import iso
from tradeproc.localbroker.tradestation.account_shapes import expiry
from tradeproc.localbroker.tradestation.numbers import wire_price, wire_symbol, written
from tradeproc.localbroker.up_down_bars import MarketBar

Body = dict[str, Any]

_EXCHANGE_COUNTRY = "United States"
# roots that are displayed in fractions of a point: the denominator, and into what it is divided again; the prices
# themselves are decimal
_FRACTIONS = {
    **dict.fromkeys(("ZC", "ZS", "ZW"), ("8", "")),
    **{"ZB": ("32", ""), "ZN": ("32", "2"), "TN": ("32", "2"), "ZF": ("32", "4"), "ZT": ("32", "8")},
}


def bar_body(bar: MarketBar, code: str, *, is_realtime: bool, is_end_of_history: bool) -> Body:
    """Return a bar, stamped with its end."""
    candle = bar.candle
    return {
        "High": wire_price(candle.high, code),
        "Low": wire_price(candle.low, code),
        "Open": wire_price(candle.open, code),
        "Close": wire_price(candle.close, code),
        "TimeStamp": iso(candle.closed_at),
        "TotalVolume": str(candle.volume),
        "DownTicks": candle.ticks - bar.up_ticks,
        "DownVolume": candle.volume - bar.up_volume,
        "OpenInterest": "0",
        "IsRealtime": is_realtime,
        "IsEndOfHistory": is_end_of_history,
        "TotalTicks": candle.ticks,
        "UnchangedTicks": 0,
        "UnchangedVolume": 0,
        "UpTicks": bar.up_ticks,
        "UpVolume": bar.up_volume,
        "Epoch": candle.closed_at // 1_000_000,
        "BarStatus": "Closed" if candle.is_closed else "Open",
    }


def bar_bodies(bars: Sequence[MarketBar], code: str) -> list[Body]:
    """Return bars as history; the last one is marked as its end."""
    last = len(bars) - 1
    return [
        bar_body(bar, code, is_realtime=False, is_end_of_history=number == last) for number, bar in enumerate(bars)
    ]


@dataclass(frozen=True, slots=True)
class Spread:
    """The best bid and ask that fit a trade: one tick apart, the trade on the aggressor's side."""

    bid: Decimal
    ask: Decimal


def spread(tick: Tick, product: Instrument) -> Spread:
    """Return a spread of one tick around a trade; it is invented, because the tape has no quotes."""
    last = Decimal(repr(tick.price))
    if tick.side == "B":
        return Spread(last - product.tick_size, last)
    return Spread(last, last + product.tick_size)


def quote_body(symbol: str, code: str, tick: Tick, days: Sequence[Candle]) -> Body:
    """Return a full quote from the newest trade and the daily bars of today and, if there is one, yesterday.

    The tape holds trades only, so other fields are substitutes: the sizes and the spread are made from the last
    trade, the VWAP is the typical price, the 52-week range is today's.
    """
    product = instrument_of(code)
    around = spread(tick, product)
    today, before = days[-1], days[-2] if len(days) > 1 else None
    previous = before.close if before else today.open
    change = Decimal(repr(tick.price)) - Decimal(repr(previous))
    size, at = str(tick.size), iso(tick.at)
    ends = expiry(Contract.parse(code))
    lasting = {} if ends is None else {"LastTradingDate": ends}
    return {
        "Symbol": symbol,
        "Open": wire_price(today.open, code),
        "High": wire_price(today.high, code),
        "Low": wire_price(today.low, code),
        "PreviousClose": wire_price(previous, code),
        "Last": wire_price(tick.price, code),
        "Ask": wire_price(around.ask, code),
        "AskSize": size,
        "Bid": wire_price(around.bid, code),
        "BidSize": size,
        "NetChange": wire_price(change, code),
        # a change from zero has no percentage
        "NetChangePct": repr(float(change) / abs(previous) * 100 if previous else 0.0),
        "High52Week": wire_price(today.high, code),
        "High52WeekTimestamp": at,
        "Low52Week": wire_price(today.low, code),
        "Low52WeekTimestamp": at,
        "Volume": str(today.volume),
        "PreviousVolume": str(before.volume if before else 0),
        "Close": wire_price(tick.price, code),
        "DailyOpenInterest": "0",
        "TradeTime": at,
        "TickSizeTier": "0",
        "LastSize": size,
        "LastVenue": product.exchange,
        "VWAP": repr((today.high + today.low + today.close) / 3),
        **lasting,
        "Restrictions": [],
        "MarketFlags": {"IsDelayed": False, "IsHardToBorrow": False, "IsBats": False, "IsHalted": False},
    }


def symbol_body(symbol: str, code: str) -> Body:
    """Return the details of a contract, or of the continuous symbol whose front contract it is."""
    contract = Contract.parse(code)
    product = instrument(contract.root)
    name = wire_symbol(code)
    is_continuous = symbol.startswith("@")
    marked = f"{product.description} Continuous Contract [{name[:-3]}{name[-3:]}]"
    ends = expiry(contract)
    lasting = {} if is_continuous or ends is None else {"ExpirationDate": ends}
    underlying = {"Underlying": name} if is_continuous else {}
    return {
        "AssetType": "FUTURE",
        "Country": _EXCHANGE_COUNTRY,
        "Currency": product.currency,
        "Description": marked if is_continuous else f"{product.description} {name[-3:]}",
        "Exchange": product.exchange,
        **lasting,
        "FutureType": "Electronic",
        "Symbol": symbol,
        "Root": name[:-3],
        **underlying,
        "PriceFormat": _price_format(product, code),
        "QuantityFormat": {
            "Format": "Decimal",
            "Decimals": "0",
            "IncrementStyle": "Simple",
            "Increment": "1",
            "MinimumTradeQuantity": "1",
        },
    }


def _price_format(product: Instrument, code: str) -> Body:
    increment = wire_price(product.tick_size, code)
    # a price written on a larger scale makes the value of a point smaller by the same factor
    value = written(product.tick_value / Decimal(increment))
    ending = {"IncrementStyle": "Simple", "Increment": increment, "PointValue": value}
    if product.root in _FRACTIONS:
        fraction, sub = _FRACTIONS[product.root]
        shown = {"Format": "SubFraction" if sub else "Fraction", "Fraction": fraction}
        return shown | ({"SubFraction": sub} if sub else {}) | ending
    return {"Format": "Decimal", "Decimals": str(len(increment.partition(".")[2])), **ending}
