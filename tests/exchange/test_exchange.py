"""The matching engine: how orders execute, what declines them, how groups look after each other, and the money."""

import dataclasses
from decimal import Decimal

import pytest

from tests.exchange.tickets import ACCOUNT, CASH, Pit, at, bracket, one, points, ticket, ticks
from tradeproc.domain.orders import OrderType, Side, TimeInForce
from tradeproc.domain.units import Contracts, Money
from tradeproc.exchange.matching import Rules
from tradeproc.exchange.orders import (
    Changed,
    ChangeKind,
    Declined,
    DeclineReason,
    GroupKind,
    OrderStatus,
    PositionUpdate,
    Replacement,
    Ticket,
    TicketGroup,
)

BUY, SELL = Side.BUY, Side.SELL


def test_a_market_order_fills_at_once_at_the_last_price() -> None:
    pit = Pit(last="4800.25")

    (order,) = pit.place(ticket(BUY, 3))

    assert (order.status, points(order.average), pit.position) == (OrderStatus.FILLED, Decimal("4800.25"), 3)
    assert order.closed_at == order.opened_at == at(1).wall
    assert pit.booked()[0].market_at == at(1).market


def test_slippage_makes_market_orders_worse_on_both_sides() -> None:
    pit = Pit(rules=Rules(slippage_ticks=2))

    pit.place(ticket(BUY, 1))
    pit.place(ticket(SELL, 1))

    assert pit.fills() == [("buy", 1, "4800.5"), ("sell", 1, "4799.5")]


def test_an_order_before_the_first_trade_is_queued_and_executes_on_it() -> None:
    pit = Pit(last=None)
    (order,) = pit.place(ticket(BUY, 1))
    assert order.status is OrderStatus.QUEUED

    pit.ticks("4801")

    assert pit.fills() == [("buy", 1, "4801")]
    assert pit.story(order) == [ChangeKind.PLACED, ChangeKind.ACTIVATED, ChangeKind.FILLED]


@pytest.mark.parametrize(
    ("side", "limit", "tick", "fills"),
    [
        (BUY, "4799", "4799.25", []),
        (BUY, "4799", "4799", [("buy", 2, "4799")]),
        (BUY, "4799", "4790", [("buy", 2, "4799")]),
        (SELL, "4801", "4800.75", []),
        (SELL, "4801", "4801", [("sell", 2, "4801")]),
        (SELL, "4801", "4810", [("sell", 2, "4801")]),
    ],
)
def test_a_resting_limit_fills_at_its_own_price_when_touched_or_passed(
    side: Side, limit: str, tick: str, fills: list[tuple[str, int, str]]
) -> None:
    pit = Pit()
    pit.place(ticket(side, 2, limit=limit))

    pit.ticks(tick)

    assert pit.fills() == fills


def test_a_limit_can_be_made_to_wait_until_the_price_goes_through() -> None:
    pit = Pit(rules=Rules(needs_through=True))
    pit.place(ticket(BUY, 2, limit="4799"))

    pit.ticks("4799")
    assert pit.fills() == []
    pit.ticks("4798.75")
    assert pit.fills() == [("buy", 2, "4799")]


def test_a_marketable_limit_fills_at_the_better_last_price() -> None:
    pit = Pit()

    pit.place(ticket(BUY, 2, limit="4805"))

    assert pit.fills() == [("buy", 2, "4800")]


def test_a_resting_limit_gets_no_more_than_the_tick_traded_and_the_better_price_goes_first() -> None:
    pit = Pit()
    (worse,) = pit.place(ticket(BUY, 2, limit="4799"))
    (better,) = pit.place(ticket(BUY, 2, limit="4799.25"))

    pit.ticks("4799", size=3)

    assert (pit.order(better).filled, pit.order(worse).filled) == (2, 1)
    assert pit.order(worse).status is OrderStatus.PARTIALLY_FILLED
    pit.ticks("4799", size=3)
    assert pit.order(worse).status is OrderStatus.FILLED


def test_without_partial_fills_a_limit_is_filled_whole_by_the_smallest_trade() -> None:
    pit = Pit(rules=Rules(partial_fills=False))
    pit.place(ticket(BUY, 5, limit="4799"))

    pit.ticks("4799", size=1)

    assert pit.fills() == [("buy", 5, "4799")]


def test_a_bound_on_executions_fills_a_market_order_piece_by_piece() -> None:
    pit = Pit(rules=Rules(largest_fill=2))
    (order,) = pit.place(ticket(BUY, 5))
    pit.ticks("4801", "4802", "4803")

    assert pit.fills() == [("buy", 2, "4800"), ("buy", 2, "4801"), ("buy", 1, "4802")]
    assert points(pit.order(order).average) == (Decimal(4800) * 2 + Decimal(4801) * 2 + Decimal(4802)) / 5


@pytest.mark.parametrize(
    ("side", "stop", "before", "hit"),
    [
        (BUY, "4802", "4801.75", "4802"),
        (BUY, "4802", "4801.75", "4803.5"),
        (SELL, "4798", "4798.25", "4798"),
        (SELL, "4798", "4798.25", "4796.5"),
    ],
)
def test_a_stop_is_hit_by_the_first_trade_at_or_through_it_and_fills_at_that_price(
    side: Side, stop: str, before: str, hit: str
) -> None:
    pit = Pit()
    (order,) = pit.place(ticket(side, 1, stop=stop))

    pit.ticks(before)
    assert pit.fills() == []
    pit.ticks(hit)

    assert pit.fills() == [(side.value, 1, hit)]
    assert pit.story(order) == [ChangeKind.PLACED, ChangeKind.TRIGGERED, ChangeKind.FILLED]


def test_a_stop_limit_rests_after_its_hit_when_the_price_has_gone_too_far() -> None:
    pit = Pit()
    (order,) = pit.place(ticket(BUY, 1, stop="4802", limit="4802.5"))

    pit.ticks("4804")
    assert (pit.order(order).triggered, pit.fills()) == (True, [])
    pit.ticks("4802.5")

    assert pit.fills() == [("buy", 1, "4802.5")]


def test_immediate_orders_leave_nothing_behind() -> None:
    pit = Pit(rules=Rules(largest_fill=2))

    (part,) = pit.place(ticket(BUY, 3, tif=TimeInForce.IOC))
    (away,) = pit.place(ticket(BUY, 1, limit="4790", tif=TimeInForce.IOC))
    (all_or_none,) = pit.place(ticket(BUY, 3, tif=TimeInForce.FOK))

    assert [(order.status, order.filled) for order in (part, away, all_or_none)] == [
        (OrderStatus.CANCELLED, 2),
        (OrderStatus.CANCELLED, 0),
        (OrderStatus.CANCELLED, 0),
    ]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (ticket(BUY, 0), DeclineReason.BAD_QUANTITY),
        (dataclasses.replace(ticket(BUY, 1), contract="NQH24"), DeclineReason.UNKNOWN_CONTRACT),
        (dataclasses.replace(ticket(BUY, 1), type=OrderType.LIMIT), DeclineReason.MISSING_PRICE),
        (dataclasses.replace(ticket(BUY, 1, limit="4800"), type=OrderType.STOP_LIMIT), DeclineReason.MISSING_PRICE),
    ],
)
def test_a_bad_order_is_declined_with_its_whole_request(bad: Ticket, why: DeclineReason) -> None:
    pit = Pit()
    group = TicketGroup(GroupKind.INDEPENDENT, (ticket(BUY, 1, client_id="good"), bad))

    answer = pit.exchange.place(ACCOUNT, group, at(1))

    assert isinstance(answer, Declined)
    assert answer.why is why
    assert (pit.exchange.orders(ACCOUNT), pit.exchange.revision) == ([], 0)


def test_an_unknown_account_and_a_group_of_two_sides_are_declined() -> None:
    pit = Pit()
    both = TicketGroup(GroupKind.ONE_REDUCES_OTHER, (ticket(BUY, 1, limit="4790"), ticket(SELL, 1, limit="4810")))

    answers = [pit.exchange.place("NOBODY", one(ticket(BUY, 1)), at(1)), pit.exchange.place(ACCOUNT, both, at(2))]

    assert [getattr(answer, "why", None) for answer in answers] == [
        DeclineReason.UNKNOWN_ACCOUNT,
        DeclineReason.BAD_GROUP,
    ]


def test_the_same_client_id_is_taken_once_for_an_account() -> None:
    other = "SIM0000002F"
    pit = Pit(accounts={ACCOUNT: CASH, other: CASH})
    order = one(ticket(BUY, 1, client_id="abcd-1"))
    pit.exchange.place(ACCOUNT, order, at(1))

    again = pit.exchange.place(ACCOUNT, order, at(2))
    elsewhere = pit.exchange.place(other, order, at(3))

    assert isinstance(again, Declined)
    assert again.why is DeclineReason.DUPLICATE
    assert not isinstance(elsewhere, Declined)
    assert pit.position == 1


def test_orders_beyond_the_margin_are_declined_but_never_those_that_close() -> None:
    pit = Pit(rules=Rules(margins={"ES": Money(Decimal(40_000))}))
    pit.place(ticket(BUY, 2))

    more = pit.exchange.place(ACCOUNT, one(ticket(BUY, 1)), pit.now())
    pit.place(ticket(SELL, 2))

    assert isinstance(more, Declined)
    assert more.why is DeclineReason.NOT_ENOUGH_MARGIN
    assert pit.position == 0


def test_replace_keeps_the_id_and_meets_the_market_at_once() -> None:
    pit = Pit()
    (order,) = pit.place(ticket(BUY, 1, limit="4790"))

    answer = pit.exchange.replace(order.id, Replacement(quantity=Contracts(2), limit=ticks("4801")), pit.now())

    assert isinstance(answer, Changed)
    assert (answer.order.id, answer.order.status, answer.order.filled) == (order.id, OrderStatus.FILLED, 2)
    assert pit.story(order) == [ChangeKind.PLACED, ChangeKind.REPLACED, ChangeKind.FILLED]


def test_an_order_can_be_turned_into_a_market_order() -> None:
    pit = Pit()
    (order,) = pit.place(ticket(SELL, 1, stop="4790"))

    pit.exchange.replace(order.id, Replacement(to_market=True), pit.now())

    assert pit.fills() == [("sell", 1, "4800")]


def test_changes_that_cannot_be_are_declined() -> None:
    pit = Pit()
    (resting,) = pit.place(ticket(BUY, 3, limit="4799"))
    pit.ticks("4799", size=2)
    (done,) = pit.place(ticket(BUY, 1))
    (hit,) = pit.place(ticket(BUY, 1, stop="4800", limit="4799"))
    pit.ticks("4801")
    changes = [
        ("nothing", Replacement()),
        (resting.id, Replacement()),
        (resting.id, Replacement(quantity=Contracts(2))),
        (resting.id, Replacement(stop=ticks("4790"))),
        (done.id, Replacement(quantity=Contracts(2))),
        (hit.id, Replacement(stop=ticks("4810"))),
    ]

    answers = [pit.exchange.replace(order_id, change, pit.now()) for order_id, change in changes]

    assert [getattr(answer, "why", None) for answer in answers] == [
        DeclineReason.UNKNOWN_ORDER,
        DeclineReason.NOTHING_TO_CHANGE,
        DeclineReason.BAD_QUANTITY,
        DeclineReason.NOTHING_TO_CHANGE,
        DeclineReason.NOT_OPEN,
        DeclineReason.ALREADY_TRIGGERED,
    ]


def test_cancel_keeps_the_filled_part_and_is_declined_the_second_time() -> None:
    pit = Pit()
    (order,) = pit.place(ticket(BUY, 3, limit="4799"))
    pit.ticks("4799", size=1)

    pit.exchange.cancel(order.id, pit.now())
    again = pit.exchange.cancel(order.id, pit.now())
    pit.ticks("4790")

    assert (pit.order(order).status, pit.order(order).filled, pit.position) == (OrderStatus.CANCELLED, 1, 1)
    assert isinstance(again, Declined)
    assert again.why is DeclineReason.NOT_OPEN


def test_oco_cancels_the_sibling_with_the_first_contract_filled() -> None:
    pit = Pit()
    low, high = pit.place(
        TicketGroup(GroupKind.ONE_CANCELS_OTHER, (ticket(BUY, 5, limit="4799"), ticket(SELL, 5, limit="4801")))
    )

    pit.ticks("4799", size=1)
    pit.ticks("4801")

    assert (pit.order(high).status, pit.order(high).filled) == (OrderStatus.CANCELLED, 0)
    assert (pit.order(low).status, pit.order(low).filled) == (OrderStatus.PARTIALLY_FILLED, 1)


def test_the_legs_of_a_bracket_wait_for_the_entry_and_are_released_as_it_fills() -> None:
    pit = Pit()
    entry, stop, target = pit.place(bracket(3, "4799", "4795", "4805"))
    pit.ticks("4794", size=0)
    assert [pit.order(leg).status for leg in (stop, target)] == [OrderStatus.WAITING] * 2

    pit.ticks("4799", size=1)
    assert [(pit.order(leg).status, pit.order(leg).released) for leg in (stop, target)] == [
        (OrderStatus.WORKING, 1)
    ] * 2
    pit.ticks("4799", size=100)

    assert pit.order(entry).status is OrderStatus.FILLED
    assert [pit.order(leg).released for leg in (stop, target)] == [3, 3]
    assert [leg.parent for leg in pit.exchange.children(entry)] == [entry.id] * 2


def test_a_leg_executes_no_more_than_the_entry_filled_and_follows_the_rest() -> None:
    pit = Pit()
    _, stop, target = pit.place(bracket(3, "4799", "4795", "4805"))
    pit.ticks("4799", size=1)
    pit.ticks("4805")  # the target is reached with one of three bought
    assert (pit.position, pit.order(target).filled, pit.order(stop).quantity) == (0, 1, 2)

    pit.ticks("4799", size=2)  # the rest of the entry
    pit.ticks("4795")

    assert (pit.position, pit.order(stop).filled) == (0, 2)
    assert (pit.order(stop).status, pit.order(target).status) == (OrderStatus.FILLED, OrderStatus.CANCELLED)


def test_a_fill_of_one_leg_takes_as_much_off_the_other() -> None:
    pit = Pit()
    _, stop, target = pit.place(bracket(3, None, "4795", "4805"))

    pit.ticks("4805", size=2)
    assert (pit.order(stop).quantity, pit.order(target).remaining) == (1, 1)
    pit.ticks("4795")

    assert pit.position == 0
    assert pit.order(stop).filled == 1
    assert (pit.order(target).status, pit.order(target).filled) == (OrderStatus.CANCELLED, 2)


def test_the_stop_of_a_bracket_that_the_price_has_passed_is_rejected_and_the_position_is_bare() -> None:
    pit = Pit()
    _, stop, target = pit.place(bracket(1, "4799", "4798", "4805"))

    pit.ticks("4797")

    assert pit.fills() == [("buy", 1, "4799")]
    assert pit.story(stop) == [ChangeKind.PLACED, ChangeKind.ACTIVATED, ChangeKind.REJECTED]
    assert pit.order(target).status is OrderStatus.WORKING


@pytest.mark.parametrize(
    ("side", "stop", "says"),
    [
        (SELL, "4800", "Stop Price must be below current market"),
        (SELL, "4805", "Stop Price must be below current market"),
        (BUY, "4800", "Stop Price must be above current market"),
        (BUY, "4795", "Stop Price must be above current market"),
    ],
)
@pytest.mark.parametrize("limit", [None, "4800"])
def test_a_stop_on_the_wrong_side_of_the_market_is_accepted_and_then_rejected(
    side: Side, stop: str, says: str, limit: str | None
) -> None:
    pit = Pit()

    (order,) = pit.place(ticket(side, 1, stop=stop, limit=limit))

    assert pit.story(order) == [ChangeKind.PLACED, ChangeKind.REJECTED]
    assert (pit.order(order).status, pit.order(order).reason) == (OrderStatus.REJECTED, says)
    assert pit.fills() == []


def test_a_stop_that_is_moved_to_the_wrong_side_is_rejected() -> None:
    pit = Pit()
    pit.place(ticket(BUY, 1))
    (stop,) = pit.place(ticket(SELL, 1, stop="4790"))

    pit.exchange.replace(stop.id, Replacement(stop=ticks("4801")), pit.now())

    assert pit.order(stop).status is OrderStatus.REJECTED
    assert pit.position == 1


def test_prices_at_and_below_zero_are_prices() -> None:
    pit = Pit(last="1")
    (below,) = pit.place(ticket(BUY, 1, limit="-37.75"))
    (zero,) = pit.place(ticket(BUY, 1, limit="5"))[:1]
    (resting,) = pit.place(ticket(BUY, 1, limit="0.5"))

    changed = pit.exchange.replace(resting.id, Replacement(limit=ticks("0")), pit.now())
    pit.ticks("0", "-40")

    assert isinstance(changed, Changed)
    assert changed.order.limit == 0
    assert [points(pit.order(order).average) for order in (zero, resting, below)] == [1, 0, Decimal("-37.75")]
    (stop,) = pit.place(ticket(SELL, 3, stop="-41"))
    pit.ticks("-42")
    assert (points(pit.order(stop).average), pit.position) == (-42, 0)


def test_the_legs_of_an_entry_that_never_filled_go_with_it() -> None:
    pit = Pit()
    entry, stop, target = pit.place(bracket(3, "4799", "4795", "4805"))

    pit.exchange.cancel(entry.id, pit.now())

    assert [pit.order(leg).status for leg in (stop, target)] == [OrderStatus.CANCELLED] * 2


def test_the_legs_of_a_half_filled_entry_are_cut_to_what_must_be_protected() -> None:
    pit = Pit()
    entry, stop, target = pit.place(bracket(3, "4799", "4795", "4805"))
    pit.ticks("4799", size=2)

    pit.exchange.cancel(entry.id, pit.now())

    assert [(pit.order(leg).quantity, pit.order(leg).status) for leg in (stop, target)] == [
        (2, OrderStatus.WORKING)
    ] * 2
    pit.ticks("4795")
    assert pit.position == 0


def test_a_leg_that_is_changed_while_it_waits_still_waits() -> None:
    pit = Pit()
    _, stop, _ = pit.place(bracket(2, "4799", "4795", "4805"))

    pit.exchange.replace(stop.id, Replacement(stop=ticks("4798")), pit.now())
    assert (pit.order(stop).status, pit.order(stop).released) == (OrderStatus.WAITING, 0)
    pit.ticks("4799", size=1)

    changed = pit.order(stop)
    assert (changed.status, changed.released, points(changed.stop)) == (OrderStatus.WORKING, 1, Decimal(4798))


def test_a_change_that_crossed_a_siblings_fill_does_not_give_back_what_the_sibling_closed() -> None:
    pit = Pit(rules=Rules(largest_fill=2))
    entry, stop, target = pit.place(bracket(3, None, "4795", "4805"))
    pit.ticks("4800")
    assert pit.order(entry).filled == 3
    pit.ticks("4795")
    assert (pit.order(stop).filled, pit.order(target).quantity) == (2, 1)

    # the client has not heard of the stop's fill yet
    answer = pit.exchange.replace(target.id, Replacement(Contracts(3), ticks("4802")), pit.now())

    assert isinstance(answer, Changed)
    assert (answer.order.quantity, answer.order.released, points(answer.order.limit)) == (1, 1, Decimal(4802))
    pit.ticks("4802")
    assert (pit.position, pit.order(stop).filled + pit.order(target).filled) == (0, 3)


def test_a_leg_that_its_client_made_smaller_may_grow_back_to_what_its_sibling_left() -> None:
    pit = Pit(rules=Rules(largest_fill=1))
    entry, stop, target = pit.place(bracket(3, None, "4795", "4805"))
    pit.ticks("4800", "4800", "4805")
    assert (pit.order(entry).filled, pit.order(target).filled, pit.order(stop).quantity) == (3, 1, 2)

    for quantity in (1, 3):
        pit.exchange.replace(stop.id, Replacement(Contracts(quantity)), pit.now())

    assert (pit.order(stop).quantity, pit.order(stop).released) == (2, 2)


def test_a_leg_that_shrank_and_grew_while_its_entry_fills_covers_all_that_is_filled() -> None:
    pit = Pit()
    entry, stop, _ = pit.place(bracket(5, "4799", "4795", "4805"))
    pit.ticks("4799", size=3)
    assert (pit.order(entry).filled, pit.order(stop).released) == (3, 3)

    for quantity in (1, 5):
        pit.exchange.replace(stop.id, Replacement(Contracts(quantity)), pit.now())

    assert (pit.order(stop).quantity, pit.order(stop).released) == (5, 3)


def test_a_leg_none_of_whose_siblings_has_filled_may_grow() -> None:
    pit = Pit()
    _, stop, target = pit.place(bracket(1, None, "4795", "4805"))

    pit.exchange.replace(stop.id, Replacement(Contracts(2)), pit.now())

    assert (pit.order(stop).quantity, pit.order(stop).released, pit.order(target).quantity) == (2, 2, 1)


def test_other_rules_cost_and_bind_what_they_say_from_the_next_fill_on() -> None:
    pit = Pit(rules=Rules(commission=Money(Decimal(1)), margins={"ES": Money(Decimal(10))}))
    pit.place(ticket(BUY, 1))

    pit.exchange.rules = Rules(commission=Money(Decimal(2)), margins={"ES": Money(Decimal(30))})
    pit.place(ticket(BUY, 1))

    funds = pit.exchange.funds(ACCOUNT)
    assert (funds.commission, funds.margin) == (3, 60)


def test_a_bracket_with_a_bad_leg_is_declined_whole() -> None:
    pit = Pit()

    group = bracket(1, None, "4795", "4805")
    (entry,) = group.tickets
    stop, target = entry.then[0].tickets
    legs = dataclasses.replace(entry.then[0], tickets=(dataclasses.replace(stop, stop=None), target))
    answer = pit.exchange.place(ACCOUNT, one(dataclasses.replace(entry, then=(legs,))), at(1))

    assert isinstance(answer, Declined)
    assert pit.position == 0


def test_the_end_of_the_day_expires_day_orders_and_keeps_the_others() -> None:
    pit = Pit()
    (day,) = pit.place(ticket(BUY, 1, limit="4790"))
    (lasting,) = pit.place(ticket(BUY, 1, limit="4790", tif=TimeInForce.GTC))
    entry, *legs = pit.place(bracket(1, "4790", "4780", "4805"))

    pit.exchange.end_day(pit.now())

    assert pit.order(day).status is pit.order(entry).status is OrderStatus.EXPIRED
    assert [pit.order(leg).status for leg in legs] == [OrderStatus.CANCELLED] * 2
    assert pit.order(lasting).status is OrderStatus.WORKING


def test_a_late_reject_ends_the_order_with_its_reason() -> None:
    pit = Pit()
    (order,) = pit.place(ticket(BUY, 1, limit="4790"))

    pit.exchange.reject(order.id, "EC601", pit.now())

    assert (pit.order(order).status, pit.order(order).reason) == (OrderStatus.REJECTED, "EC601")


def test_money_follows_the_fills() -> None:
    pit = Pit(rules=Rules(commission=Money(Decimal("1.5")), margins={"ES": Money(Decimal(1000))}))
    pit.place(ticket(BUY, 2))
    pit.ticks("4802")
    pit.place(ticket(BUY, 1))
    pit.ticks("4804")
    pit.place(ticket(SELL, 2))

    funds = pit.exchange.funds(ACCOUNT)
    (holding,) = pit.exchange.holdings(ACCOUNT)

    assert points(holding.average) == pytest.approx(Decimal(14402) / 3)
    assert funds.commission == Decimal("7.5")
    assert funds.equity == 100_000 + (2 * 4 + 1 * 2) * 50 - Decimal("7.5")
    assert funds.cash + funds.unrealized == funds.equity
    assert funds.unrealized == pit.exchange.unrealized(holding)
    assert funds.margin == 1000


def test_turning_a_position_round_closes_one_and_opens_another() -> None:
    pit = Pit()
    pit.place(ticket(BUY, 1))
    before = pit.exchange.revision

    pit.place(ticket(SELL, 3))

    updates = pit.exchange.updates_since(before) or []
    told = [update.holding for update in updates if isinstance(update, PositionUpdate)]
    assert [holding.quantity for holding in told] == [0, -2]
    assert told[0].id != told[1].id
    assert points(told[1].average) == 4800


def test_every_change_has_the_next_revision_and_readers_can_go_on_from_any() -> None:
    pit = Pit()
    pit.place(bracket(1, None, "4795", "4805"))
    pit.ticks("4805")

    everything = pit.exchange.updates_since(0)

    assert everything is not None
    assert [update.revision for update in everything] == list(range(1, pit.exchange.revision + 1))
    assert pit.exchange.updates_since(4) == everything[4:]
    assert pit.exchange.updates_since(pit.exchange.revision) == []
    assert pit.exchange.updates_since(pit.exchange.revision + 1) is None
