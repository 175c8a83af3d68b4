"""Heat is reserved at the portfolio server before an entry leaves: asked, granted, refused, or waited for too long.

The question goes out before the entry's row is written, and the request leaves when both row and grant are there. An
entry that is refused, or not answered for 5 s, ends as an order that was written and never sent. A change of an order
at the broker that adds heat asks as well, and is made when it is granted. Exits, stops, cancels and changes that add
nothing never ask, and a session that is in no portfolio does not either.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.orders import Order, OrderRole, OrderSource
from tradeproc.domain.portfolio import HeatAnswer
from tradeproc.domain.texts import one_line
from tradeproc.domain.units import SECOND, Money, Nanos
from tradeproc.engine import heat, joint_report, sending
from tradeproc.engine.effects import ReserveHeat
from tradeproc.engine.events import HeatGranted, HeatRefused, HeatTermsRead, HeatUnanswered, PortfolioHeard
from tradeproc.engine.heat_book import HeatAsk
from tradeproc.engine.limits import admit_change
from tradeproc.engine.orders import noted
from tradeproc.engine.state import State
from tradeproc.engine.turn import Turn
from tradeproc.protocol import scopes
from tradeproc.protocol.scopes import Scope

ANSWERED_WITHIN = 5 * SECOND


def ask_for_entry(turn: Turn, orders: tuple[Order, ...]) -> str:
    """Ask for the heat of an entry with its legs; return why that cannot be done, empty when it is or need not be."""
    state = turn.state
    book = state.engine.heat
    if not book.must_ask:
        return book.unread
    match _heat(state, lambda: heat.of_entry(state, orders)):
        case Unknown(reason):
            return reason
        case Known(value):
            refusal = wrong_currency(state)
            if not refusal:
                ask = book.ask(orders[0].id, value, _until(turn))
                ask.contracts, ask.notional = joint_report.size_of(state, orders[0], orders[0].quantity)
                _ask(turn, ask)
            return refusal


def ask_for_change(turn: Turn, order: Order, wanted: Order, why: str) -> str | None:
    """Ask for the heat that a change adds; None when it may be made at once, else why it cannot, or an empty text."""
    state = turn.state
    book = state.engine.heat
    if not book.must_ask and not book.unread:
        return None
    if order.id in book.asks:
        return f"a change of {order.id} waits for {_asked_of(state)} already"
    more = max(wanted.quantity - order.quantity, 0) if order.role is OrderRole.ENTRY else 0
    match _heat(state, lambda: heat.added(state, order, wanted)):
        case Unknown(reason):
            return reason
        case Known(value):
            if value == 0 and not more:
                return None
            if not book.must_ask:
                return book.unread
            if refusal := wrong_currency(state):
                return refusal
            ask = book.ask(order.id, value, _until(turn))
            ask.asked_of, ask.wanted, ask.why = order, wanted, why
            ask.contracts, ask.notional = joint_report.size_of(state, wanted, more)
            _ask(turn, ask)
            return ""


PortfolioEvent = HeatTermsRead | PortfolioHeard | HeatGranted | HeatRefused | HeatUnanswered


def heard(turn: Turn, event: PortfolioEvent) -> None:
    """Apply what the database or the server has said of the portfolio."""
    match event:
        case HeatTermsRead():
            terms_read(turn, event)
        case PortfolioHeard():
            portfolio_heard(turn, event)
        case HeatGranted():
            granted(turn, event)
        case HeatRefused():
            refused(turn, event)
        case HeatUnanswered():
            unanswered(turn, event)


def terms_read(turn: Turn, event: HeatTermsRead) -> None:
    """Take over where the session belongs; a question to another portfolio than before is refused by the server."""
    engine = turn.state.engine
    engine.heat.terms, engine.heat.unread = event.terms, event.unread
    engine.heat.is_account_limited = event.is_account_limited
    ours = None if event.terms is None else scopes.of_portfolio(event.terms.portfolio)
    # the latch of a portfolio that the session has left counts no more
    engine.latches = {
        scope: state for scope, state in engine.latches.items() if Scope(scope).portfolio is None or scope == ours
    }
    if event.terms is None:
        turn.state.engine.heat.is_warned, turn.state.engine.heat.blocked = False, ""


def portfolio_heard(turn: Turn, event: PortfolioHeard) -> None:
    """Take over how the portfolio stands, and ask again where the server has restarted."""
    book = turn.state.engine.heat
    book.is_warned, book.blocked = event.is_warned, event.blocked
    for ask in book.heard(event.life):
        _ask(turn, ask)


def granted(turn: Turn, event: HeatGranted) -> None:
    """Send what waits for this, once its row is in the database as well."""
    ask = turn.state.engine.heat.grant(event.order_id, event.life, event.number)
    if ask is None:
        turn.log("info", "heat_grant_unused", order=event.order_id)
        return
    if ask.wanted is not None:
        del turn.state.engine.heat.asks[ask.order_id]
        _change(turn, ask, ask.wanted)
    elif ask.written is not None:
        sending.leave(turn, *ask.written)
    _note(turn, ask, "granted", "")


def refused(turn: Turn, event: HeatRefused) -> None:
    """End what waits for this: it was not sent, and will not be."""
    ask = turn.state.engine.heat.refuse(event.order_id, event.number)
    if ask is not None:
        _refuse(turn, ask, event.reason)


def unanswered(turn: Turn, event: HeatUnanswered) -> None:
    """Remember why there was no answer; the question waits on for a server that comes back."""
    ask = turn.state.engine.heat.refuse(event.order_id, event.number)
    if ask is not None:
        ask.reason = f"the portfolio server does not answer: {event.reason}"


def on_time(turn: Turn) -> None:
    """Refuse what has waited too long; called when time passes."""
    for ask in list(turn.state.engine.heat.asks.values()):
        if not ask.is_granted and turn.now >= ask.until:
            _refuse(turn, ask, ask.reason)


def wrong_currency(state: State) -> str:
    """Return why the portfolio cannot add up this session's heat, empty when it can."""
    terms, ours = state.engine.heat.terms, state.setup.instrument.currency
    if terms is None or terms.currency == ours:
        return ""
    return f"portfolio {terms.portfolio} counts in {terms.currency}, {state.setup.contract} is traded in {ours}"


def _heat(state: State, count: Callable[[], Answer[Money]]) -> Answer[Money]:
    """Return the heat, which is nothing where only the account's limits are asked for: those do not count it."""
    book = state.engine.heat
    return Known(Money(Decimal(0))) if book.terms is None and not book.unread else count()


def _asked_of(state: State) -> str:
    terms = state.engine.heat.terms
    return f"account {state.setup.spec.account}" if terms is None else f"portfolio {terms.portfolio}"


def _until(turn: Turn) -> Nanos:
    return Nanos(turn.now + ANSWERED_WITHIN)


def _ask(turn: Turn, ask: HeatAsk) -> None:
    book, setup = turn.state.engine.heat, turn.state.setup
    portfolio = "" if book.terms is None else book.terms.portfolio
    currency = setup.instrument.currency
    heat_asked, size = Money(ask.heat), (ask.contracts, ask.notional, ask.wanted is not None)
    turn.reserve(ReserveHeat(ask.order_id, ask.number, ask.life, portfolio, heat_asked, currency, ask.until, *size))


def _note(turn: Turn, ask: HeatAsk, answer: str, reason: str) -> None:
    setup, terms = turn.state.setup, turn.state.engine.heat.terms
    portfolio, asked_at = "" if terms is None else terms.portfolio, Nanos(ask.until - ANSWERED_WITHIN)
    currency = setup.instrument.currency
    turn.note_heat(
        HeatAnswer(
            setup.session, ask.order_id, portfolio, ask.heat, currency, asked_at, turn.now, answer, one_line(reason)
        )
    )


def _refuse(turn: Turn, ask: HeatAsk, reason: str) -> None:
    _note(turn, ask, "refused", reason)
    order = turn.state.engine.orders.get(ask.order_id)
    if order is None or order.state.is_terminal:
        turn.state.engine.heat.asks.pop(ask.order_id, None)
    elif ask.wanted is None:
        sending.withdraw(turn, order, f"refused by the portfolio: {reason}")
    else:
        del turn.state.engine.heat.asks[ask.order_id]
        _change_refused(turn, order, f"refused by the portfolio: {reason}")


def _change_refused(turn: Turn, order: Order, reason: str) -> None:
    turn.keep(order, noted(order, order, OrderSource.TRADER, turn.now, "modify_refused", reason))
    turn.log("warning", "change_refused", order=order.id, reason=reason)


def _change(turn: Turn, ask: HeatAsk, wanted: Order) -> None:
    """Make a change that was granted, if it still can be made."""
    engine = turn.state.engine
    order = engine.orders.get(ask.order_id)
    if order is None or order.state.is_terminal:
        return
    before = ask.asked_of or order
    wanted = replace(order, quantity=wanted.quantity, limit=wanted.limit, stop=wanted.stop)
    reason = ""
    if engine.closing is not None:
        reason = "the position is being closed"
    elif order.broker_id is None or order.in_flight is not None:
        reason = "it is being changed or cancelled"
    elif (order.quantity, order.limit, order.stop) != (before.quantity, before.limit, before.stop):
        reason = "its terms are others by now"
    elif wanted.quantity <= order.filled:
        reason = f"{order.filled} are filled"
    elif order.role is OrderRole.ENTRY and (denied := admit_change(turn.state, order, wanted, turn.now)) is not None:
        reason = denied.reason
    if reason:
        _change_refused(turn, order, f"granted by the portfolio, but {reason}")
    else:
        sending.modify(turn, order, wanted, OrderSource.STRATEGY, ask.why)
