"""Portfolios as the keeper keeps them: listed, created, removed, and which sessions are in them; pure."""

from collections.abc import Mapping
from typing import Any, Final

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Nanos
from tradeproc.protocol.definitions import Method, NoBody

_KEEPER: Final = ("keeper",)


@dataclass(frozen=True, slots=True)
class HeatBlockShown:
    """When entries were refused for the heat, and why; `ended_at` is None while they are."""

    reason: str
    began_at: Nanos
    ended_at: Nanos | None


@dataclass(frozen=True, slots=True)
class PortfolioBody:
    """A portfolio; `spec` is what `PortfolioSpec.to_dict` writes, `sessions` those that are in it now."""

    name: str
    spec: Mapping[str, Any]
    sessions: tuple[int, ...]
    created_at: Nanos
    blocks: tuple[HeatBlockShown, ...] = ()


@dataclass(frozen=True, slots=True)
class PortfoliosListed:
    """All portfolios, by name, each with its newest blocks."""

    portfolios: tuple[PortfolioBody, ...]


@dataclass(frozen=True, slots=True)
class CreatePortfolio:
    """A portfolio, as `PortfolioSpec.to_dict` writes it, and the numbers of its first sessions."""

    spec: Mapping[str, Any]
    sessions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class OfPortfolio:
    """Which portfolio is meant."""

    portfolio: str


@dataclass(frozen=True, slots=True)
class PlaceSession:
    """Which session is to be in which portfolio, or in it no more."""

    portfolio: str
    session: int


PORTFOLIOS: Final[Method[NoBody, PortfoliosListed]] = Method("portfolios", NoBody, PortfoliosListed, _KEEPER)
CREATE_PORTFOLIO: Final[Method[CreatePortfolio, OfPortfolio]] = Method(
    "create_portfolio", CreatePortfolio, OfPortfolio, _KEEPER
)
REMOVE_PORTFOLIO: Final[Method[OfPortfolio, OfPortfolio]] = Method(
    "remove_portfolio", OfPortfolio, OfPortfolio, _KEEPER
)
ADD_TO_PORTFOLIO: Final[Method[PlaceSession, PlaceSession]] = Method(
    "add_to_portfolio", PlaceSession, PlaceSession, _KEEPER
)
TAKE_FROM_PORTFOLIO: Final[Method[PlaceSession, PlaceSession]] = Method(
    "take_from_portfolio", PlaceSession, PlaceSession, _KEEPER
)
