"""One roll of a session as its rows tell it: from which contract into which, how far it is, and with which orders."""

from enum import StrEnum

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Contracts, Nanos, Ticks


class RollStep(StrEnum):
    """How far a roll is; each step is stored before what it says is done."""

    CLOSING = "closing"
    """The position in the old contract is being closed, its stops and targets with it."""
    FLAT = "flat"
    """The broker tells the old contract as flat."""
    SWITCHED = "switched"
    """The session's contract is the next one; nothing is open in it yet."""
    REOPENING = "reopening"
    """An entry in the next contract was made, and may have been sent."""
    ROLLED = "rolled"
    """Over: what was closed is open in the next contract."""
    GIVEN_UP = "given_up"
    """Over: the session is in the next contract, but not all was opened again; the reason says why."""

    @property
    def is_over(self) -> bool:
        """Tell whether the roll has ended."""
        return self in (RollStep.ROLLED, RollStep.GIVEN_UP)


@dataclass(frozen=True, slots=True)
class Roll:
    """A roll at one of its steps.

    `by` asked for it, `reason` says why or how it ended. `quantity` is the signed position when it began, `reopen`
    the signed contracts to open again: never more than its exits have closed. `spread` is the price of the next
    contract minus that of the old one, `price` the old one's then, both None where nobody knows; `market_at` is the
    market time of both. `stop` and `target` are the old contract's. `close_orders` and `entry_orders` are ids of the
    orders that close and open, oldest first, with blanks between.
    """

    id: str
    session: int
    contract: str
    next_contract: str
    step: RollStep
    by: str
    reason: str
    quantity: Contracts
    reopen: Contracts
    spread: Ticks | None
    price: Ticks | None
    stop: Ticks | None
    target: Ticks | None
    close_orders: str
    entry_orders: str
    market_at: Nanos
    began_at: Nanos
    at: Nanos
