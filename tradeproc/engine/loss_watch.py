"""What the engine remembers of a session's profit, so that losses can be held against limits (`loss_limits.py`)."""

from dataclasses import field

from tradeproc.domain.book import Balance
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.market_hours import Stretch
from tradeproc.domain.tally import LossMarks, Tally
from tradeproc.domain.units import Nanos


@dataclass(frozen=True, slots=True)
class KnownLosses:
    """What the database knew of a session's losses at the start of a trader.

    `tally` is of all its fills, `before_day` of those before the present market day. `marks` are those saved last,
    None when there are none. `rearmed_at` is when a person lifted the newest latch of a loss limit, 0 for never;
    `latched` is why a loss limit has latched the session, empty when none has or a person has resumed it.
    """

    tally: Tally = Tally()
    before_day: Tally = Tally()
    marks: LossMarks | None = None
    rearmed_at: Nanos = Nanos(0)
    latched: str = ""


@dataclass(slots=True)
class LossWatch:
    """The tally of the fills, the marks from which losses count, and which of them are written down.

    `day` is the market day of now, `before_day` the tally at its open while that is needed. `tripped` is why a loss
    limit has latched the session, until a person resumes it. `rearm_at` is set from a resume until the profit that
    losses count from again is known. `account_heard_at` is when the broker's figures of the account were heard last,
    `seen` what the last review looked at.
    """

    tally: Tally = field(default_factory=Tally)
    before_day: Tally | None = None
    marks: LossMarks | None = None
    saved: LossMarks | None = None
    saved_at: Nanos = Nanos(0)
    day: Stretch | None = None
    tripped: str = ""
    rearm_at: Nanos | None = None
    account_heard_at: Nanos = Nanos(0)
    seen: tuple[float | None, Tally, Balance | None] | None = None
