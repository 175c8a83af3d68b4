"""What holds for every stream of orders and trades: conservation of contracts and of money."""

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchange.tickets import ACCOUNT, CASH, ES, Pit, bracket, ticket, ticks
from tradeproc.domain.orders import Side, TimeInForce
from tradeproc.domain.units import Contracts, Money, Ticks
from tradeproc.exchange.matching import Rules, execution, is_hit
from tradeproc.exchange.orders import GroupKind, OrderStatus, OrderUpdate, Replacement, Ticket, TicketGroup

prices = st.integers(-12, 12).map(lambda steps: str(Decimal(4800) + Decimal(steps) / 4))
quantities = st.integers(1, 4)
tickets = st.builds(
    lambda side, quantity, limit, stop, tif: ticket(side, quantity, limit=limit, stop=stop, tif=tif),
    st.sampled_from(Side),
    quantities,
    st.none() | prices,
    st.none() | prices,
    st.sampled_from(TimeInForce),
)
singles = st.builds(lambda order: TicketGroup(GroupKind.INDEPENDENT, (order,)), tickets)
ocos = st.builds(lambda one, two: TicketGroup(GroupKind.ONE_CANCELS_OTHER, (one, two)), tickets, tickets)
brackets = st.builds(bracket, quantities, st.none() | prices, prices, prices, st.sampled_from(GroupKind))
changes = st.builds(
    lambda quantity, limit: Replacement(Contracts(quantity), None if limit is None else ticks(limit)),
    quantities,
    st.none() | prices,
)
actions = st.one_of(
    st.tuples(st.just("place"), st.one_of(singles, ocos, brackets)),
    st.tuples(st.just("tick"), st.tuples(prices, st.integers(0, 3))),
    st.tuples(st.just("tick"), st.tuples(prices, st.integers(0, 3))),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("replace"), st.tuples(st.integers(0, 30), changes)),
    st.tuples(st.just("end_day"), st.none()),
)
rules = st.builds(
    Rules, st.booleans(), st.integers(0, 2), st.booleans(), st.integers(0, 2), st.just(Money(Decimal("1.25")))
)


def play(pit: Pit, steps: Sequence[tuple[str, object]]) -> None:
    """Carry out the actions; an order is named by its place in the list."""
    for name, what in steps:
        orders = pit.exchange.orders(ACCOUNT)
        match name, what:
            case "place", TicketGroup() as group:
                pit.exchange.place(ACCOUNT, group, pit.now())
            case "tick", (str() as price, int() as size):
                pit.ticks(price, size=size)
            case "cancel", int() as place if orders:
                pit.exchange.cancel(orders[place % len(orders)].id, pit.now())
            case "replace", (int() as place, Replacement() as change) if orders:
                pit.exchange.replace(orders[place % len(orders)].id, change, pit.now())
            case "end_day", None:
                pit.exchange.end_day(pit.now())
            case _:
                assert not orders, name


def check_orders(pit: Pit) -> None:
    fills = pit.booked()
    for order in pit.exchange.orders(ACCOUNT):
        mine = [fill for fill in fills if fill.order_id == order.id]
        assert sum(fill.quantity for fill in mine) == order.filled <= order.released <= order.quantity
        assert sum(fill.price * fill.quantity for fill in mine) == order.value
        assert (order.closed_at is None) == order.status.is_open
        assert (order.status is OrderStatus.FILLED) == (order.filled == order.quantity), order


def check_money(pit: Pit, rules: Rules) -> None:
    exchange, fills = pit.exchange, pit.booked()
    signed = [(fill.side.sign * fill.quantity, Decimal(fill.price) / 4) for fill in fills]
    position = sum(holding.quantity for holding in exchange.holdings(ACCOUNT))
    assert position == sum(quantity for quantity, _ in signed)
    last = exchange.last(ES)
    assert last is not None
    profit = position * Decimal(last) / 4 - sum(quantity * price for quantity, price in signed)
    fees = rules.commission * sum(fill.quantity for fill in fills)
    funds = exchange.funds(ACCOUNT)
    assert abs(funds.equity - (CASH + profit * 50 - fees)) < Decimal("1e-15")
    assert funds.cash + funds.unrealized == funds.equity


@settings(max_examples=150, deadline=None)
@given(rules, st.lists(actions, max_size=30))
def test_no_order_is_overfilled_and_no_money_is_made_or_lost(how: Rules, steps: list[tuple[str, object]]) -> None:
    pit = Pit(rules=how)

    play(pit, steps)

    check_orders(pit)
    check_money(pit, how)


@settings(max_examples=60, deadline=None)
@given(rules, tickets, tickets, st.lists(st.tuples(prices, st.integers(0, 3)), max_size=15))
def test_only_one_order_of_an_oco_ever_fills(
    how: Rules, one: Ticket, two: Ticket, ticks: list[tuple[str, int]]
) -> None:
    pit = Pit(rules=how)
    orders = pit.place(TicketGroup(GroupKind.ONE_CANCELS_OTHER, (one, two)))

    for price, size in ticks:
        pit.ticks(price, size=size)

    assert sum(1 for order in orders if pit.order(order).filled) <= 1


@settings(max_examples=100, deadline=None)
@given(
    rules,
    st.builds(bracket, quantities, st.none() | prices, prices, prices),
    st.lists(st.tuples(prices, st.integers(0, 3)), max_size=20),
    st.integers(0, 20),
)
def test_a_bracket_never_turns_the_position_round_and_ends_protected_or_flat(
    how: Rules, group: TicketGroup, ticks: list[tuple[str, int]], cancel_at: int
) -> None:
    pit = Pit(rules=how)
    entry, *legs = pit.place(group)

    for index, (price, size) in enumerate(ticks):
        if index == cancel_at:
            pit.exchange.cancel(entry.id, pit.now())
        pit.ticks(price, size=size)
        stop, target = (pit.order(leg) for leg in legs)
        assert 0 <= pit.position == pit.order(entry).filled - stop.filled - target.filled
        if pit.position:
            assert target.released - target.filled == pit.position
            # a stop that the price has passed when it arrives is rejected: whoever holds the position has to see that
            assert stop.status is OrderStatus.REJECTED or stop.released - stop.filled == pit.position


@settings(max_examples=60, deadline=None)
@given(rules, st.lists(actions, max_size=25), st.lists(actions, max_size=10))
def test_an_exchange_rebuilt_from_its_updates_goes_on_like_the_old_one(
    how: Rules, before: list[tuple[str, object]], after: list[tuple[str, object]]
) -> None:
    old = Pit(rules=how)
    play(old, before)
    new = Pit(rules=how)
    told = [update for update in old.exchange.updates_since(0) or [] if isinstance(update, OrderUpdate)]
    known = [each for update in told for each in (update.order, update.fill) if each is not None]
    mark, told_ids = old.exchange.revision, ["1000000200"]
    new.exchange.restore(known, mark, told_ids)
    # requests that were declined took ids, and no update tells of them
    old.exchange.restore([], mark, told_ids)
    last = old.exchange.last(ES)
    assert last is not None
    new.exchange.set_last(ES, last)
    new.second = old.second

    for pit in (old, new):
        play(pit, after)

    assert new.exchange.orders(ACCOUNT) == old.exchange.orders(ACCOUNT)
    assert new.exchange.holdings(ACCOUNT) == old.exchange.holdings(ACCOUNT)
    assert new.exchange.funds(ACCOUNT) == old.exchange.funds(ACCOUNT)
    assert new.exchange.updates_since(mark) == old.exchange.updates_since(mark)


@settings(max_examples=100, deadline=None)
@given(rules, st.lists(actions, max_size=30))
def test_a_trade_within_the_reach_of_the_orders_could_change_none_of_them(
    how: Rules, steps: list[tuple[str, object]]
) -> None:
    pit = Pit(rules=how)
    play(pit, steps)

    below, above = pit.exchange._orders.reach(ES)

    low, high = max(below + 1, ticks("4700")), min(above - 1, ticks("4900"))
    for order in pit.exchange._orders.live(ES):
        for price in (low, (low + high) // 2, high) if low <= high else ():
            assert order.status is not OrderStatus.QUEUED
            assert not is_hit(order, Ticks(price))
            assert execution(order, Ticks(price), how, arriving=False) is None


@settings(max_examples=100, deadline=None)
@given(rules, brackets, st.lists(st.tuples(prices, prices, prices, prices, st.integers(0, 9)), max_size=8))
def test_bars_make_and_lose_no_money_either(
    how: Rules, group: TicketGroup, drawn: list[tuple[str, str, str, str, int]]
) -> None:
    pit = Pit(rules=how)
    pit.place(group)

    for *row, volume in drawn:
        points_of = [ticks(price) for price in row]
        pit.bar(points_of[0], max(points_of), min(points_of), points_of[3], volume)

    check_orders(pit)
    check_money(pit, how)


steps_of_legs = st.one_of(
    st.tuples(st.just("trade"), prices, st.integers(1, 4)),
    st.tuples(st.just("replace"), st.integers(1, 2), st.integers(1, 5)),
    st.tuples(st.just("cancel"), st.just(0), st.just(0)),
)


@settings(max_examples=300, deadline=None)
@given(rules, st.integers(1, 5), st.none() | prices, prices, prices, st.lists(steps_of_legs, max_size=25))
def test_whatever_crosses_whatever_the_legs_of_a_bracket_never_turn_the_position_round(
    how: Rules, quantity: int, limit: str | None, stop: str, target: str, steps: list[tuple[str, object, int]]
) -> None:
    pit = Pit(rules=how)
    entry, *legs = pit.place(bracket(quantity, limit, stop, target))

    for kind, what, number in steps:
        if kind == "trade":
            pit.ticks(str(what), size=number)
        elif kind == "replace":
            leg = legs[int(str(what)) - 1]
            pit.exchange.replace(leg.id, Replacement(Contracts(min(number, quantity))), pit.now())
        else:
            pit.exchange.cancel(entry.id, pit.now())

        filled, closed = pit.order(entry).filled, [pit.order(leg.id).filled for leg in legs]
        assert 0 <= pit.position == filled - sum(closed)
        for leg, other in zip(legs, reversed(closed), strict=True):
            now = pit.order(leg.id)
            if now.status.is_open:
                assert now.released == min(now.quantity, filled - other)
