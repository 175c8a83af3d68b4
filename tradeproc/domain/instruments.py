"""Instruments and their contracts: what is traded, its tick size and the value of a point.

Canonical names are the exchange's: root `ES`, `6E`, `ZN`; contract `ESH24` (root, month letter, two digits of
the year). Brokers' own names exist only inside their symbol adapter.
"""

import re
from decimal import Decimal
from functools import cache

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Money, Price, Ticks, nearest_ticks, to_price, to_ticks
from tradeproc.errors import Refusal

MONTH_LETTERS = "FGHJKMNQUVXZ"
GROUPS = ("equity_index", "rates", "energy", "metals", "grains", "livestock", "fx", "crypto")
"""The groups of products whose prices move together; a portfolio limits the heat of each."""

_GROUP_OF_CALENDAR = {
    "cme_equity": "equity_index",
    "cbot_rates": "rates",
    "cme_energy": "energy",
    "cme_metals": "metals",
    "cbot_grains": "grains",
    "cme_livestock": "livestock",
    "cme_fx": "fx",
}
MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class UnknownInstrument(Refusal):
    """A root that is not in the table; caught where a person or a broker named it."""

    def __init__(self, root: str) -> None:
        self.root = root
        super().__init__(f"unknown instrument {root!r}")


class NoSuchMonth(Refusal):
    """A contract whose month is no delivery month of its root; caught by the command that asked for a session."""

    def __init__(self, code: str, root: str, months: str) -> None:
        known = ", ".join(f"{letter} ({MONTH_NAMES[MONTH_LETTERS.index(letter)]})" for letter in months)
        super().__init__(f"{code} does not exist; {root} has the delivery months {known}")


class BadContract(Refusal):
    """A contract code that cannot be read; caught where it came in."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(f"{code!r} is no contract; write root, month letter and two digits of the year, as ESH24")


@dataclass(frozen=True, slots=True)
class Instrument:
    """A futures product.

    `tick_size` is in points, `point_value` in `currency` per point and contract, `market_hours` the key
    of its exchange calendar in `domain/market_hours.py`, `months` the letters of its delivery months.
    """

    root: str
    exchange: str
    tick_size: Price
    point_value: Money
    currency: str
    market_hours: str
    months: str
    description: str

    @property
    def tick_value(self) -> Money:
        """Return what one tick of one contract is worth."""
        return Money(self.tick_size * self.point_value)

    @property
    def group(self) -> str:
        """Return which of `GROUPS` it belongs to: products of one group have one exchange calendar."""
        return _GROUP_OF_CALENDAR[self.market_hours]

    def ticks(self, price: Decimal) -> Ticks:
        """Return a price in ticks.

        Raises:
            OffGrid: the price lies between two ticks.
        """
        return to_ticks(price, self.tick_size)

    def nearest(self, price: float) -> Ticks:
        """Return the tick nearest to an indicator value."""
        return nearest_ticks(price, self.tick_size)

    def price(self, ticks: int) -> Price:
        """Return the price of a number of ticks."""
        return to_price(ticks, self.tick_size)


@dataclass(frozen=True, slots=True, order=True)
class Contract:
    """One delivery month of an instrument; orders by root, year, month."""

    root: str
    year: int
    month: int

    @property
    def code(self) -> str:
        """Return the canonical code, as `ESH24`."""
        return f"{self.root}{MONTH_LETTERS[self.month - 1]}{self.year % 100:02d}"

    def __str__(self) -> str:
        return self.code

    @classmethod
    def parse(cls, code: str) -> "Contract":
        """Return the contract that a canonical code names; years 70 to 99 are 1970 to 1999.

        Raises:
            BadContract: the code has another form.
        """
        match = re.fullmatch(rf"([A-Z0-9]{{1,4}}?)([{MONTH_LETTERS}])(\d\d)", code)
        if match is None:
            raise BadContract(code)
        root, letter, digits = match.groups()
        year = int(digits)
        return cls(root, year + (1900 if year >= 70 else 2000), MONTH_LETTERS.index(letter) + 1)


def instrument(root: str) -> Instrument:
    """Return the instrument of a root.

    Raises:
        UnknownInstrument: the root is not in the table.
    """
    try:
        return INSTRUMENTS[root]
    except KeyError:
        raise UnknownInstrument(root) from None


# root, exchange, tick size, point value, market hours, delivery months (* is every month), description.
# Source: "Listed Contracts" and the other terms in each product's contract specification at cmegroup.com. Months that
# are listed only near the present, as the serial ones of currencies and of gold, count as listed.
_TABLE = """
ES|CME|0.25|50|cme_equity|HMUZ|E-mini S&P 500
MES|CME|0.25|5|cme_equity|HMUZ|Micro E-mini S&P 500
NQ|CME|0.25|20|cme_equity|HMUZ|E-mini Nasdaq-100
MNQ|CME|0.25|2|cme_equity|HMUZ|Micro E-mini Nasdaq-100
YM|CBOT|1|5|cme_equity|HMUZ|E-mini Dow
MYM|CBOT|1|0.5|cme_equity|HMUZ|Micro E-mini Dow
RTY|CME|0.1|50|cme_equity|HMUZ|E-mini Russell 2000
M2K|CME|0.1|5|cme_equity|HMUZ|Micro E-mini Russell 2000
6E|CME|0.00005|125000|cme_fx|*|Euro FX
M6E|CME|0.0001|12500|cme_fx|HMUZ|Micro Euro FX
6B|CME|0.0001|62500|cme_fx|*|British Pound
6A|CME|0.00005|100000|cme_fx|*|Australian Dollar
6C|CME|0.00005|100000|cme_fx|*|Canadian Dollar
6J|CME|0.0000005|12500000|cme_fx|*|Japanese Yen
6S|CME|0.00005|125000|cme_fx|*|Swiss Franc
6N|CME|0.00005|100000|cme_fx|*|New Zealand Dollar
ZB|CBOT|0.03125|1000|cbot_rates|HMUZ|30-Year Treasury Bond
ZN|CBOT|0.015625|1000|cbot_rates|HMUZ|10-Year Treasury Note
TN|CBOT|0.015625|1000|cbot_rates|HMUZ|Ultra 10-Year Treasury Note
ZF|CBOT|0.0078125|1000|cbot_rates|HMUZ|5-Year Treasury Note
ZT|CBOT|0.00390625|2000|cbot_rates|HMUZ|2-Year Treasury Note
CL|NYMEX|0.01|1000|cme_energy|*|Crude Oil
MCL|NYMEX|0.01|100|cme_energy|*|Micro Crude Oil
NG|NYMEX|0.001|10000|cme_energy|*|Natural Gas
RB|NYMEX|0.0001|42000|cme_energy|*|RBOB Gasoline
HO|NYMEX|0.0001|42000|cme_energy|*|NY Harbor ULSD
GC|COMEX|0.1|100|cme_metals|*|Gold
MGC|COMEX|0.1|10|cme_metals|GJMQVZ|Micro Gold
SI|COMEX|0.005|5000|cme_metals|*|Silver
HG|COMEX|0.0005|25000|cme_metals|*|Copper
PL|NYMEX|0.1|50|cme_metals|*|Platinum
ZC|CBOT|0.25|50|cbot_grains|HKNUZ|Corn
ZS|CBOT|0.25|50|cbot_grains|FHKNQUX|Soybeans
ZW|CBOT|0.25|50|cbot_grains|HKNUZ|Chicago Wheat
LE|CME|0.025|400|cme_livestock|GJMQVZ|Live Cattle
HE|CME|0.025|400|cme_livestock|GJKMNQVZ|Lean Hogs
GF|CME|0.025|500|cme_livestock|FHJKQUVX|Feeder Cattle
"""


def _read_table() -> dict[str, Instrument]:
    rows = [line.split("|") for line in _TABLE.strip().splitlines()]
    every = {"*": MONTH_LETTERS}
    return {
        root: Instrument(
            root, exchange, Price(Decimal(tick)), Money(Decimal(value)), "USD", hours, every.get(months, months), name
        )
        for root, exchange, tick, value, hours, months, name in rows
    }


INSTRUMENTS = _read_table()


@cache
def instrument_of(code: str) -> Instrument:
    """Return the instrument of a canonical contract code.

    Raises:
        BadContract: the code has another form.
        UnknownInstrument: its root is not in the table.
    """
    return instrument(Contract.parse(code).root)


def check_listed(code: str) -> None:
    """Check that the exchange lists contracts of that month.

    Raises:
        NoSuchMonth: it does not; the text names the months that it lists.
        BadContract: the code has another form.
        UnknownInstrument: its root is not in the table.
    """
    contract, listed = Contract.parse(code), instrument_of(code).months
    if MONTH_LETTERS[contract.month - 1] not in listed:
        raise NoSuchMonth(code, contract.root, listed)
