"""Entries and changes ask the portfolio server first; exits, stops and cancels never do."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.desk import Desk, Plan, Scripted
from tradeproc.domain.book import Balance
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side
from tradeproc.domain.portfolio import HeatTerms
from tradeproc.domain.units import MINUTE, Contracts, Money, Nanos
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import TradingState
from tradeproc.engine.heat_report import report_of
from tradeproc.engine.limits import closed_gate
from tradeproc.engine.loss_limits import profit_now
from tradeproc.protocol import scopes
from tradeproc.strategies.contract import (
    CancelOrders,
    ClosePosition,
    Decision,
    ModifyOrders,
    OrderChange,
    SubmitBracket,
    SubmitOrder,
    View,
)

TERMS = HeatTerms("main", 1, "USD", 1, Money(Decimal(1000)))
BUY = SubmitOrder(Side.BUY, Contracts(1))
BRACKET = SubmitBracket(Side.BUY, Contracts(2), stop_loss=4790.0)
RESTING = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4740.0, type=OrderType.LIMIT, limit=4750.0)


def desk(*plans: Plan | Decision, terms: HeatTerms | None = TERMS) -> Desk:
    made = Desk(Scripted(*plans)).start()
    made.tell(events.HeatTermsRead(terms))
    made.tell(events.PortfolioHeard("life"))
    return made


def asked(made: Desk) -> list[do.ReserveHeat]:
    found: list[do.ReserveHeat] = made.all_of(do.ReserveHeat)
    return found


def grant(made: Desk, place: int = -1, **changes: Any) -> None:
    ask = asked(made)[place]
    made.tell(replace(events.HeatGranted(ask.order_id, ask.life, ask.number), **changes))
    made.run(0.5)


def test_an_entry_is_written_and_asked_for_side_by_side_and_leaves_when_both_are_there() -> None:
    made = desk(BRACKET)

    effects = made.bar(4800.0, seconds=0.5)

    kinds = [type(each) for each in effects if isinstance(each, do.ReserveHeat | do.Persist)]
    assert kinds == [do.ReserveHeat, do.Persist], "the question is on its way while the row is written"
    assert made.sent == []
    assert [(ask.heat, ask.portfolio, ask.life) for ask in asked(made)] == [
        (2 * 41 * Decimal("12.5"), "main", "life")
    ]
    grant(made)
    assert made.sent == [asked(made)[0].order_id]
    assert made.position == 2


def test_a_grant_before_the_row_sends_nothing_until_the_row_is_there() -> None:
    made = desk(BUY)
    made.bar(seconds=0)
    ticket = next(iter(made.state.engine.tickets))

    grant_effects = made.tell(events.HeatGranted(asked(made)[0].order_id, "life", 1))
    assert not [each for each in grant_effects if isinstance(each, do.Send)]
    made.tell(events.Persisted(ticket))

    assert made.sent == [asked(made)[0].order_id]


def test_a_refused_entry_ends_as_an_order_that_was_written_and_never_sent() -> None:
    made = desk(BRACKET)
    made.bar(seconds=0.5)

    made.tell(events.HeatRefused(asked(made)[0].order_id, 1, "too hot"))

    assert {order.state for order in made.orders} == {OrderState.REJECTED}
    assert {order.reason for order in made.database.orders.values()} == {"refused by the portfolio: too hot"}
    assert made.sent == []
    grant(made)
    assert made.sent == [], "a grant that comes after it is not used"


@pytest.mark.parametrize("is_silent", [True, False])
def test_an_entry_that_nobody_answers_for_is_refused_after_five_seconds(is_silent: bool) -> None:
    made = desk(BUY)
    made.bar(seconds=0.5)
    if not is_silent:
        made.tell(events.HeatUnanswered(asked(made)[0].order_id, 1, "it is away"))

    made.run(4)
    assert made.orders[0].state is OrderState.PRE_SENT
    made.run(1)

    assert made.orders[0].state is OrderState.REJECTED
    assert "the portfolio server does not answer" in made.orders[0].reason
    assert made.sent == []


def test_after_a_restart_of_the_server_the_question_is_asked_again_and_an_old_grant_does_not_count() -> None:
    made = desk(BUY)
    made.bar(seconds=0.5)

    made.tell(events.PortfolioHeard("next life"))

    first, again = asked(made)
    assert (again.order_id, again.life, again.number) == (first.order_id, "next life", first.number + 1)
    assert again.until == first.until, "it waits no longer for that"
    grant(made, 0)
    assert made.sent == []
    grant(made, 1)
    assert len(made.sent) == 1


def test_a_grant_that_is_used_too_late_is_not_used() -> None:
    made = desk(BUY)
    made.bar(seconds=0)
    ask = asked(made)[0]
    made.run(0.2)

    made.now = ask.until
    made.tell(events.HeatGranted(ask.order_id, ask.life, ask.number))

    assert made.sent == []
    assert made.orders[0].reason == "the portfolio's grant came too late"


def test_what_is_granted_waits_for_the_gate_like_everything() -> None:
    made = desk(BUY)
    made.bar(seconds=0.5)
    made.tell(events.TradingStateSet("host", events.TradingState.HALTED))

    grant(made)

    assert made.sent == []
    assert made.orders[0].state is OrderState.REJECTED


@pytest.mark.parametrize("how", ["close", "flatten", "cancel"])
def test_an_entry_that_waits_for_its_heat_can_be_given_up(how: str) -> None:
    made = desk(BUY, ClosePosition() if how == "close" else lambda view: CancelOrders((view.orders[0].id,)))
    made.bar(seconds=0.5)

    if how == "flatten":
        made.tell(events.FlattenCommanded("me"))
    else:
        made.bar(seconds=0.5)
    grant(made)

    assert made.sent == []
    assert not made.state.engine.heat.asks


def test_the_latch_of_a_portfolio_counts_no_more_once_the_session_has_left_it() -> None:
    made = desk()
    scope = scopes.of_portfolio(TERMS.portfolio)
    for each in (scope, scopes.HOST):
        made.tell(events.TradingStateSet(each, TradingState.REDUCING, "anna"))

    made.tell(events.HeatTermsRead(replace(TERMS, slippage=TERMS.slippage + 1)))
    assert made.state.engine.latches == {scope: TradingState.REDUCING, scopes.HOST: TradingState.REDUCING}

    made.tell(events.HeatTermsRead(None))
    assert made.state.engine.latches == {scopes.HOST: TradingState.REDUCING}


def test_a_session_in_no_portfolio_asks_nobody() -> None:
    made = desk(BUY, terms=None)

    made.bar()

    assert asked(made) == []
    assert made.position == 1


def test_money_of_another_currency_is_refused_before_anything_is_written() -> None:
    made = desk(BUY, terms=replace(TERMS, currency="EUR"))

    made.bar()

    assert made.refusals == ["portfolio main counts in EUR, ESH24 is traded in USD"]
    assert made.orders == []


def test_a_database_that_is_down_drops_the_entry_and_the_question() -> None:
    made = desk(BUY)
    made.database.is_up = False

    made.bar(seconds=0.5)
    grant(made)

    assert made.sent == []
    assert made.orders[0].state is OrderState.REJECTED
    assert not made.state.engine.heat.asks


def move(stop: float | None = None, quantity: int | None = None, role: OrderRole = OrderRole.STOP_LOSS) -> Plan:
    def plan(view: View) -> Decision:
        order = next(each for each in view.orders if each.role is role)
        return ModifyOrders((OrderChange(order.id, quantity=quantity, stop=stop),))

    return plan


def in_position(*plans: Plan | Decision) -> Desk:
    made = desk(BRACKET, *plans)
    made.bar(4800.0, seconds=0.5)
    grant(made)
    made.run(1)
    assert made.position == 2
    return made


def test_a_stop_that_is_moved_away_asks_and_is_moved_when_granted() -> None:
    made = in_position(move(stop=4780.0))

    made.bar(4800.0)
    assert made.all_of(do.Modify) == []
    assert asked(made)[-1].heat == 2 * 40 * Decimal("12.5")
    grant(made)

    assert [each.change.stop for each in made.all_of(do.Modify)] == [Decimal(4780)]


def test_a_change_that_is_refused_leaves_the_order_and_says_so_in_its_history() -> None:
    made = in_position(move(stop=4780.0))
    made.bar(4800.0)
    ask = asked(made)[-1]

    made.tell(events.HeatRefused(ask.order_id, ask.number, "too hot"))
    made.run(6)

    assert made.all_of(do.Modify) == []
    written = [each for each in made.database.events if each.what == "modify_refused"]
    assert [each.details["reason"] for each in written] == ["refused by the portfolio: too hot"]
    assert made.state.engine.orders[ask.order_id].state is OrderState.SUBMITTED


def test_a_stop_that_is_moved_closer_asks_nobody() -> None:
    made = in_position(move(stop=4795.0))

    made.bar(4800.0)

    assert len(asked(made)) == 1, "the entry's question"
    assert [each.change.stop for each in made.all_of(do.Modify)] == [Decimal(4795)]


def test_more_contracts_of_a_working_entry_ask_and_fewer_do_not() -> None:
    made = desk(RESTING, move(quantity=2, role=OrderRole.ENTRY), move(quantity=1, role=OrderRole.ENTRY))
    made.bar(4800.0, seconds=0.5)
    grant(made)
    made.run(1)

    made.bar(4800.0)
    assert asked(made)[-1].heat == 41 * Decimal("12.5")
    grant(made)
    made.bar(4800.0)

    assert [each.change.quantity for each in made.all_of(do.Modify)] == [2, 1]
    assert len(asked(made)) == 2


def test_the_stop_of_an_entry_that_still_works_is_moved_away_only_when_granted() -> None:
    """Its heat is that of the entry: unasked, a leg that is moved would let in what the entry was refused for."""
    made = desk(RESTING, move(stop=4730.0), move(stop=4745.0))
    made.bar(4800.0, seconds=0.5)
    grant(made)
    made.run(1)

    made.bar(4800.0)
    assert made.all_of(do.Modify) == []
    assert asked(made)[-1].heat == 40 * Decimal("12.5")
    grant(made)
    assert [each.change.stop for each in made.all_of(do.Modify)] == [Decimal(4730)]
    made.bar(4800.0)

    assert [each.change.stop for each in made.all_of(do.Modify)] == [Decimal(4730), Decimal(4745)]
    assert len(asked(made)) == 2, "closer asks nobody"


def test_a_granted_change_is_not_made_when_the_order_is_another_by_now() -> None:
    """What the strategy wanted was a stop for two; sent after the stop was cut to one it could close too much."""
    made = in_position(move(stop=4780.0))
    made.bar(4800.0)
    stop = made.state.engine.orders[asked(made)[-1].order_id]
    made.state.engine.put(replace(stop, quantity=Contracts(1)))

    grant(made)

    assert [each.change.stop for each in made.all_of(do.Modify) if each.change.stop == 4780] == []
    written = [each for each in made.database.events if each.what == "modify_refused"]
    assert [each.details["reason"] for each in written] == [
        "granted by the portfolio, but its terms are others by now"
    ]


@pytest.mark.parametrize(
    "exiting",
    [
        ClosePosition(),
        SubmitOrder(Side.SELL, Contracts(1), role=OrderRole.EXIT),
        SubmitOrder(Side.SELL, Contracts(1), type=OrderType.LIMIT, limit=4900.0, role=OrderRole.PROFIT_TARGET),
    ],
)
def test_what_leaves_or_protects_asks_nobody(exiting: Decision) -> None:
    made = in_position(exiting)
    before = len(made.sent) + len(made.all_of(do.Cancel))

    made.bar(4800.0)

    assert len(asked(made)) == 1, "the entry's question"
    assert len(made.sent) + len(made.all_of(do.Cancel)) > before


# --- limits of the account, and a portfolio that nobody can read


def limited(*plans: Plan | Decision, terms: HeatTerms | None = None) -> Desk:
    made = Desk(Scripted(*plans)).start()
    made.tell(events.HeatTermsRead(terms, "", is_account_limited=True))
    made.tell(events.PortfolioHeard("life"))
    return made


def test_an_account_with_limits_is_asked_for_entries_without_a_portfolio_and_heat_is_no_matter() -> None:
    made = limited(BUY)

    made.bar(4800.0, seconds=0.5)

    (ask,) = asked(made)
    assert (ask.portfolio, ask.heat, ask.contracts, ask.is_change) == ("", 0, 1, False)
    assert ask.notional == Decimal("240000")
    assert made.sent == []
    grant(made)
    assert made.position == 1


def test_a_sell_counts_to_the_other_side_and_a_resting_order_at_its_own_price() -> None:
    sell = SubmitBracket(Side.SELL, Contracts(2), stop_loss=4910.0, type=OrderType.LIMIT, limit=4900.0)
    made = limited(sell)

    made.bar(4800.0, seconds=0.5)

    (ask,) = asked(made)
    assert (ask.contracts, ask.notional) == (-2, Decimal(490_000))


def test_more_contracts_of_a_resting_entry_are_asked_for_and_its_stop_and_cancel_are_not() -> None:
    def more(view: View) -> Decision:
        entry, stop, *_ = sorted(view.orders, key=lambda each: each.role is not OrderRole.ENTRY)
        changes = OrderChange(entry.id, quantity=Contracts(2)), OrderChange(stop.id, stop=4730.0)
        return ModifyOrders(changes)

    made = limited(RESTING, more)
    made.bar(4800.0, seconds=0.5)
    grant(made)

    made.bar(4800.0)

    ask = asked(made)[-1]
    assert (len(asked(made)), ask.contracts, ask.is_change) == (2, 1, True)


def test_exits_stops_and_cancels_go_on_while_the_portfolio_cannot_be_read_and_entries_wait_with_the_reason() -> None:
    made = desk(BRACKET, BUY, ClosePosition())
    made.bar(seconds=0.5)
    grant(made)
    assert made.position == 2
    made.tell(events.HeatTermsRead(None, "the session's portfolio cannot be read: of a later version"))

    made.bar(seconds=0.5)
    assert len(asked(made)) == 1
    assert closed_gate(made.state, made.now) == "the session's portfolio cannot be read: of a later version"
    made.bar(seconds=0.5)
    made.run(3)

    assert made.position == 0
    made.tell(events.HeatTermsRead(TERMS))
    assert closed_gate(made.state, made.now) is None


@pytest.mark.parametrize("stop", [4780.0, 4795.0])
def test_a_stop_may_be_moved_closer_and_not_away_while_the_portfolio_cannot_be_read(stop: float) -> None:
    def move(view: View) -> Decision:
        (found,) = [order for order in view.orders if order.role is OrderRole.STOP_LOSS]
        return ModifyOrders((OrderChange(found.id, stop=stop),))

    made = desk(BRACKET, move)
    made.bar(4800.0, seconds=0.5)
    grant(made)
    made.tell(events.HeatTermsRead(None, "the session's portfolio cannot be read: of a later version"))

    made.bar(4800.0)

    (order,) = [each for each in made.orders if each.role is OrderRole.STOP_LOSS]
    expected = stop if stop > 4790 else 4790.0
    assert order.stop is not None
    assert made.setup.instrument.price(order.stop) == Decimal(str(expected))


def test_what_is_reported_for_the_limits_includes_what_the_heat_includes() -> None:
    made = limited(BRACKET)
    made.tell(events.HeatTermsRead(TERMS, "", is_account_limited=True))
    made.bar(4800.0, seconds=0.5)

    before = report_of(made.state, 1, 1, made.now)
    assert before is not None
    assert (before.long, before.entries_made, before.notional, before.product) == (0, 1, 0, "ES"), "not granted yet"
    grant(made)
    held = report_of(made.state, 1, 2, made.now)
    assert held is not None
    assert (held.long, held.short, held.notional) == (2, 0, 480_000)
    assert held.profit == profit_now(made.state)
    assert not held.is_unpriced
    assert report_of(desk(terms=None).state, 1, 1, made.now) is None, "who need not ask reports nothing"


def test_money_of_the_account_that_the_broker_has_not_told_for_five_minutes_is_not_reported() -> None:
    made = limited()
    made.tell(events.BalanceUpdated(balance(made)))
    fresh, old = (report_of(made.state, 1, 1, Nanos(made.now + minutes * MINUTE)) for minutes in (5, 6))
    assert fresh is not None
    assert old is not None

    assert (fresh.equity, fresh.day_profit) == (10_000, -50)
    assert (old.equity, old.day_profit, old.equity_currency) == (None, None, "")


def balance(made: Desk) -> Balance:
    account = made.setup.spec.account
    return Balance(account, "USD", *(Money(Decimal(each)) for each in (10_000, 10_000, -30, -20)), made.now)
