"""What a trader tells the portfolio server of its heat, and what it hears of its portfolio; pure."""

from decimal import Decimal

from tradeproc.domain.answers import Known
from tradeproc.domain.orders import Side
from tradeproc.domain.units import Money, Nanos
from tradeproc.engine import heat, joint_report, loss_limits, order_limits
from tradeproc.engine.events import PortfolioHeard
from tradeproc.engine.state import State
from tradeproc.protocol.heat_messages import HeatReport, PortfoliosHeat


def report_of(state: State, fence: int, sequence: int, now: Nanos) -> HeatReport | None:
    """Return the report of a session, None when it need not ask the server; `sequence` grows with each.

    The account's money is left out when the broker has not told it for five minutes.
    """
    book, setup, balance = state.engine.heat, state.setup, state.broker.balance
    if not book.must_ask:
        return None
    known, profit = heat.of_session(state, book.without), joint_report.profit_of(state)
    if book.terms is None and state.broker.is_reconciled:
        # the limits of an account do not count heat
        known = Known(Money(Decimal(0)))
    day_profit = loss_limits.account_profit(state, now)
    if day_profit is None:
        balance = None
    long, short = joint_report.reach(state, Side.BUY), joint_report.reach(state, Side.SELL)
    return HeatReport(
        session=setup.session,
        fence=fence,
        sequence=sequence,
        life=book.life,
        asked=book.number,
        unanswered=book.unanswered,
        portfolio="" if book.terms is None else book.terms.portfolio,
        revision=0 if book.terms is None else book.terms.revision,
        heat=known.value if isinstance(known, Known) else None,
        unknown="" if isinstance(known, Known) else known.reason,
        currency=setup.instrument.currency,
        account=setup.spec.account,
        equity=None if balance is None else balance.equity,
        equity_currency="" if balance is None else balance.currency,
        day_profit=day_profit,
        product=setup.instrument.root,
        profit=profit.value if isinstance(profit, Known) else None,
        profit_unknown="" if isinstance(profit, Known) else profit.reason,
        is_unpriced=bool(state.engine.losses.tally.unpriced),
        long=long,
        short=short,
        notional=joint_report.notional_of(state, max(long, short)),
        entries_made=order_limits.made_in_minute(state, now),
    )


def heard_of(state: State, told: PortfoliosHeat) -> PortfolioHeard:
    """Return what the server's words mean for this session."""
    terms = state.engine.heat.terms
    ours = next((each for each in told.portfolios if terms is not None and each.name == terms.portfolio), None)
    return PortfolioHeard(told.life) if ours is None else PortfolioHeard(told.life, ours.is_warned, ours.blocked)
