"""What a trader keeps of its questions to the portfolio server: numbers, lives, grants; pure, and used by the engine.

A question is asked anew, with a new number, when the server turns out to have restarted: a grant counts only for the
number and the life that were asked last. So an answer that was given before a restart can never be used after it.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from tradeproc.domain.orders import Order
from tradeproc.domain.portfolio import HeatTerms
from tradeproc.domain.units import Money, Nanos
from tradeproc.engine.effects import Send


@dataclass(slots=True)
class HeatAsk:
    """A question that is out, or whose grant is not used yet.

    It is about a new entry, or about a change of the working order `asked_of` to `wanted` for the strategy's `why`.
    `written` is what may be sent, with all its orders, once the row is in the database. `reason` is what stood
    against it last. It adds `contracts` to one side, positive to the long one, which are worth `notional`.
    """

    order_id: str
    heat: Money
    until: Nanos
    number: int
    life: str
    is_granted: bool = False
    written: tuple[Send, tuple[str, ...]] | None = None
    asked_of: Order | None = None
    wanted: Order | None = None
    why: str = ""
    reason: str = "the portfolio server does not answer"
    contracts: int = 0
    notional: Money | None = None


@dataclass(slots=True)
class HeatBook:
    """The portfolio's terms (None: the session is in none), the newest life of its server, and the questions.

    `unread` says why nobody knows the terms: the session may be in a portfolio whose row cannot be read. The account
    has limits of its own if `is_account_limited`, and then the server is asked also without a portfolio. `is_warned`
    and `blocked` are what the server told of the portfolio last.
    """

    terms: HeatTerms | None = None
    unread: str = ""
    is_account_limited: bool = False
    life: str = ""
    number: int = 0
    asks: dict[str, HeatAsk] = field(default_factory=dict)
    is_warned: bool = False
    blocked: str = ""

    @property
    def must_ask(self) -> bool:
        """Tell whether an entry needs a grant of the portfolio server."""
        return self.terms is not None or self.is_account_limited

    def ask(self, order_id: str, heat: Money, until: Nanos) -> HeatAsk:
        """Note a new question."""
        self.number += 1
        made = HeatAsk(order_id, heat, until, self.number, self.life)
        self.asks[order_id] = made
        return made

    def heard(self, life: str) -> list[HeatAsk]:
        """Take note of the server's life, and return the questions that must be asked again."""
        if life == self.life:
            return []
        self.life = life
        again = [each for each in self.asks.values() if not each.is_granted]
        for each in again:
            self.number += 1
            each.number, each.life = self.number, life
        return again

    def grant(self, order_id: str, life: str, number: int) -> HeatAsk | None:
        """Return the question that a grant answers, None when it is not the one that was asked last."""
        found = self.asks.get(order_id)
        if found is None or found.is_granted or (found.life, found.number) != (life, number):
            return None
        found.is_granted = True
        return found

    def refuse(self, order_id: str, number: int) -> HeatAsk | None:
        """Return the question that a refusal answers, None when it is not the one that was asked last."""
        found = self.asks.get(order_id)
        return None if found is None or found.is_granted or found.number != number else found

    @property
    def unanswered(self) -> tuple[int, ...]:
        """Return the numbers of the questions whose heat is not ours yet."""
        return tuple(each.number for each in self.asks.values() if not each.is_granted)

    @property
    def without(self) -> Collection[str]:
        """Return the orders that have no heat yet: entries that were asked for and not granted."""
        return {each.order_id for each in self.asks.values() if not each.is_granted and each.wanted is None}
