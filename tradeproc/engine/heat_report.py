"""What a trader tells the portfolio server of its heat, and what it hears of its portfolio; pure."""

from tradeproc.domain.answers import Known
from tradeproc.engine import heat
from tradeproc.engine.events import PortfolioHeard
from tradeproc.engine.state import State
from tradeproc.protocol.heat_messages import HeatReport, PortfoliosHeat


def report_of(state: State, fence: int, sequence: int) -> HeatReport | None:
    """Return the report of a session, None when it is in no portfolio; `sequence` grows with each."""
    book, setup, balance = state.engine.heat, state.setup, state.broker.balance
    if book.terms is None:
        return None
    known = heat.of_session(state, book.without)
    return HeatReport(
        session=setup.session,
        fence=fence,
        sequence=sequence,
        life=book.life,
        asked=book.number,
        unanswered=book.unanswered,
        portfolio=book.terms.portfolio,
        revision=book.terms.revision,
        heat=known.value if isinstance(known, Known) else None,
        unknown="" if isinstance(known, Known) else known.reason,
        currency=setup.instrument.currency,
        account=setup.spec.account,
        equity=None if balance is None else balance.equity,
        equity_currency="" if balance is None else balance.currency,
    )


def heard_of(state: State, told: PortfoliosHeat) -> PortfolioHeard:
    """Return what the server's words mean for this session."""
    terms = state.engine.heat.terms
    ours = next((each for each in told.portfolios if terms is not None and each.name == terms.portfolio), None)
    return PortfolioHeard(told.life) if ours is None else PortfolioHeard(told.life, ours.is_warned, ours.blocked)
