"""Portfolios on command: stored here, counted by the portfolio server, taken over by traders within seconds."""

import logging

from tradeproc.bus.node import Node
from tradeproc.domain.instruments import instrument
from tradeproc.domain.portfolio import PortfolioSpec
from tradeproc.procs.keeper.commands import NotNow
from tradeproc.procs.keeper.lists import number
from tradeproc.protocol import portfolio_commands as said
from tradeproc.protocol.portfolio_commands import (
    CreatePortfolio,
    HeatBlockShown,
    OfPortfolio,
    PlaceSession,
    PortfolioBody,
    PortfoliosListed,
)
from tradeproc.store import Store

log = logging.getLogger(__name__)

_BLOCKS = 10


class PortfolioCommands:
    """The methods about portfolios; a running session may be added or taken out."""

    def __init__(self, node: Node, store: Store) -> None:
        self._store, self._tables = store, store.portfolios
        node.handle(said.PORTFOLIOS, lambda _: self._listed())
        node.handle(said.CREATE_PORTFOLIO, self._create)
        node.handle(said.REMOVE_PORTFOLIO, self._remove)
        node.handle(said.ADD_TO_PORTFOLIO, self._add)
        node.handle(said.TAKE_FROM_PORTFOLIO, self._take)

    def _listed(self) -> PortfoliosListed:
        places = self._tables.sessions()
        return PortfoliosListed(
            tuple(
                PortfolioBody(
                    row.name,
                    row.spec.to_dict(),
                    tuple(place.session for place in places if place.portfolio == row.name),
                    row.created_at,
                    tuple(
                        HeatBlockShown(block.reason, block.began_at, block.ended_at)
                        for block in self._tables.blocks(row.name, limit=_BLOCKS)
                    ),
                )
                for row in self._tables.all()
            )
        )

    def _create(self, wish: CreatePortfolio) -> OfPortfolio:
        spec = PortfolioSpec.from_dict(wish.spec)
        # a file may name a session twice, once by its number
        sessions = tuple(dict.fromkeys(wish.sessions))
        for session in sessions:
            self._check(spec, session)
        if not self._tables.create(spec, sessions):
            raise NotNow(f"there is a portfolio {spec.name} already; remove it first, or give another name")
        log.info("portfolio_created name=%s sessions=%s", spec.name, sessions)
        return OfPortfolio(spec.name)

    def _remove(self, asked: OfPortfolio) -> OfPortfolio:
        if not self._tables.remove(asked.portfolio):
            raise NotNow(self._unknown(asked.portfolio))
        log.info("portfolio_removed name=%s", asked.portfolio)
        return asked

    def _add(self, asked: PlaceSession) -> PlaceSession:
        found = [row.spec for row in self._tables.all() if row.name == asked.portfolio]
        if not found:
            raise NotNow(self._unknown(asked.portfolio))
        self._check(found[0], asked.session)
        if not self._tables.add(asked.portfolio, asked.session):
            raise NotNow(f"session {asked.session} was put into a portfolio at the same moment; look again")
        log.info("portfolio_session_added name=%s session=%d", asked.portfolio, asked.session)
        return asked

    def _take(self, asked: PlaceSession) -> PlaceSession:
        if not self._tables.take(asked.portfolio, number(asked.session, "session")):
            raise NotNow(f"session {asked.session} is not in portfolio {asked.portfolio}")
        log.info("portfolio_session_taken name=%s session=%d", asked.portfolio, asked.session)
        return asked

    def _check(self, spec: PortfolioSpec, session: int) -> None:
        """Refuse a session that there is not, that is in a portfolio, or whose money cannot be added up."""
        row = self._store.session(number(session, "session"))
        present = self._tables.of_session(row.id)
        if present is not None:
            raise NotNow(f"session {row.id} is in portfolio {present.name} already; take it out first")
        currency = instrument(row.spec.root).currency
        if currency != spec.currency:
            raise NotNow(f"session {row.id} trades in {currency}, portfolio {spec.name} counts in {spec.currency}")

    def _unknown(self, name: str) -> str:
        names = ", ".join(row.name for row in self._tables.all())
        return f"there is no portfolio {name!r}; " + (f"there are {names}" if names else "there is none yet")
