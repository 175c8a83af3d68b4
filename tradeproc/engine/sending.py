"""Orders on their way to the broker: made, written down, sent once; changed and cancelled.

An entry waits for its row: `Persist` with a ticket, and `Send` only when `Persisted` came back, the portfolio server
has granted its heat (`reservations.py`) and the gate is still open. An exit is written down and sent in one turn.
Nothing here ever sends an order a second time.
"""

from dataclasses import replace

from tradeproc.domain.broker_orders import BracketRequest, OrderRequest
from tradeproc.domain.orders import Order, OrderRole, OrderSource, OrderType, Side, TimeInForce
from tradeproc.domain.units import Contracts, Nanos, Ticks
from tradeproc.engine import amended_orders
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import Cancel, Modify, Send
from tradeproc.engine.limits import Admitted, Exit, gate_of
from tradeproc.engine.orders import Move, moved, noted
from tradeproc.engine.state import Pending, Setup, State, Waiting
from tradeproc.engine.turn import Turn


def client_id(setup: Setup, counter: int) -> str:
    """Return the client order id for a counter.

    It is never made twice, because each life of a session has its own fence.
    """
    return f"{setup.installation}{setup.session}-{setup.fence}-{counter}"


def draft(
    state: State,
    now: Nanos,
    side: Side,
    quantity: int,
    *,
    role: OrderRole,
    type: OrderType = OrderType.MARKET,
    limit: Ticks | None = None,
    stop: Ticks | None = None,
    time_in_force: TimeInForce = TimeInForce.DAY,
    parent: str | None = None,
) -> Order:
    """Return a new order with the next client id."""
    setup, engine = state.setup, state.engine
    engine.counter += 1
    return Order(
        id=client_id(setup, engine.counter),
        session=setup.session,
        fence=setup.fence,
        contract=setup.spec.contract,
        side=side,
        quantity=Contracts(quantity),
        type=type,
        role=role,
        created_at=now,
        market_at=state.strategy.market_at,
        limit=limit,
        stop=stop,
        time_in_force=time_in_force,
        parent=parent,
        changed_at=now,
    )


def submit_entry(turn: Turn, admitted: Admitted, source: OrderSource, reason: str) -> None:
    """Write an admitted entry down with its legs; it is sent when the database has it."""
    orders = admitted.orders
    events = tuple(noted(None, order, source, turn.now, "created", reason) for order in orders)
    turn.gate(orders, events, Send(orders[0].id, _request(turn.state.setup, orders)))
    turn.state.engine.pending[orders[0].id] = Pending(Waiting.STORE, turn.now)


def submit_exit(turn: Turn, exit_order: Exit, source: OrderSource, reason: str) -> None:
    """Write an exit down and send it in the same turn; a row in the journal is enough while the database is down."""
    order = exit_order.order
    turn.keep(order, noted(None, order, source, turn.now, "created", reason))
    turn.state.engine.pending[order.id] = Pending(Waiting.SUBMIT, turn.now)
    turn.send(Send(order.id, _request(turn.state.setup, (order,))))


def persisted(turn: Turn, ticket: int) -> None:
    """Send what waited for this row, unless it waits for the portfolio server as well."""
    engine = turn.state.engine
    waiting = engine.tickets.pop(ticket, None)
    if waiting is None:
        return
    database_changed(turn, is_up=True, reason="")
    ask = engine.heat.asks.get(waiting[0].order_id)
    if ask is not None and not ask.is_granted:
        ask.written = waiting
    else:
        leave(turn, *waiting)


def leave(turn: Turn, send: Send, order_ids: tuple[str, ...]) -> None:
    """Send an entry whose row is written and whose heat is reserved, if the gate has not closed meanwhile."""
    engine = turn.state.engine
    ask = engine.heat.asks.pop(send.order_id, None)
    if ask is not None and turn.now >= ask.until:
        # we were suspended: the server may have given up on us, and the prices are old
        drop(turn, order_ids, "the portfolio's grant came too late")
        return
    if (closed := gate_of(turn.state, order_ids[0], turn.now)) is not None:
        drop(turn, order_ids, closed)
        return
    engine.pending[send.order_id] = Pending(Waiting.SUBMIT, turn.now)
    turn.send(send)


def persist_failed(turn: Turn, ticket: int, reason: str) -> None:
    """Drop what waited for this row: it was not sent, and will not be."""
    waiting = turn.state.engine.tickets.pop(ticket, None)
    database_changed(turn, is_up=False, reason=reason)
    if waiting is not None:
        drop(turn, waiting[1], f"the database is down: {reason}")


def database_changed(turn: Turn, *, is_up: bool, reason: str) -> None:
    """Close or open the gate for entries; exits are not affected."""
    turn.state.engine.is_database_up = is_up
    if is_up:
        turn.clear(AlarmName.DATABASE_DOWN)
    else:
        turn.alarm(AlarmName.DATABASE_DOWN, f"entries stop, exits go on over the journal: {reason}")


def drop(turn: Turn, order_ids: tuple[str, ...], reason: str) -> None:
    """End orders that surely never left."""
    engine = turn.state.engine
    for order_id in order_ids:
        engine.pending.pop(order_id, None)
        engine.heat.asks.pop(order_id, None)
        turn.apply(moved(engine.orders[order_id], Move.DROPPED, OrderSource.TRADER, turn.now, reason))
    turn.log("warning", "order_dropped", order=order_ids[0], reason=reason)


def withdraw(turn: Turn, order: Order, reason: str) -> bool:
    """Drop an entry that still waits for its row or its heat, with its legs; tell whether it did."""
    tickets = turn.state.engine.tickets
    ask = turn.state.engine.heat.asks.pop(order.id, None)
    if ask is not None and ask.written is not None:
        drop(turn, ask.written[1], reason)
        return True
    for ticket, (_, order_ids) in list(tickets.items()):
        if order.id in order_ids:
            del tickets[ticket]
            drop(turn, order_ids, reason)
            return True
    return False


def cancel(turn: Turn, order: Order, source: OrderSource, reason: str) -> None:
    """Ask for a cancel; one that is not at the broker yet is dropped, or cancelled when its broker id is known."""
    engine = turn.state.engine
    order = engine.orders[order.id]
    if order.state.is_terminal or withdraw(turn, order, reason):
        return
    if order.broker_id is None:
        engine.cancels_wanted.add(order.id)
        return
    if order.in_flight != "cancel":
        changed = replace(order, in_flight="cancel", changed_at=turn.now)
        turn.keep(changed, noted(order, changed, source, turn.now, "cancel_asked", reason))
    engine.cancels_wanted.discard(order.id)
    engine.cancels_asked.add(order.id)
    engine.pending[order.id] = Pending(Waiting.CANCEL, turn.now)
    turn.send(Cancel(order.id, order.broker_id))


def cancel_entries(turn: Turn, source: OrderSource, reason: str) -> None:
    """Ask for the cancel of all entries that are not being cancelled yet."""
    for order in turn.state.engine.open_orders:
        if order.role is OrderRole.ENTRY and order.in_flight != "cancel":
            cancel(turn, order, source, reason)


def modify(turn: Turn, order: Order, wanted: Order, source: OrderSource, reason: str) -> None:
    """Ask for new terms; the order keeps its own until the broker shows the new ones."""
    if order.broker_id is None or order.in_flight is not None:
        return
    change = request_of(turn.state.setup, wanted)
    changed = replace(order, in_flight="modify", changed_at=turn.now)
    event = noted(order, changed, source, turn.now, "modify_asked", reason)
    told = {"quantity": change.quantity, "limit": change.limit, "stop": change.stop}
    event.details.update((name, str(value)) for name, value in told.items() if value is not None)
    turn.keep(changed, event)
    turn.state.engine.pending[order.id] = Pending(Waiting.MODIFY, turn.now, wanted=wanted)
    amended_orders.asked(turn.state, order, wanted)
    turn.send(Modify(order.id, order.broker_id, change))


def with_broker_id(order: Order, broker_id: str, now: Nanos) -> Order:
    """Return the order with the id under which the broker knows it."""
    return replace(order, broker_id=broker_id, changed_at=now)


def request_of(setup: Setup, order: Order) -> OrderRequest:
    """Return an order as it goes to a broker: Decimal prices, canonical contract, our id."""
    price = setup.instrument.price
    return OrderRequest(
        id=order.id,
        contract=setup.contract,
        side=order.side,
        quantity=order.quantity,
        type=order.type,
        role=order.role,
        limit=None if order.limit is None else price(order.limit),
        stop=None if order.stop is None else price(order.stop),
        time_in_force=order.time_in_force,
    )


def _request(setup: Setup, orders: tuple[Order, ...]) -> OrderRequest | BracketRequest:
    requests = [request_of(setup, order) for order in orders]
    if len(requests) == 1:
        return requests[0]
    return BracketRequest(requests[0], requests[1], requests[2] if len(requests) > 2 else None)
