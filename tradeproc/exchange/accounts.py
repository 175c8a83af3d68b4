"""Positions and money of the exchange's accounts: what fills do to them. Exact Decimal arithmetic, no rounding.

The only rounded number is an average price of a reduced position whose cost does not divide; it moves profit
between realized and unrealized in the 28th digit, never creates any: cash + unrealized is exact.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tradeproc.domain.instruments import Contract, instrument
from tradeproc.domain.units import Contracts, Money, Nanos, Price
from tradeproc.exchange.orders import ExchangeFill, ExchangePosition, Funds

FIRST_POSITION_ID = 70_000_001
CURRENCY = "USD"
ZERO = Decimal(0)


@dataclass(slots=True)
class _Line:
    """One contract of one account; `paid` is the sum of price x signed quantity of every fill ever."""

    contract: str
    id: str = ""
    quantity: int = 0
    cost: Decimal = ZERO
    paid: Decimal = ZERO
    fees: Decimal = ZERO
    opened_at: Nanos = Nanos(0)

    def add(self, signed: int, price: Decimal) -> None:
        """Book a fill: it adds at its price, or takes away at the average, or turns the position round."""
        self.paid += price * signed
        after = self.quantity + signed
        if self.quantity * signed >= 0:
            self.cost += price * signed
        elif after * self.quantity > 0:
            self.cost = self.cost * after / self.quantity
        else:
            self.cost = price * after
        self.quantity = after

    @property
    def realized_points(self) -> Decimal:
        return self.cost - self.paid


@dataclass(slots=True)
class Book:
    """The positions and the money of all accounts. `starts` are the accounts with their starting cash."""

    starts: Mapping[str, Money]
    commission: Money
    margins: Mapping[str, Money]
    _lines: dict[tuple[str, str], _Line] = field(default_factory=dict)
    _next_id: int = FIRST_POSITION_ID

    def book(self, fill: ExchangeFill) -> ExchangePosition:
        """Book a fill and return the position after it; one that turned round has a new number."""
        line = self._lines.setdefault((fill.account, fill.contract), _Line(fill.contract))
        before = line.quantity
        signed = fill.side.sign * fill.quantity
        line.add(signed, fill.price)
        line.fees += self.commission * fill.quantity
        if before == 0 or before * line.quantity < 0:
            line.id, line.opened_at = str(self._next_id), fill.at
            self._next_id += 1
        return self._holding(fill.account, line)

    def holding(self, account: str, contract: str) -> ExchangePosition | None:
        """Return a position, also one that is flat again; None if there never was one."""
        line = self._lines.get((account, contract))
        return self._holding(account, line) if line else None

    def holdings(self, account: str) -> list[ExchangePosition]:
        """Return the positions that are not flat."""
        lines = [line for (owner, _), line in self._lines.items() if owner == account and line.quantity]
        return [self._holding(account, line) for line in lines]

    def funds(self, account: str, mark: Callable[[str], Decimal | None]) -> Funds:
        """Return the money of an account; `mark` gives the last price of a contract."""
        realized = fees = unrealized = margin = ZERO
        for (owner, contract), line in self._lines.items():
            if owner == account:
                root = Contract.parse(contract).root
                worth = instrument(root).point_value
                realized += line.realized_points * worth
                fees += line.fees
                unrealized += open_points(line.quantity, line.cost, mark(contract)) * worth
                margin += self.margins.get(root, ZERO) * abs(line.quantity)
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

    def _holding(self, account: str, line: _Line) -> ExchangePosition:
        average = Price(line.cost / line.quantity) if line.quantity else None
        return ExchangePosition(
            line.id, account, line.contract, Contracts(line.quantity), average, Price(line.cost), line.opened_at
        )


def open_points(quantity: int, cost: Decimal, mark: Decimal | None) -> Decimal:
    """Return the open profit in points x contracts; nothing without a last price."""
    return ZERO if mark is None else mark * quantity - cost
