"""Positions and money of the exchange's accounts: what fills do to them. Exact, in ticks times contracts.

Costs are fractions, because the cost of a part of a position need not be a whole number of ticks. A cost whose
denominator exceeds 10**12 is rounded, by less than a trillionth of a tick. The rounding moves that much between
realized and unrealized profit; their sum stays exact, and so does cash + unrealized.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.units import Contracts, Money, Nanos, Ticks
from tradeproc.exchange.orders import DayStart, ExchangeFill, ExchangePosition, Funds

FIRST_POSITION_ID = 70_000_001
CURRENCY = "USD"
_LARGEST_DENOMINATOR = 10**12
_NONE, _NO_MONEY = Fraction(0), Decimal(0)

Mark = Callable[[str], Ticks | None]


@dataclass(slots=True)
class _Line:
    """One contract of one account; `paid` is the sum of ticks x signed quantity of all its fills."""

    contract: str
    tick_value: Money
    id: str = ""
    quantity: int = 0
    cost: Fraction = _NONE
    paid: int = 0
    fees: Decimal = _NO_MONEY
    opened_at: Nanos = Nanos(0)

    def add(self, signed: int, price: Ticks) -> None:
        """Book a fill: what it adds or reverses costs its price, what it closes leaves at the average cost."""
        self.paid += price * signed
        after = self.quantity + signed
        if self.quantity * signed >= 0:
            self.cost += price * signed
        elif after * self.quantity > 0:
            self.cost = self.cost * after / self.quantity
            if self.cost.denominator > _LARGEST_DENOMINATOR:
                self.cost = self.cost.limit_denominator(_LARGEST_DENOMINATOR)
        else:
            self.cost = Fraction(price * after)
        self.quantity = after

    @property
    def realized(self) -> Decimal:
        return money(self.cost - self.paid, self.tick_value)

    def unrealized(self, mark: Ticks | None) -> Decimal:
        return money(_NONE if mark is None else mark * self.quantity - self.cost, self.tick_value)


@dataclass(slots=True)
class Accounts:
    """The positions and the money of all accounts. `starts` are the accounts with their starting cash.

    `day_starts` is the accounts' money when the trading day began; an account is missing until a day has begun since
    it was opened.
    """

    starts: Mapping[str, Money]
    commission: Money
    margins: Mapping[str, Money]
    day_starts: dict[str, DayStart] = field(default_factory=dict)
    _lines: dict[str, dict[str, _Line]] = field(default_factory=dict)
    _next_id: int = FIRST_POSITION_ID

    def book(self, fill: ExchangeFill) -> ExchangePosition:
        """Book a fill and return the position after it; a position that changed sides has a new number."""
        lines = self._lines.setdefault(fill.account, {})
        line = lines.get(fill.contract)
        if line is None:
            line = lines[fill.contract] = _Line(fill.contract, instrument_of(fill.contract).tick_value)
        before = line.quantity
        line.add(fill.side.sign * fill.quantity, fill.price)
        line.fees += self.commission * fill.quantity
        if before == 0 or before * line.quantity < 0:
            line.id, line.opened_at = str(self._next_id), fill.at
            self._next_id += 1
        return _holding(fill.account, line)

    def holding(self, account: str, contract: str) -> ExchangePosition | None:
        """Return a position, also one that is flat again; None if there never was one."""
        line = self._lines.get(account, {}).get(contract)
        return _holding(account, line) if line else None

    def holdings(self, account: str) -> list[ExchangePosition]:
        """Return the positions that are not flat."""
        return [_holding(account, line) for line in self._lines.get(account, {}).values() if line.quantity]

    def funds(self, account: str, mark: Mark) -> Funds:
        """Return the money of an account; `mark` gives the last price of a contract."""
        realized = fees = unrealized = margin = _NO_MONEY
        for contract, line in self._lines.get(account, {}).items():
            realized += line.realized
            fees += line.fees
            unrealized += line.unrealized(mark(contract))
            margin += self.margins.get(instrument_of(contract).root, _NO_MONEY) * abs(line.quantity)
        cash = self.starts[account] + realized - fees
        return Funds(
            account=account,
            currency=CURRENCY,
            start=self.starts[account],
            cash=Money(cash),
            equity=Money(cash + unrealized),
            realized=Money(realized),
            unrealized=Money(unrealized),
            commission=Money(fees),
            margin=Money(margin),
        )

    def day_start(self, account: str) -> DayStart:
        """Return an account's money when the trading day began; before the first such moment, its starting cash."""
        return self.day_starts.get(account) or DayStart(self.starts[account], Money(_NO_MONEY))


def money(ticks: Fraction | int, tick_value: Money) -> Money:
    """Return the worth of ticks times contracts; one whose decimals do not end is rounded to 28 digits."""
    exact = tick_value * ticks.numerator
    return Money(exact if ticks.denominator == 1 else exact / ticks.denominator)


def _holding(account: str, line: _Line) -> ExchangePosition:
    return ExchangePosition(line.id, account, line.contract, Contracts(line.quantity), line.cost, line.opened_at)
