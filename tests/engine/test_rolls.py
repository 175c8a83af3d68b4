"""A roll closes once, opens the same once, protects it, and goes on from its row wherever it was killed."""

import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.engine.desk import Faults, Killed, Scripted
from tests.engine.exchange_broker import ACCOUNT
from tests.engine.rolling_desk import NEXT, OLD, PLAN, RollingDesk
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side
from tradeproc.domain.portfolio import HeatTerms
from tradeproc.domain.roll_rules import RollMode, RollPolicy
from tradeproc.domain.roll_steps import RollStep
from tradeproc.domain.units import SECOND, Contracts, Money
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import TradingState, TradingStateSet
from tradeproc.engine.reopening import MOST_ENTRIES
from tradeproc.exchange.orders import GroupKind, Moment, Ticket, TicketGroup
from tradeproc.strategies.contract import SubmitBracket, SubmitOrder

LONG = SubmitBracket(Side.BUY, Contracts(2), stop_loss=4790.0, profit_target=4830.0)
SHORT = SubmitBracket(Side.SELL, Contracts(2), stop_loss=4810.0, profit_target=4770.0)
ROLL = events.RollCommanded("anna", NEXT)


def holding(decision: SubmitBracket | SubmitOrder = LONG, **given: object) -> RollingDesk:
    desk = RollingDesk(Scripted(decision), **given).start()
    desk.bar()
    assert abs(desk.position) == 2
    desk.tell_price()
    return desk


def finished(desk: RollingDesk, lives: int = 4, seconds: float = 120) -> RollingDesk:
    """Return the life in which the roll ended; each may run for two minutes."""
    for _ in range(lives):
        desk.run(seconds)
        if not desk.has_ended:
            return desk
        desk = desk.next_life().start()
    raise AssertionError("it begins anew again and again")


def legs(desk: RollingDesk) -> dict[OrderRole, tuple[object, object, int]]:
    return {
        order.role: (order.stop, order.limit, order.remaining)
        for order in desk.state.engine.open_orders
        if order.contract == NEXT
    }


@pytest.mark.parametrize(("decision", "sign", "stop", "target"), [(LONG, 1, 4840, 4880), (SHORT, -1, 4860, 4820)])
def test_the_position_moves_into_the_next_contract_with_its_stop_and_target(
    decision: SubmitBracket, sign: int, stop: int, target: int
) -> None:
    desk = holding(decision)

    desk.tell(ROLL)
    desk = finished(desk)

    assert (desk.broker.held(OLD), desk.broker.held(NEXT)) == (0, 2 * sign)
    assert (desk.contract, desk.newest.step, desk.position) == (NEXT, RollStep.ROLLED, 2 * sign)
    assert legs(desk) == {OrderRole.STOP_LOSS: (stop * 4, None, 2), OrderRole.PROFIT_TARGET: (None, target * 4, 2)}
    assert [roll.step.value for roll in desk.database.rolls] == [
        "closing", "closing", "flat", "switched", "reopening", "rolled",
    ]  # fmt: skip
    assert desk.alarms == set()


def test_the_strategy_does_not_run_while_it_rolls_and_runs_again_after_it() -> None:
    desk = holding()
    seen = len(desk.strategy.seen)

    desk.tell(ROLL)
    desk.run(0.006, beat=0.006)
    assert desk.newest.step is RollStep.CLOSING
    desk.bar(seconds=0)
    desk = finished(desk)
    assert len(desk.strategy.seen) == seen

    desk.bar(4850)
    assert len(desk.strategy.seen) == seen + 1


def test_a_flat_session_changes_its_contract_and_opens_nothing_even_where_nobody_knows_the_spread() -> None:
    desk = RollingDesk().start()
    desk.is_spread_known = False

    desk.tell(ROLL)
    desk = finished(desk)

    assert (desk.contract, desk.newest.step, desk.sent) == (NEXT, RollStep.ROLLED, [])


def test_a_position_does_not_roll_before_the_spread_is_known_and_people_hear_why() -> None:
    desk = holding()
    desk.is_spread_known = False

    desk.tell(ROLL)
    desk.run(70)
    assert "the spread is not known: no bars" in desk.state.engine.alarms["roll_stuck"]
    assert (desk.position, desk.database.rolls) == (2, [])

    desk.is_spread_known = True
    assert finished(desk).newest.step is RollStep.ROLLED


def test_a_wish_that_cannot_begin_ends_and_leaves_the_position_as_it_is() -> None:
    desk = holding()
    desk.is_spread_known = False

    desk.tell(ROLL)
    desk.run(605)

    assert (desk.alarms, desk.database.rolls, desk.position) == (set(), [], 2)


def test_a_flatten_ends_a_wish_that_waits_and_the_alarm_about_it() -> None:
    desk = holding()
    desk.tell(events.StreamChanged(events.StreamKind.ORDERS, is_up=False, reason="cut"))
    desk.tell(ROLL)
    desk.run(70)
    assert "roll_stuck" in desk.alarms

    desk.tell(events.FlattenCommanded("anna"))
    desk.run(60)

    assert desk.state.engine.roll.wish is None
    assert desk.state.engine.roll.waits == ""
    assert "roll_stuck" not in desk.alarms


@pytest.mark.parametrize(
    "change",
    [
        events.StreamChanged(events.StreamKind.ORDERS, is_up=False, reason="cut"),
        events.DatabaseChanged(is_up=False, reason="gone"),
        events.LeaseChanged(is_held=False, reason="gone"),
        events.RollPlanned(NEXT, "last trade", "2024-03-15", "2024-03-08", 9, 14, is_open=False),
    ],
)
def test_nothing_begins_while_it_could_not_be_finished(change: events.Event) -> None:
    desk = holding()
    desk.tell(change)

    desk.tell(ROLL)
    desk.run(20)

    assert (desk.database.rolls, desk.position, len(desk.state.engine.open_orders)) == ([], 2, 2)


def test_an_order_of_somebody_else_in_the_old_contract_holds_up_the_roll_and_people_hear_why() -> None:
    desk = holding()
    picture = next(each for each in desk.broker.orders.values() if each.type is OrderType.STOP)
    foreign = replace(picture, broker_id="hand-stop", client_id=None, parent=None)
    desk.broker.orders["hand-stop"] = foreign
    desk.state.broker.orders.asked_at = None
    desk.run(60)

    desk.tell(ROLL)
    desk.run(70)
    assert (desk.position, desk.database.rolls) == (2, [])
    assert "roll_stuck" in desk.alarms
    assert "hand-stop" in desk.state.engine.roll.waits

    ended = replace(foreign, state=OrderState.CANCELLED, closed_at=desk.now)
    desk.broker.orders["hand-stop"] = ended
    desk.tell(events.ReconcileCommanded("anna"))
    assert finished(desk).newest.step is RollStep.ROLLED


def test_a_stop_that_fills_before_the_exit_is_not_opened_again() -> None:
    desk = holding()
    desk.broker.told.clear()

    desk.tell(ROLL)
    desk.broker.trade_both(Decimal("4789"))
    desk = finished(desk)

    assert (desk.broker.held(OLD), desk.broker.held(NEXT)) == (0, 0)
    assert (desk.newest.step, desk.newest.reopen) == (RollStep.ROLLED, 0)


def test_a_halted_session_is_closed_only_and_says_so() -> None:
    desk = holding()
    desk.tell(TradingStateSet("session:7", TradingState.HALTED, "anna"))
    desk.database.latch = do.KeepLatch("session:7", TradingState.HALTED, "anna", "", desk.now)

    desk.tell(ROLL)
    desk = finished(desk)

    assert (desk.broker.held(OLD), desk.broker.held(NEXT)) == (0, 0)
    assert desk.newest.step is RollStep.GIVEN_UP
    assert desk.newest.reason == "2 of 2 contracts are not opened again: trading is halted"
    assert "trading is halted" in desk.state.engine.alarms["roll_incomplete"]


def test_a_flatten_while_it_rolls_leaves_everything_flat() -> None:
    desk = holding()
    desk.tell(ROLL)
    desk.run(0.01)
    desk.tell(events.FlattenCommanded("anna"))

    desk = finished(desk)

    assert (desk.broker.held(OLD), desk.broker.held(NEXT), desk.newest.reopen) == (0, 0, 0)


def test_a_price_that_has_passed_the_moved_stop_ends_it_flat() -> None:
    desk = holding()
    desk.tell(ROLL)
    desk.run(60)
    assert desk.has_ended

    desk.broker.price = Decimal("4780")
    desk = finished(desk.next_life().start())

    assert (desk.broker.held(NEXT), desk.newest.step) == (0, RollStep.GIVEN_UP)
    assert "the price has passed its stop" in desk.newest.reason
    assert desk.database.latch is None


def test_what_is_left_in_the_old_contract_opens_nothing_and_latches() -> None:
    desk = holding()
    desk.tell(ROLL)
    desk.run(60)
    desk.broker.move(1)

    desk = finished(desk.next_life().start())

    assert (desk.broker.held(NEXT), desk.newest.step) == (0, RollStep.GIVEN_UP)
    assert "+1 contracts are open in ESH24" in desk.newest.reason
    assert desk.state.engine.trading is TradingState.REDUCING


def test_a_broker_that_rejects_every_entry_is_asked_a_few_times_and_no_more() -> None:
    desk = holding()
    desk.tell(ROLL)
    desk.run(60)
    desk.broker.rejects = True

    desk = finished(desk.next_life().start(), seconds=600)

    assert (desk.broker.held(NEXT), desk.newest.step) == (0, RollStep.GIVEN_UP)
    assert len(desk.newest.entry_orders.split()) == MOST_ENTRIES
    assert desk.state.engine.trading is TradingState.REDUCING


def test_partial_fills_on_both_sides_move_all_of_it() -> None:
    desk = holding()
    desk.broker.fill_by(1)

    desk.tell(ROLL)
    for _ in range(12):
        desk = finished(desk, seconds=3)
        desk.broker.trade_both(Decimal("4800"))
        desk.tell(events.TimePassed())

    assert (desk.broker.held(OLD), desk.broker.held(NEXT)) == (0, 2)
    assert legs(desk)[OrderRole.STOP_LOSS] == (4840 * 4, None, 2)


def test_a_database_that_goes_away_while_it_closes_holds_up_the_next_contract_and_not_the_exit() -> None:
    desk = holding()
    desk.tell(ROLL)
    desk.run(0.006, beat=0.006)
    assert desk.newest.step is RollStep.CLOSING
    desk.database.is_up = False
    desk.tell(events.DatabaseChanged(is_up=False, reason="gone"))
    desk.run(70)

    assert (desk.broker.held(OLD), desk.has_ended, desk.database.contract) == (0, False, OLD)
    assert "roll_stuck" in desk.alarms

    desk.database.is_up = True
    desk.tell(events.DatabaseChanged(is_up=True))
    assert finished(desk).broker.held(NEXT) == 2


def test_a_market_that_stays_away_for_half_an_hour_ends_it_flat() -> None:
    desk = holding()
    desk.tell(ROLL)
    desk.run(60)

    later = desk.next_life()
    later.now = desk.now + 3600 * SECOND
    later = finished(later.start())

    assert (later.broker.held(NEXT), later.newest.step) == (0, RollStep.GIVEN_UP)


# --- the rule


def test_a_session_that_rolls_by_itself_does_on_its_day() -> None:
    desk = RollingDesk(Scripted(LONG), roll=RollPolicy(RollMode.AUTO)).start()
    desk.bar()
    desk.tell_price()
    due = events.RollPlanned(NEXT, "last trade", "2024-03-15", "2024-03-08", 0, 5, is_open=True, is_due=True)

    desk.tell(due)
    desk = finished(desk)

    assert (desk.newest.by, desk.newest.step, desk.broker.held(NEXT)) == ("rule", RollStep.ROLLED, 2)


@pytest.mark.parametrize(
    ("mode", "days_left", "days_to_end", "alarms"),
    [
        (RollMode.MANUAL, 6, 11, set()),
        (RollMode.MANUAL, 5, 10, {"roll_due"}),
        (RollMode.MANUAL, -3, 2, {"roll_due", "roll_overdue"}),
        (RollMode.AUTO, 0, 5, {"roll_due"}),
        (RollMode.AUTO, -1, 4, {"roll_due", "roll_overdue"}),
        (RollMode.OFF, -3, 2, set()),
    ],
)
def test_people_hear_days_ahead_and_loudly_when_a_position_may_be_caught(
    mode: RollMode, days_left: int, days_to_end: int, alarms: set[str]
) -> None:
    desk = RollingDesk(Scripted(LONG), roll=RollPolicy(mode)).start()
    desk.bar()

    desk.tell(events.RollPlanned(NEXT, "last trade", "2024-03-15", "2024-03-08", days_left, days_to_end))

    assert desk.alarms == alarms
    desk.tell(PLAN)
    assert desk.alarms == set()


# --- killed between any two effects


def roll_with_deaths(deaths: list[int]) -> RollingDesk:
    """Roll, and kill each life after so many effects; the last one lives."""
    desk = holding()
    desk.lives = deaths[0]
    try:
        desk.tell(ROLL)
        return finished_or_killed(desk, deaths[1:])
    except Killed:
        return revived(desk, deaths[1:])


def revived(desk: RollingDesk, deaths: list[int]) -> RollingDesk:
    desk = desk.next_life()
    desk.lives = deaths[0] if deaths else None
    try:
        desk.start()
        return finished_or_killed(desk, deaths[1:])
    except Killed:
        return revived(desk, deaths[1:])


def finished_or_killed(desk: RollingDesk, deaths: list[int]) -> RollingDesk:
    try:
        desk.run(150)
    except Killed:
        return revived(desk, deaths)
    if desk.has_ended or (deaths and desk.lives is not None):
        return revived(desk, deaths)
    return desk


@pytest.mark.parametrize("effects", range(90))
def test_a_roll_that_is_killed_between_any_two_effects_closes_once_and_opens_once(effects: int) -> None:
    desk = roll_with_deaths([effects])

    check_moved(desk)


@pytest.mark.parametrize("second", range(0, 60, 3))
@pytest.mark.parametrize("first", range(2, 40, 4))
def test_so_does_one_that_is_killed_twice(first: int, second: int) -> None:
    check_moved(roll_with_deaths([first, second]))


def check_moved(desk: RollingDesk) -> None:
    if not desk.database.rolls:  # killed before anything of the wish was written down: it ends with its trader
        assert (desk.broker.held(OLD), desk.broker.held(NEXT)) == (2, 0)
        return
    assert (desk.broker.held(OLD), desk.broker.held(NEXT)) == (0, 2), [roll.step for roll in desk.database.rolls]
    assert (desk.newest.step, desk.contract, desk.position) == (RollStep.ROLLED, NEXT, 2)
    working = [order for order in desk.broker.open()]
    assert {(order.contract, order.stop or order.limit) for order in working} == {
        (NEXT, Decimal(4840)), (NEXT, Decimal(4880)),
    }  # fmt: skip
    filled = [order for order in desk.database.orders.values() if order.state is OrderState.FILLED]
    assert sorted((order.contract, order.role.value) for order in filled) == [
        (OLD, "entry"), (OLD, "exit"), (NEXT, "entry"),
    ]  # fmt: skip


# --- over a network that loses and delays


@pytest.mark.parametrize("seed", range(60))
def test_over_a_bad_network_and_with_deaths_nothing_is_doubled_and_it_ends_protected_or_flat(seed: int) -> None:
    chance = random.Random(seed)
    desk = holding()
    desk.tell(ROLL)
    for _ in range(30):
        desk.faults = Faults(chance, 0.2, 0.2, 0.2, 0.2, 0.2, slowest=1.5)
        try:
            desk.lives = chance.choice([None, chance.randrange(40)])
            desk.run(chance.choice([5, 20, 120]))
        except Killed:
            desk = raised(desk, chance)
        if desk.has_ended:
            desk = raised(desk, chance)
    desk.faults, desk.lives = Faults(), None
    desk = finished(desk, seconds=600)

    assert desk.broker.largest <= 2
    if not desk.database.rolls:
        assert (desk.broker.held(OLD), desk.broker.held(NEXT)) == (2, 0)
        return
    assert desk.broker.held(OLD) == 0
    assert desk.newest.step.is_over
    assert desk.broker.held(NEXT) == desk.position
    assert desk.broker.held(NEXT) in (0, 1, 2)
    if desk.newest.step is RollStep.ROLLED:
        assert desk.position == desk.newest.reopen
    stops = [order for order in desk.broker.open() if order.stop is not None]
    assert sum(order.quantity - order.filled for order in stops) == desk.position


def raised(desk: RollingDesk, chance: random.Random) -> RollingDesk:
    """Return the next life, which the network may kill at its start too."""
    for _ in range(50):
        desk = desk.next_life()
        desk.lives = chance.choice([None, None, chance.randrange(60)])
        try:
            return desk.start()
        except Killed:
            continue
    raise AssertionError("it never starts")


def in_a_portfolio() -> RollingDesk:
    """Return the life that reopens, in a portfolio."""
    desk = holding()
    desk.tell(ROLL)
    desk.run(120)
    assert desk.has_ended
    desk = desk.next_life()
    desk.state.engine.heat.terms = HeatTerms("main", 1, "USD", 1, Money(Decimal(1000)))
    return desk.start()


def answer(desk: RollingDesk, *, is_granted: bool) -> None:
    for ask in desk.all_of(do.ReserveHeat)[-1:]:
        if is_granted:
            desk.tell(events.HeatGranted(ask.order_id, ask.life, ask.number))
        else:
            desk.tell(events.HeatRefused(ask.order_id, ask.number, "too hot"))


def test_what_a_roll_opens_is_asked_for_at_the_portfolio_like_every_entry() -> None:
    desk = in_a_portfolio()
    wait(desk, lambda: bool(desk.state.engine.heat.asks))
    assert desk.broker.held(NEXT) == 0

    answer(desk, is_granted=True)
    desk.run(5)

    assert (desk.broker.held(NEXT), desk.newest.step) == (2, RollStep.ROLLED)


def test_a_roll_that_the_portfolio_refuses_again_and_again_ends_flat_and_says_why() -> None:
    desk = in_a_portfolio()

    for _ in range(MOST_ENTRIES):
        wait(desk, lambda: bool(desk.state.engine.heat.asks))
        answer(desk, is_granted=False)
    desk.run(60)

    assert (desk.broker.held(NEXT), desk.newest.step) == (0, RollStep.GIVEN_UP)
    assert "refused by the portfolio: too hot" in desk.newest.reason


def wait(desk: RollingDesk, is_so: Callable[[], bool]) -> None:
    for _ in range(120):
        if is_so():
            return
        desk.run(0.5)
    raise AssertionError("it did not come")


def test_what_somebody_holds_in_the_next_contract_already_is_not_added_to() -> None:
    desk = holding()
    desk.tell(ROLL)
    desk.run(60)
    side = Ticket(NEXT, Side.BUY, Contracts(1), OrderType.MARKET)
    desk.broker.exchange.place(ACCOUNT, TicketGroup(GroupKind.INDEPENDENT, (side,)), Moment(desk.now, desk.now))

    desk = finished(desk.next_life().start())

    assert (desk.broker.held(NEXT), desk.newest.step) == (1, RollStep.GIVEN_UP)
    assert desk.state.engine.trading is TradingState.REDUCING
