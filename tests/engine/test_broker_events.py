"""What the broker repeats of ended orders is left out only where applying it would change nothing."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.desk import START, Desk
from tests.engine.test_orders import order, picture
from tradeproc.domain.broker_orders import BrokerOrder
from tradeproc.domain.orders import Order, OrderRole, OrderSource, OrderState
from tradeproc.domain.units import Contracts, Nanos, Price
from tradeproc.engine import broker_events
from tradeproc.engine.effects import Effect
from tradeproc.engine.state import BrokerConfirmed, EngineOwned, Pending, State, Unpriced, Waiting, new_state
from tradeproc.engine.turn import Turn

Change = Callable[[State], object]
OUR_ID = order().id
SETUP = Desk().setup
ENDED = [state for state in OrderState if state.is_terminal]
LEFT_TO_SETTLE: dict[str, Change] = {
    **{
        f"it waits for {waiting}": lambda state, waiting=waiting: state.engine.pending.update(
            {OUR_ID: Pending(waiting, Nanos(START))}
        )
        for waiting in Waiting
    },
    "a cancel is wanted": lambda state: state.engine.cancels_wanted.add(OUR_ID),
    "a cancel was asked": lambda state: state.engine.cancels_asked.add(OUR_ID),
    "a cancel was refused": lambda state: state.engine.cancels_refused.add(OUR_ID),
    "the broker's id is not noted": lambda state: state.broker.ids.clear(),
    "a fill without a price is held": lambda state: state.broker.unpriced.update(
        {OUR_ID: Unpriced(picture(OrderState.FILLED, 3), Nanos(START))}
    ),
    "it worked though it was taken for ended": lambda state: state.broker.reappeared.add(OUR_ID),
    "another worked though it was taken for ended": lambda state: state.broker.reappeared.add("another"),
    "the alarm about such an order stands": lambda state: state.engine.alarms.update(order_reappeared="works"),
    "its terms are remembered": lambda state: state.broker.terms.update({OUR_ID: []}),
    "it is a stray": lambda state: state.broker.strays.update({"9": picture(OrderState.SUBMITTED)}),
    "it is among the foreign": lambda state: state.broker.foreign.update({"9": Nanos(START)}),
}


def known(state: OrderState, filled: int = 0, average: str | None = None, **changes: object) -> Order:
    price = None if average is None else Price(Decimal(average))
    return order(state=state, filled=Contracts(filled), average=price, **changes)


def applied(
    ours: Order, told: BrokerOrder, changes: list[Change], *, whole: bool = False
) -> tuple[tuple[Effect, ...], EngineOwned, BrokerConfirmed]:
    """Return effects and state after a picture; with `whole` nothing is left out."""
    state = new_state(SETUP)
    state.broker.has_orders = True
    state.engine.put(ours)
    state.broker.ids["9"] = ours.id
    for change in changes:
        change(state)
    turn = Turn(state, Nanos(START + 1))
    with pytest.MonkeyPatch.context() as patch:
        if whole:
            patch.setattr(broker_events, "_is_old_news", lambda *_: False)
        broker_events.take(turn, ours, told, OrderSource.RECONCILIATION)
    return turn.effects(), state.engine, state.broker


@given(data=st.data())
def test_what_is_left_out_of_a_picture_would_have_changed_nothing(data: st.DataObject) -> None:
    state, filled = data.draw(st.sampled_from(ENDED)), data.draw(st.integers(0, 3))
    ours = known(
        state,
        filled,
        data.draw(st.sampled_from([None, "4800.25"])) if filled else None,
        role=data.draw(st.sampled_from([OrderRole.ENTRY, OrderRole.STOP_LOSS])),
        in_flight=data.draw(st.sampled_from([None, None, None, "cancel", "modify"])),
        broker_id=data.draw(st.sampled_from(["9", "9", "9", None])),
        reason=data.draw(st.sampled_from(["", "the market is closed"])),
    )
    same = picture(state, filled, "4800.25" if filled else None)
    other: dict[str, list[object]] = {
        "state": [each for each in OrderState if each is not OrderState.PRE_SENT],
        "filled": [Contracts(count) for count in range(5)],
        "quantity": [Contracts(count) for count in range(4)],
        "average": [None, Price(Decimal(0)), Price(Decimal("4799.5"))],
        "limit": [None, Price(Decimal("4801"))],
        "reason": ["", "the market is closed", "corrected"],
        "has_cancel_pending": [True],
        "closed_at": [Nanos(START)],
        "parent": ["8"],
        "client_id": [OUR_ID],
    }
    names = data.draw(st.lists(st.sampled_from(sorted(other)), max_size=2, unique=True))
    told = replace(same, **{name: data.draw(st.sampled_from(other[name])) for name in names})  # type: ignore[arg-type]
    changes = data.draw(st.lists(st.sampled_from(sorted(LEFT_TO_SETTLE)), max_size=2, unique=True))
    wanted = [LEFT_TO_SETTLE[name] for name in changes]

    assert applied(ours, told, wanted) == applied(ours, told, wanted, whole=True), (names, changes)


@pytest.mark.parametrize("change", LEFT_TO_SETTLE.values(), ids=list(LEFT_TO_SETTLE))
@pytest.mark.parametrize("state", ENDED)
def test_what_is_left_to_settle_of_an_ended_order_is_settled_by_a_picture_that_repeats_its_end(
    state: OrderState, change: Change
) -> None:
    ours, told = known(state, 3, "4800.25"), picture(state, 3, "4800.25")

    assert applied(ours, told, [change]) == applied(ours, told, [change], whole=True)


@pytest.mark.parametrize(
    ("ours", "told", "held"),
    [
        (known(OrderState.FILLED, 3), picture(OrderState.FILLED, 3, "4800.25"), 0),
        (known(OrderState.CANCELLED, 1, "4800.25"), picture(OrderState.CANCELLED, 2, "4800.25"), 1),
        (known(OrderState.CANCELLED), picture(OrderState.FILLED, 3, "4800.25"), 3),
    ],
    ids=["a price that comes later", "a fill that comes later", "another end"],
)
def test_what_is_new_of_an_ended_order_is_applied(ours: Order, told: BrokerOrder, held: int) -> None:
    effects, engine, _ = applied(ours, told, [])

    after = engine.orders[OUR_ID]
    assert effects != ()
    assert (after.state, after.filled, after.average) == (told.state, told.filled, told.average)
    assert engine.holding.quantity == held


def test_another_end_that_contradicts_ours_is_told() -> None:
    _, engine, _ = applied(known(OrderState.EXPIRED), picture(OrderState.CANCELLED), [])

    assert (engine.orders[OUR_ID].state, set(engine.alarms)) == (OrderState.EXPIRED, {"illegal_transition"})
