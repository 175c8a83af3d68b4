"""How long a trader waits for whom."""

from tradeproc.domain.frozen import dataclass
from tradeproc.procs import follower
from tradeproc.procs.follower import FollowerTiming


@dataclass(frozen=True, slots=True)
class TraderTiming:
    """Durations in seconds.

    An order operation has `order`, with the way there and back. Heat is reported every `heat`. What is not known is
    asked for again after `again`, the broker's terms after `terms_again`, volumes of rolls after `volumes_again`.
    A database that is away is looked at every `database`, and its journal replayed for `replay` at a time. An account
    manager that is silent for `silence` is not believed.
    """

    order: float = 12.0
    heat: float = 1.0
    question: float = 12.0
    history: float = 20.0
    again: float = 2.0
    terms: float = 10.0
    terms_again: float = 2.0
    volumes_again: float = 300.0
    silence: float = follower.USUAL.silence
    database: float = 3.0
    replay: float = 0.3
    follower: FollowerTiming = follower.USUAL


USUAL = TraderTiming()
