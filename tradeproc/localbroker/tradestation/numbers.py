"""How TradeStation writes numbers, symbols and moments: numbers are strings without padding zeros or exponents.

Source: tradestation.md, "Hosts and conventions", "Bar object" and "Futures symbology".
"""

from decimal import Decimal

from tradeproc.brokers.tradestation.symbols import SYMBOLS, from_wire, scale_of
from tradeproc.domain.instruments import Contract, instrument_of
from tradeproc.domain.units import Price, plain
from tradeproc.errors import Refusal

AVERAGE_PLACES = 10


def written(value: Decimal | float | int) -> str:
    """Return a number as a string with all its digits and without padding."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    return f"{plain(exact):f}" if exact else "0"


def wire_price(price: Decimal | float, code: str) -> str:
    """Return a price of our contract on TradeStation's scale."""
    exact = price if isinstance(price, Decimal) else Decimal(repr(price))
    return written(exact * scale_of(code))


def wire_average(price: Decimal, code: str) -> str:
    """Return an average price with at most ten decimals, as the broker writes it."""
    exact = price * scale_of(code)
    return written(round(exact, AVERAGE_PLACES) if -int(exact.as_tuple().exponent) > AVERAGE_PLACES else exact)


def padded_price(price: Decimal, code: str) -> str:
    """Return a price as messages write it: with as many decimals as the contract's tick has, two at least."""
    tick = wire_price(instrument_of(code).tick_size, code)
    return f"{price * scale_of(code):.{max(2, len(tick.partition('.')[2]))}f}"


def exchange_price(price: Decimal, code: str) -> Price:
    """Return the exchange's price of one that a client sent."""
    return from_wire(price, code)


def wire_symbol(code: str) -> str:
    """Return TradeStation's symbol of a contract."""
    return SYMBOLS.to_broker_symbol(Contract.parse(code))


def find_contract(symbol: str, traded: tuple[str, ...]) -> str | None:
    """Return which traded contract a symbol means (`ESH24`, `@ES` for the first of that root), or None."""
    try:
        if symbol.startswith("@"):
            root = SYMBOLS.to_root_symbol(symbol)
            return next((code for code in traded if Contract.parse(code).root == root), None)
        code = SYMBOLS.to_contract(symbol).code
    except Refusal:
        return None
    return code if code in traded else None


def words(text: str) -> list[str]:
    """Return the entries of a comma list, upper-cased, each once, in order."""
    return list(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
