"""Getting a session flat without its trader: a table of answers, and a broker that lags, refuses and forgets."""

from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import (
    Accepted,
    BrokerOrder,
    ListedOrder,
    Outcome,
    Refused,
    Unanswered,
    UnreadableRecord,
)
from tradeproc.domain.orders import Order, OrderRole, OrderState, OrderType, Side
from tradeproc.domain.units import SECOND, Contracts, Nanos, Price
from tradeproc.engine.liquidation import (
    ARRIVES_WITHIN,
    BELIEVED,
    MOST_CLOSES,
    STEADY,
    AskAgain,
    BrokerTold,
    CancelThese,
    CloseNow,
    GivenUp,
    Liquidation,
    NowFlat,
)

ACCOUNT, CONTRACT = "SIM1", "ESH24"
T0 = Nanos(1_700_000_000 * SECOND)


def order(number: int, role: OrderRole = OrderRole.STOP_LOSS, **changes: object) -> Order:
    """A row of a stop that works; its broker id is `b<number>`."""
    made = Order(
        f"abcd1-1-{number}",
        1,
        1,
        CONTRACT,
        Side.SELL,
        Contracts(2),
        OrderType.STOP,
        role,
        Nanos(T0 - 3600 * SECOND),
        T0,
        stop=19000,  # type: ignore[arg-type]
        state=OrderState.SUBMITTED,
        broker_id=f"b{number}",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def close_row(number: int, side: Side, quantity: int, at: Nanos) -> Order:
    return order(
        number, OrderRole.EXIT, side=side, quantity=Contracts(quantity), type=OrderType.MARKET, stop=None,
        created_at=at, state=OrderState.PRE_SENT, broker_id=None,
    )  # fmt: skip


def picture(of: Order, broker_id: str = "", **changes: object) -> BrokerOrder:
    """The order as the broker tells it."""
    told = BrokerOrder(
        broker_id or of.broker_id or "?",
        ACCOUNT,
        of.contract,
        of.side,
        of.type,
        of.quantity,
        of.filled,
        OrderState.SUBMITTED,
        "",
        of.created_at,
        stop=None if of.stop is None else Price(Decimal(of.stop) / 4),
    )
    return replace(told, **changes)  # type: ignore[arg-type]


def told(position: int | None, *orders: ListedOrder) -> BrokerTold:
    held: Answer[Position] = Unknown("no answer")
    if position is not None:
        held = Known(Position(ACCOUNT, CONTRACT, Contracts(position), None))
    return BrokerTold(Known(orders), held)


def plan(*rows: Order, is_all_ours: bool = False) -> Liquidation:
    return Liquidation(ACCOUNT, CONTRACT, {each.id: each for each in rows}, is_all_ours)


def later(seconds: float) -> Nanos:
    return Nanos(T0 + int(seconds * SECOND))


def test_working_orders_are_cancelled_before_anything_is_closed_and_asked_for_once_in_five_seconds() -> None:
    stop = order(1)
    made = plan(stop)

    assert made.step(told(2, picture(stop)), T0) == CancelThese(("b1",))
    assert isinstance(made.step(told(2, picture(stop)), later(1)), AskAgain)
    assert made.step(told(2, picture(stop)), later(6)) == CancelThese(("b1",))
    gone = picture(stop, state=OrderState.CANCELLED)
    assert isinstance(made.step(told(2, gone), later(7)), AskAgain)
    assert made.step(told(2, gone), later(9)) == CloseNow(Side.SELL, Contracts(2))


def test_a_cancel_that_the_broker_refuses_keeps_the_position_open_and_is_told() -> None:
    stop = order(1)
    made = plan(stop)
    made.step(told(2, picture(stop)), T0)
    made.cancel_answered("b1", Refused("too late to cancel"))

    step = made.step(told(2, picture(stop)), later(2))

    assert step == AskAgain("order b1 still works; its cancel: too late to cancel")


def test_a_stop_that_fills_while_it_is_cancelled_is_not_closed_a_second_time_though_the_position_lags() -> None:
    stop = order(1)
    made = plan(stop)
    made.step(told(2, picture(stop)), T0)
    filled = picture(stop, state=OrderState.FILLED, filled=Contracts(2), closed_at=later(1))

    steps = [made.step(told(2, filled), later(each)) for each in (1.1, 3, 4)]
    steps.append(made.step(told(0, filled), later(5)))

    assert not [each for each in steps if isinstance(each, CloseNow)]
    # the position of now is not what the first reading and the fills make: it must stand for a while
    assert made.step(told(0, filled), later(5 + 1 + BELIEVED / SECOND)) == AskAgain("the position is asked once more")
    assert made.step(told(0, filled), later(5 + 7 + BELIEVED / SECOND)) == NowFlat()


def test_flat_is_only_what_the_broker_tells_twice() -> None:
    made = plan()

    assert isinstance(made.step(told(0), T0), AskAgain)
    assert made.step(told(0), Nanos(T0 + STEADY)) == NowFlat()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (BrokerTold(Unknown("no link"), Unknown("no link")), "the broker does not tell the orders: no link"),
        (told(None), "the broker does not tell the position: no answer"),
        (
            told(2, UnreadableRecord("b1", ACCOUNT, CONTRACT, "no price")),
            "order b1 cannot be read: no price",
        ),
    ],
)
def test_what_is_unknown_is_never_taken_for_flat_and_nothing_is_closed(answer: BrokerTold, words: str) -> None:
    made = plan(order(1))
    made.step(told(2, picture(order(1))), T0)  # its cancel is asked

    assert made.step(answer, later(1)) == AskAgain(words)


def test_a_close_is_seen_in_a_list_before_anything_else_is_sent() -> None:
    made = plan()
    made.step(told(2), T0)
    assert made.step(told(2), later(2)) == CloseNow(Side.SELL, Contracts(2))
    close = close_row(9, Side.SELL, 2, later(2))
    made.sent(close)
    made.close_answered(close, Accepted({close.id: "b9"}), later(2))

    assert made.broker_ids == ("b9",)
    assert isinstance(made.step(told(2), later(3)), AskAgain)
    assert isinstance(made.step(told(2), later(30)), GivenUp)
    done = picture(close, "b9", state=OrderState.FILLED, filled=Contracts(2), closed_at=later(2))
    assert isinstance(made.step(told(2, done), later(31)), AskAgain), "the position lags"
    assert made.step(told(0, done), later(32)) == NowFlat()


def test_a_position_that_does_not_follow_the_close_is_given_up_and_not_closed_again() -> None:
    made = plan()
    made.step(told(2), T0)
    made.step(told(2), later(2))
    close = close_row(9, Side.SELL, 2, later(2))
    made.sent(close)
    made.close_answered(close, Accepted({close.id: "b9"}), later(2))
    done = picture(close, "b9", state=OrderState.FILLED, filled=Contracts(2), closed_at=later(2))

    made.step(told(2, done), later(3))
    step = made.step(told(2, done), Nanos(later(4) + BELIEVED))

    assert isinstance(step, GivenUp)
    assert "a close was sent already" in step.reason


def test_a_lost_reply_is_looked_for_and_a_close_that_never_arrived_is_told_as_absent() -> None:
    close = close_row(9, Side.SELL, 2, T0)
    arrived, never = plan(), plan()
    for made in (arrived, never):
        made.sent(close)
        made.close_answered(close, Unanswered("timed out"), T0)
        assert isinstance(made.step(told(2), later(1)), AskAgain)
    works = picture(close, "b9", opened_at=later(0.5))

    assert isinstance(arrived.step(told(2, works), later(2)), AskAgain), "it works: nothing is cancelled or sent"
    assert arrived.order_of(works) == close
    never.step(told(2), Nanos(T0 + ARRIVES_WITHIN + SECOND))
    assert never.take_absent() == [close]
    assert never.take_absent() == []


def test_a_close_of_an_earlier_command_that_was_killed_is_found_by_its_row() -> None:
    for row in (close_row(9, Side.SELL, 2, T0), replace(close_row(9, Side.SELL, 2, T0), broker_id="b9")):
        made = plan(row)

        assert isinstance(made.step(told(2), later(3)), AskAgain), "it may still arrive"
        works = picture(row, "b9", opened_at=T0)
        assert isinstance(made.step(told(2, works), later(4)), AskAgain)
        done = replace(works, state=OrderState.FILLED, filled=Contracts(2), closed_at=later(4))
        made.step(told(0, done), later(5))
        assert made.step(told(0, done), later(12)) == NowFlat()


def test_what_others_placed_is_left_unless_nobody_knows_whose_orders_are_whose() -> None:
    foreign = picture(order(5), "x5")

    assert isinstance(plan().step(told(0, foreign), T0), AskAgain)
    assert plan(is_all_ours=True).step(told(0, foreign), T0) == CancelThese(("x5",))
    elsewhere = replace(foreign, account="SIM2")
    assert isinstance(plan(is_all_ours=True).step(told(0, elsewhere), T0), AskAgain)


def test_legs_go_with_their_entry_and_are_known_by_it() -> None:
    entry = order(1, OrderRole.ENTRY, side=Side.BUY)
    leg = order(2, broker_id=None, parent=entry.id, state=OrderState.PENDING)
    made = plan(entry, leg)
    waiting = picture(leg, "b2", state=OrderState.PENDING, parent="b1")

    assert made.step(told(0, picture(entry), waiting), T0) == CancelThese(("b1",))
    assert made.order_of(waiting) == leg
    left = made.step(told(0, picture(entry, state=OrderState.CANCELLED), waiting), later(6))
    assert left == CancelThese(("b2",))


def test_a_market_exit_that_works_already_is_not_cancelled_unless_it_would_open_a_position() -> None:
    close = close_row(9, Side.SELL, 2, Nanos(T0 - 60 * SECOND))
    row = replace(close, broker_id="b9", state=OrderState.SUBMITTED)

    assert isinstance(plan(row).step(told(2, picture(row)), T0), AskAgain)
    assert plan(row).step(told(1, picture(row)), T0) == CancelThese(("b9",))
    assert plan(row).step(told(-2, picture(row)), T0) == CancelThese(("b9",))


# --- a broker in virtual time


@dataclass
class Market:
    """A broker whose position lags behind its fills, and whose answers are lost, refused and late."""

    held: int
    chance: list[int]
    working: dict[str, BrokerOrder] = field(default_factory=dict)
    over: dict[str, BrokerOrder] = field(default_factory=dict)
    arriving: list[tuple[Nanos, BrokerOrder]] = field(default_factory=list)
    shown: list[tuple[Nanos, int]] = field(default_factory=list)
    most: int = 0

    def roll(self, sides: int) -> int:
        return self.chance.pop(0) % sides if self.chance else sides - 1

    def fill(self, broker_id: str, quantity: int, now: Nanos) -> None:
        at = self.working[broker_id]
        filled = Contracts(at.filled + quantity)
        self.held += at.side.sign * quantity
        state = OrderState.FILLED if filled == at.quantity else OrderState.PARTIALLY_FILLED
        self.working[broker_id] = replace(at, filled=filled, state=state)
        if state is OrderState.FILLED:
            self.over[broker_id] = replace(self.working.pop(broker_id), closed_at=now)

    def advance(self, now: Nanos) -> None:
        for at, each in list(self.arriving):
            if at <= now:
                self.arriving.remove((at, each))
                self.working[each.broker_id] = each
        for broker_id, each in list(self.working.items()):
            left = each.quantity - each.filled
            # a stop may be hit at any moment, once all the same: it can be cancelled only before that
            if each.type is OrderType.MARKET or self.roll(6) == 0:
                self.fill(broker_id, left if self.roll(3) else max(1, left - 1), now)
        self.shown.append((now, self.held))

    def position(self, now: Nanos) -> int:
        """The position as it was up to four seconds ago."""
        lag = self.roll(5) * SECOND
        return next((held for at, held in reversed(self.shown) if at <= now - lag), self.shown[0][1])

    def cancel(self, broker_id: str, now: Nanos) -> Outcome:
        match self.roll(5):
            case 0:
                return Refused("no")
            case 1:
                return Unanswered("lost")
            case _:
                if broker_id in self.working:
                    at = replace(self.working.pop(broker_id), state=OrderState.CANCELLED, closed_at=now)
                    self.over[broker_id] = at
                return Unanswered("lost") if self.roll(3) == 0 else Accepted()

    def close(self, row: Order, now: Nanos) -> Outcome:
        broker_id = f"m{len(self.over) + len(self.working) + len(self.arriving)}-{row.id}"
        match self.roll(6):
            case 0:
                return Refused("margin")
            case 1:
                return Unanswered("no connection", was_sent=False)
            case 2:
                return Unanswered("never arrived")
        arrives = Nanos(now + self.roll(6) * SECOND)
        self.arriving.append((arrives, picture(row, broker_id, opened_at=arrives)))
        return Unanswered("late") if self.roll(3) == 0 else Accepted({row.id: broker_id})


def ending(held: int, stops: int, chance: list[int]) -> NowFlat | GivenUp:
    """Return how it ends; asserts at each second that no more than the position was closed."""
    market = Market(held, chance)
    side = Side.SELL if held >= 0 else Side.BUY
    rows = [order(each + 1, side=side, quantity=Contracts(1)) for each in range(min(stops, abs(held)))]
    market.working = {each.broker_id or "": picture(each) for each in rows}
    made, now, sent = plan(*rows), T0, 0
    market.shown = [(Nanos(T0 - 60 * SECOND), held)]
    for _ in range(400):
        market.advance(now)
        assert market.held * held >= 0, "it went through flat"
        assert abs(market.held) <= abs(held)
        listed = (*market.working.values(), *market.over.values())
        orders: Answer[tuple[ListedOrder, ...]] = Unknown("lost") if market.roll(8) == 0 else Known(listed)
        tells = Known(Position(ACCOUNT, CONTRACT, Contracts(market.position(now)), None))
        step = made.step(BrokerTold(orders, tells), now)
        if isinstance(step, NowFlat):
            assert (market.held, market.working, market.arriving) == (0, {}, [])
        if isinstance(step, NowFlat | GivenUp):
            return step
        if isinstance(step, CancelThese):
            for broker_id in step.broker_ids:
                made.cancel_answered(broker_id, market.cancel(broker_id, now))
        if isinstance(step, CloseNow):
            sent += 1
            close = close_row(100 + sent, step.side, step.quantity, now)
            made.sent(close)
            made.close_answered(close, market.close(close, now), now)
        now = Nanos(now + SECOND)
    raise AssertionError("it does not end")


@settings(max_examples=300, deadline=None)
@given(
    held=st.integers(-3, 3),
    stops=st.integers(0, 2),
    chance=st.lists(st.integers(0, 59), min_size=0, max_size=400),
)
def test_never_more_than_the_position_is_closed_none_is_opened_and_it_ends(
    held: int, stops: int, chance: list[int]
) -> None:
    ending(held, stops, chance)


@pytest.mark.parametrize("held", range(-3, 4))
@pytest.mark.parametrize("stops", range(3))
def test_a_broker_whose_position_only_lags_is_flat_in_the_end(held: int, stops: int) -> None:
    assert ending(held, stops, []) == NowFlat()


def test_closes_that_are_refused_again_and_again_end() -> None:
    made, now = plan(), T0
    made.step(told(1), now)
    for number in range(MOST_CLOSES):
        now = Nanos(now + 20 * SECOND)
        assert made.step(told(1), now) == CloseNow(Side.SELL, Contracts(1))
        close = close_row(number, Side.SELL, 1, now)
        made.sent(close)
        made.close_answered(close, Refused("margin"), now)
        assert made.step(told(1), now) != CloseNow(Side.SELL, Contracts(1)), "not at once again"

    step = made.step(told(1), Nanos(now + 20 * SECOND))

    assert step == GivenUp(f"{MOST_CLOSES} closes did not make it flat; the close was not taken: margin")


def test_rows_from_the_future_age_from_the_first_look_when_the_clock_was_set_back() -> None:
    future = later(3600)
    lost = close_row(1, Side.SELL, 2, future)
    young = order(2, created_at=future)
    made = plan(lost, young)

    first = made.step(told(2), later(0))
    before = made.step(told(2), later(20))
    made.step(told(2), later(21))
    after = made.step(told(2), later(23))

    assert (type(first), type(before)) == (AskAgain, AskAgain)
    assert after == CloseNow(Side.SELL, Contracts(2))


def test_a_row_that_cannot_be_read_may_be_of_an_order_under_way() -> None:
    made = Liquidation(ACCOUNT, CONTRACT, {}, is_all_ours=True, has_unread_rows=True)

    waits = [made.step(told(2), later(seconds)) for seconds in (0, 20)]
    made.step(told(2), later(21))

    assert waits == [AskAgain("a row of an order cannot be read: the order may be under way")] * 2
    assert made.step(told(2), later(23)) == CloseNow(Side.SELL, Contracts(2))
