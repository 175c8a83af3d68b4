"""What a trader hears of rolls: the plan of its rule, a command, and answers to what a roll has asked."""

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Contracts, Nanos, Ticks


@dataclass(frozen=True, slots=True)
class RollPlanned:
    """What the rule says of the session's contract at the market time now; told when it changes.

    `last_day` and `roll_on` are ISO dates, `basis` says what the last day is; `days_left` are business days to the
    roll, `days_to_end` to the last day. `why` says what else than the rule of days decided, empty when nothing did.
    `is_open` while the market is open and stays so for long enough, `is_due`
    when the session has to roll by itself now.
    """

    next_contract: str
    basis: str
    last_day: str
    roll_on: str
    days_left: int
    days_to_end: int
    is_open: bool = False
    is_due: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class RollCommanded:
    """Roll into a contract, empty for the one of the rule; again while a roll is under way changes nothing."""

    by: str
    next_contract: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SpreadAnswered:
    """The answer to `AskSpread`: spread and the old contract's price, at the market time of the bars compared.

    Both are None where nobody knows; `reason` says why.
    """

    number: int
    spread: Ticks | None
    price: Ticks | None
    market_at: Nanos
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OldPositionAnswered:
    """The answer to `AskOldPosition`: signed contracts, None where the broker did not tell."""

    number: int
    quantity: Contracts | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SwitchAnswered:
    """Whether the database has the session's next contract: `failure` says why not, empty when it has."""

    failure: str = ""
