"""What the database keeps beside the values of the domain, as values; `columns.py` reads and writes them."""

from tradeproc.domain.book import Divergence, Position
from tradeproc.domain.broker_orders import BrokerAccount
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.portfolio import PortfolioSpec
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import Nanos


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as the database keeps it; `holder` took the lease last.

    `desired` is "running", "stopped", or "flattening": to be stopped as soon as it is flat, and not before.
    """

    id: int
    spec: SessionSpec
    desired: str
    fence: int
    holder: str
    leased_at: Nanos | None
    created_at: Nanos
    changed_at: Nanos


@dataclass(frozen=True, slots=True)
class Latch:
    """A trading state that a person or a process set: active, reducing or halted; `at` is 0 for one never set."""

    scope: str
    state: str
    by: str
    reason: str
    at: Nanos


@dataclass(frozen=True, slots=True)
class PositionRow:
    """The newest position of a session in a contract, and who said so."""

    session: int
    position: Position
    source: str
    at: Nanos


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who has seen a divergence or an alarm, when, and what they said about it."""

    at: Nanos
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class DivergenceRow:
    """A divergence, when both sides agreed again (None while it is open), and who has seen it."""

    divergence: Divergence
    closed_at: Nanos | None
    acknowledged: Acknowledgement | None = None


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """An alarm of a session (None: of the host), when it was cleared (None while it stands), and who has seen it.

    `who` is the process that raised it; None in a row that an earlier version wrote.
    """

    session: int | None
    name: str
    detail: str
    at: Nanos
    cleared_at: Nanos | None
    acknowledged: Acknowledgement | None = None
    who: str | None = None


@dataclass(frozen=True, slots=True)
class PortfolioRow:
    """A portfolio; `created_at` is also what tells it from another one of the same name."""

    name: str
    spec: PortfolioSpec
    created_at: Nanos


@dataclass(frozen=True, slots=True)
class SessionPortfolio:
    """The portfolio of a session, and since when the session is in it, which tells one membership from the next."""

    name: str
    spec: PortfolioSpec
    created_at: Nanos
    added_at: Nanos

    @property
    def revision(self) -> int:
        """Return what changes when the portfolio is made anew, or the session taken out and put in again."""
        return max(self.created_at, self.added_at)


@dataclass(frozen=True, slots=True)
class PortfolioSessionRow:
    """Which portfolio a session is in."""

    session: int
    portfolio: str
    added_at: Nanos


@dataclass(frozen=True, slots=True)
class HeatBlockRow:
    """When entries of a portfolio were refused for its heat; `ended_at` is None while they are."""

    portfolio: str
    reason: str
    began_at: Nanos
    ended_at: Nanos | None


@dataclass(frozen=True, slots=True)
class LoginRow:
    """A login as it was configured when it last changed."""

    name: str
    broker: str
    environment: str
    base_url: str
    changed_at: Nanos


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account of a login and when the broker last listed it."""

    login: str
    account: BrokerAccount
    seen_at: Nanos
