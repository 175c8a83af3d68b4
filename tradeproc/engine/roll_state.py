"""What a trader remembers of rolls: the rule's plan, a wish, the roll that is open, and what was asked for it."""

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.roll_steps import Roll
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.engine.events import RollPlanned, SpreadAnswered


@dataclass(frozen=True, slots=True)
class RollWish:
    """A roll that is wanted and has not begun; `is_by_rule` when the session's rule wants it, and nobody else."""

    by: str
    next_contract: str
    reason: str
    since: Nanos
    is_by_rule: bool = False


@dataclass(slots=True)
class RollDesk:
    """Everything about rolls in one trader's life.

    `has_begun` tells whether this life has begun the closing of the open roll. `spread` is the newest answer and
    `spread_at` when it came; `old` are the contracts that the broker told in the old contract, None before it did.
    `not_before` is when the next try is due; `waits` says what a wish or a roll waits for, since `waits_since`.
    """

    plan: RollPlanned | None = None
    wish: RollWish | None = None
    open: Roll | None = None
    has_begun: bool = False
    number: int = 0
    asked_at: Nanos | None = None
    spread: SpreadAnswered | None = None
    spread_at: Nanos = Nanos(0)
    old: Contracts | None = None
    not_before: Nanos = Nanos(0)
    waits: str = ""
    waits_since: Nanos = Nanos(0)
    is_switched: bool = False
