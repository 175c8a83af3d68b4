"""What a trader tells the portfolio server of its heat, and what it hears of its portfolio.

It reports once a second, and at once when the server turns out to have restarted: until every trader of a portfolio
has reported to the new life, entries of all of them wait.
"""

import logging
from collections.abc import Callable

from tradeproc.bus.codec import Envelope
from tradeproc.bus.node import Node
from tradeproc.engine import events, heat_report
from tradeproc.engine.events import Event, HeatTermsRead
from tradeproc.engine.state import State
from tradeproc.errors import Refusal
from tradeproc.procs.trader.audit_trail import AuditTrail
from tradeproc.protocol import names
from tradeproc.protocol.heat_messages import HEAT_REPORT, PORTFOLIOS_HEAT, JointStanding, PortfoliosHeat
from tradeproc.protocol.scopes import Scope
from tradeproc.store.database import DatabaseDown
from tradeproc.store.rows import SessionRow
from tradeproc.store.store import Store

log = logging.getLogger(__name__)

_READ_SECONDS = 5.0


def terms_of(store: Store, row: SessionRow, *, is_account_limited: bool = False) -> HeatTermsRead:
    """Return the portfolio of a session as its trader must know it.

    One that cannot be read, as a row that a later version wrote, is `unread`: entries wait, and nothing else does.

    Raises:
        DatabaseDown: nobody knows.
    """
    try:
        found = store.portfolios.of_session(row.id)
        terms = None if found is None else found.spec.terms(row.spec.root, found.revision)
    except DatabaseDown:
        raise
    except Refusal as problem:
        return HeatTermsRead(None, f"the session's portfolio cannot be read: {problem}", is_account_limited)
    return HeatTermsRead(terms, "", is_account_limited)


class HeatReporter:
    """One trader's part in its portfolio."""

    def __init__(
        self,
        node: Node,
        row: SessionRow,
        audit: AuditTrail,
        state: State,
        tell: Callable[[Event], None],
        limit_reached: Callable[[JointStanding], None],
    ) -> None:
        self._node, self._audit, self._state, self._tell = node, audit, state, tell
        self._row, self._limit_reached = row, limit_reached
        self._known: HeatTermsRead | None = None
        self._sequence = 0
        self._heard: events.PortfolioHeard | None = None

    def begin(self, known: HeatTermsRead) -> None:
        """Begin with the portfolio as the database has it: no entry leaves before this is known."""
        self._known = known
        if known != HeatTermsRead(None):
            self._tell(known)
        self._node.subscribe(names.PORTFOLIO, PORTFOLIOS_HEAT, self._hear)
        self._node.every(self._audit.timing.heat, self.report)
        self._node.every(_READ_SECONDS, self._read)

    def report(self) -> None:
        """Tell the heat; that of a session in no portfolio is told in its `state` alone."""
        now = self._audit.clock.now()
        report = heat_report.report_of(self._state, self._audit.fence, self._sequence + 1, now)
        if report is not None:
            self._sequence += 1
            self._node.publish(HEAT_REPORT, report)

    def _hear(self, envelope: Envelope[PortfoliosHeat]) -> None:
        for standing in envelope.body.joint:
            if standing.reached and self._is_ours(Scope(standing.scope)):
                self._limit_reached(standing)
        heard = heat_report.heard_of(self._state, envelope.body)
        if heard == self._heard:
            return
        is_new_life = self._heard is None or self._heard.life != heard.life
        self._heard = heard
        self._tell(heard)
        if is_new_life:
            self.report()

    def _is_ours(self, scope: Scope) -> bool:
        terms = self._state.engine.heat.terms
        portfolio = "" if terms is None else terms.portfolio
        return scope.concerns(self._row.id, (), portfolio, self._row.spec.account)

    def _read(self) -> None:
        """Read again where the session belongs; while the database is away, what was known stands.

        So it does when the portfolio cannot be read, as one of a later version: a trader must not die of that.
        """
        if not self._audit.is_up:
            return
        before = self._known
        is_limited = before is not None and before.is_account_limited
        try:
            known = terms_of(self._audit.store, self._row, is_account_limited=is_limited)
        except DatabaseDown as down:
            self._audit.went_down(down)
            return
        if known.unread:
            log.warning("portfolio_unread session=%d reason=%s", self._row.id, known.unread)
            if before is not None and before.terms is not None:
                return
        if known != before:
            self._known = known
            self._tell(known)
            self.report()
