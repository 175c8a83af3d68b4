"""What the portfolio process tells: the sum over the sessions of this host, and the host's trading state; pure."""

from collections.abc import Mapping
from typing import Final

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Money, Nanos, Price
from tradeproc.protocol.definitions import FollowedTopic, Method, NoBody
from tradeproc.protocol.trader_messages import SessionState, TradingWord

_PORTFOLIO: Final = ("portfolio",)


@dataclass(frozen=True, slots=True)
class SummedSession:
    """What the portfolio tells of one session, as its trader said it; `SessionState` explains the fields."""

    session: int
    name: str
    account: str
    contract: str
    position: int
    average: Price | None
    realized: Money | None
    unrealized: Money | None
    currency: str
    trading_state: TradingWord
    reconciled: bool
    market_at: Nanos | None
    alarms: Mapping[str, str]

    @classmethod
    def of(cls, state: SessionState) -> "SummedSession":
        """Return what is told of a session in this state."""
        return cls(
            state.session,
            state.name,
            state.account,
            state.contract,
            state.position,
            state.average,
            state.realized,
            state.unrealized,
            state.currency,
            state.trading_state,
            state.reconciled,
            state.market_at,
            state.alarms,
        )


@dataclass(frozen=True, slots=True)
class SummedPosition:
    """The contracts of one account, over all its sessions; negative is short."""

    account: str
    contract: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Profit:
    """The profit of all sessions in one currency, before fees."""

    realized: Money
    unrealized: Money


@dataclass(frozen=True, slots=True)
class Sums:
    """Positions and profit of the sessions that reported.

    Not `is_complete` when a session that should run is `missing`, when the profit of one is not known (`unpriced`),
    or while nobody knows which sessions should run. `profit` is by currency.
    """

    is_complete: bool
    missing: tuple[int, ...]
    unpriced: tuple[int, ...]
    sessions: tuple[SummedSession, ...]
    positions: tuple[SummedPosition, ...]
    profit: Mapping[str, Profit]


@dataclass(frozen=True, slots=True)
class HostTradingState:
    """The most severe latch of the host and its portfolios; halted, and not `is_known`, before they were read."""

    trading_state: TradingWord
    is_known: bool


@dataclass(frozen=True, slots=True)
class PortfolioState(Sums):
    """The sums and the host's trading state, as `HostTradingState`; `database` is `up`, or why it is not."""

    trading_state: TradingWord
    is_known: bool
    database: str


PORTFOLIO: Final[FollowedTopic[PortfolioState, PortfolioState]] = FollowedTopic(
    "portfolio", PortfolioState, _PORTFOLIO, PortfolioState
)
ASK_PORTFOLIO: Final[Method[NoBody, PortfolioState]] = Method("state", NoBody, PortfolioState, _PORTFOLIO)
ASK_TRADING_STATE: Final[Method[NoBody, HostTradingState]] = Method(
    "trading_state", NoBody, HostTradingState, _PORTFOLIO
)
