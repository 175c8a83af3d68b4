"""Symbols, bars and quotes, and their streams.

Source: tradestation.md, "Market data".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from tradeproc.domain.units import from_iso
from tradeproc.localbroker.context import TICKS
from tradeproc.localbroker.pipeline import ApiError, Call
from tradeproc.localbroker.streams import StreamAnswer, refused_stream
from tradeproc.localbroker.tradestation.error_bodies import TITLES, listing, refusal
from tradeproc.localbroker.tradestation.market_shapes import bar_bodies, symbol_body
from tradeproc.localbroker.tradestation.numbers import words
from tradeproc.localbroker.tradestation.sources import BarStreamSource, QuoteStreamSource
from tradeproc.localbroker.tradestation.stream_forms import MARKET_DATA
from tradeproc.localbroker.tradestation.views import find, quote_view
from tradeproc.localbroker.up_down_bars import DAY_MINUTES, MarketBar
from tradeproc.localbroker.wakeups import FAULTS

Body = Mapping[str, Any]

_MOST_SYMBOLS, _MOST_QUOTES, _MOST_BARS, _LONGEST_MINUTES = 50, 100, 57_600, 1440
# more than any tape holds, for requests with dates: they take all bars, then count within the dates
_EVERY_BAR = 10_000_000
_INVALID = "FAILED, INVALID SYMBOL"


@dataclass(frozen=True, slots=True)
class BarQuery:
    """Which bars are asked for: the newest `count` whose ends lie within the market times `first` and `last`."""

    code: str
    minutes: int
    count: int
    first: int | None = None
    last: int | None = None


def symbols(call: Call) -> Body:
    """Answer with the details of contracts and continuous symbols, in alphabetical order."""
    found, errors = [], []
    for symbol in sorted(_asked(call, _MOST_SYMBOLS)):
        code = find(call.context, symbol)
        if code is None:
            errors.append(refusal("NotFound", _INVALID, Symbol=symbol))
        else:
            found.append(symbol_body(symbol, code))
    return listing("Symbols", found, errors)


def quotes(call: Call) -> Body:
    """Answer with full quotes."""
    found, errors = [], []
    for symbol in _asked(call, _MOST_QUOTES):
        code = find(call.context, symbol)
        quote = quote_view(call.context, symbol, code) if code is not None else None
        if quote is None:
            errors.append({"Symbol": symbol, "Error": _INVALID})
        else:
            found.append(quote)
    return listing("Quotes", found, errors)


def bars(call: Call) -> Body:
    """Answer with bars, oldest first."""
    query = _bar_query(call)
    context = call.context
    is_bounded = query.first is not None or query.last is not None
    found = context.market.bars(query.code, query.minutes, _EVERY_BAR if is_bounded else query.count)
    wanted = [bar for bar in found if _is_within(bar, query)][-query.count :]
    return {"Bars": bar_bodies(wanted, query.code)}


def stream_bars(call: Call) -> StreamAnswer | Response:
    """Answer with an endless stream of bars."""
    context = call.context
    try:
        query = _bar_query(call)
    except ApiError as bad:
        # the real server opens the stream before it checks the request, so the refusal comes inside the stream
        return refused_stream(
            refusal("InvalidSymbol" if bad.message == _INVALID else TITLES[bad.status], bad.message), form=MARKET_DATA
        )
    source = BarStreamSource(context, query.code, query.minutes, query.count)
    subject = f"{query.code} {query.minutes}m"
    return StreamAnswer(context.streams, context.streams.enter("bars_stream", subject, (), (TICKS, FAULTS)), source)


def stream_quotes(call: Call) -> StreamAnswer | Response:
    """Answer with an endless stream of quotes; an unknown symbol is an error inside it."""
    context = call.context
    asked = tuple(_asked(call, _MOST_QUOTES))
    stream = context.streams.enter("quotes_stream", ",".join(asked), (), (TICKS, FAULTS))
    return StreamAnswer(context.streams, stream, QuoteStreamSource(context, asked))


def not_made(call: Call) -> Body:
    """Refuse options and market depth, which the real API has but a tape of trades cannot supply."""
    raise ApiError(501, "Options and market depth are not made of a tape of trades.")


def crypto_pairs(call: Call) -> Body:
    """Answer that no crypto is traded here."""
    return {"SymbolNames": []}


def _asked(call: Call, most: int) -> list[str]:
    asked = words(call.path["symbols"])
    if not 1 <= len(asked) <= most:
        raise ApiError(400, f"1 to {most} symbols can be asked for.")
    return asked


def _bar_query(call: Call) -> BarQuery:
    code = find(call.context, call.path["symbol"].strip().upper())
    if code is None:
        raise ApiError(400, _INVALID)
    query = call.query
    if "barsback" in query and "firstdate" in query:
        raise ApiError(400, "barsback and firstdate are mutually exclusive.")
    if "lastdate" in query and "startdate" in query:
        raise ApiError(400, "lastdate and startdate are mutually exclusive.")
    first = _moment(call, "firstdate")
    last = _moment(call, "lastdate") or _moment(call, "startdate")
    # with a first date the request means all bars since then; with a last date, the newest bars up to it
    count = _number(call, "barsback", 1 if first is None else _MOST_BARS, _MOST_BARS)
    return BarQuery(code, _minutes(call), count, first, last)


def _minutes(call: Call) -> int:
    unit = call.query.get("unit", "Daily").lower()
    interval = _number(call, "interval", 1, _LONGEST_MINUTES)
    if unit == "minute":
        return interval
    if unit in ("weekly", "monthly"):
        raise ApiError(501, f"unit {unit} is not made of this tape.")
    if unit != "daily":
        raise ApiError(400, "unit must be Minute, Daily, Weekly or Monthly.")
    if interval != 1:
        raise ApiError(400, "interval must be 1 unless unit is Minute.")
    return DAY_MINUTES


def _number(call: Call, key: str, default: int, most: int) -> int:
    text = call.query.get(key, str(default))
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not 1 <= int(text) <= most:
        raise ApiError(400, f"{key} must be 1 to {most}.")
    return int(text)


def _moment(call: Call, key: str) -> int | None:
    text = call.query.get(key)
    if text is None:
        return None
    try:
        return from_iso(f"{text}T00:00:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else text)
    except (ValueError, OverflowError):
        raise ApiError(400, f"Invalid {key}: {text!r}.") from None


def _is_within(bar: MarketBar, query: BarQuery) -> bool:
    ends = bar.candle.closed_at
    return (query.first is None or ends >= query.first) and (query.last is None or ends <= query.last)
