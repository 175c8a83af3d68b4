"""Pure readers of TradeStation's market data: bars and the terms of contracts, and the query that asks for bars.

Source: TradeStation API v3, "Get Bars", "Stream Bars" (bar schema, limits), "Get Symbol Details" (PriceFormat).
"""

from tradeproc.brokers.contract import ContractDetails
from tradeproc.brokers.tradestation.fields import Json, count, decimal, moment, objects, price, text
from tradeproc.brokers.tradestation.symbols import from_wire, scale_of
from tradeproc.brokers.tradestation.wire import Unreadable
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import Contract
from tradeproc.domain.units import MINUTE, Money, Nanos, iso

LONGEST_BAR = 1440
_MOST_BARS = 57_600
_MOST_MINUTES = 500_000
_MOST_AHEAD = 366 * 24 * 60 * MINUTE


def bar_query(minutes: int, count: int, last: Nanos | None = None) -> dict[str, str]:
    """Return the query of a bar request or stream, for at most the bars that one request may ask for.

    `last` is the latest end of a bar, None for no bound.
    """
    bars = max(1, min(count, _MOST_BARS, _MOST_MINUTES // minutes))
    query = {"interval": str(minutes), "unit": "Minute", "barsback": str(bars)}
    return query if last is None else query | {"lastdate": iso(last)}


def read_bar(record: Json, code: str, minutes: int, now: Nanos | None = None) -> Candle | Unreadable:
    """Return a bar; TradeStation stamps its end, and the start is computed from the interval.

    A bar that ends more than a year after `now` is refused, because all later bars would count as older than it. Less
    is allowed, because the market time of a tape may be ahead of ours.
    """
    closed_at = moment(record, "TimeStamp")
    prices = [price(record, key) for key in ("Open", "High", "Low", "Close")]
    volume, ticks = count(record, "TotalVolume"), count(record, "TotalTicks")
    if closed_at is None or None in prices or volume is None or ticks is None or closed_at <= minutes * MINUTE:
        return Unreadable(f"bar {ascii(record.get('TimeStamp'))[:40]} without a time, prices or volume that can be")
    if now is not None and closed_at > now + _MOST_AHEAD:
        return Unreadable(f"bar {text(record, 'TimeStamp')} lies more than a year ahead")
    opened, high, low, close = (float(from_wire(value, code)) for value in prices if value is not None)
    status = text(record, "BarStatus").lower()
    return Candle(
        opened_at=Nanos(closed_at - minutes * MINUTE),
        closed_at=closed_at,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        ticks=ticks,
        is_closed=status == "closed" if status else record.get("IsRealtime") is not True,
    )


def read_details(record: Json, contract: Contract) -> ContractDetails | Unreadable:
    """Return a contract's terms on the exchange's own scale; of a schedule of increments the smallest is used."""
    found = record.get("PriceFormat")
    shape: Json = found if isinstance(found, dict) else {}
    steps = [decimal(shape, "Increment"), *(decimal(row, "Increment") for row in _schedule(shape))]
    increments = [step for step in steps if step is not None and step > 0]
    value = decimal(shape, "PointValue")
    if not increments or value is None or value <= 0:
        return Unreadable(f"{text(record, 'Symbol') or '?'} without Increment or PointValue")
    scale = scale_of(contract.code)
    return ContractDetails(
        contract,
        text(record, "Symbol").upper(),
        from_wire(min(increments), contract.code),
        Money(value * scale),
        text(record, "Currency") or "USD",
        text(record, "Exchange"),
        text(record, "Description"),
        text(record, "ExpirationDate")[:10] or None,
    )


def _schedule(shape: Json) -> list[Json]:
    return objects(shape.get("IncrementSchedule")) or []
