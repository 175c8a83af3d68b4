"""What must hold in the end, after a quiet time: nothing is unknown, and all books are those of the exchange.

Each look returns what is left (the invariant and the detail), None when all is well, so that a life can be asked
whether it has settled before it is judged.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tradeproc.domain.book import Fill, FillKind
from tradeproc.domain.fills import standing
from tradeproc.domain.roll_steps import RollStep
from tradeproc.domain.units import SECOND
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.events import TradingState
from tradeproc.engine.state import EngineOwned
from tradeproc.simulation import loss_oracle
from tradeproc.simulation.trader_life import TraderLife
from tradeproc.simulation.venue import FOREIGN

if TYPE_CHECKING:
    from tradeproc.simulation.seat import Seat

_GIVEN_UP_AFTER = 11 * SECOND  # the link gives up a reply after 12 s, and clocks differ by some

Broken = tuple[str, str]
"""The invariant that does not hold, and what was seen."""


def left(seat: "Seat", *, is_flat: bool) -> Broken | None:
    """Return the first thing that a session has left undone, None when nothing is."""
    return next(_all_left(seat, is_flat), None)


def is_settled(seat: "Seat", *, is_flat: bool) -> bool:
    """Tell whether nothing is left to be done and no deadline runs, so that waiting longer would show nothing new."""
    life = seat.life
    is_at_rest = life is None or not (life.is_busy or life.is_paused)
    return is_at_rest and left(seat, is_flat=is_flat) is None


def _all_left(seat: "Seat", is_flat: bool) -> Iterator[Broken]:
    ours_open = any(order.memo != FOREIGN for order in seat.book.open.values())
    if is_flat and (seat.book.quantity or ours_open):
        yield "never trapped", f"told to be flat, {seat.book.quantity:+d} is left"
    yield from _of_fills(seat)
    life = seat.life
    if life is None:
        if not seat.is_finished:
            yield "nothing left", "no trader lives"
        return
    engine, broker = life.state.engine, life.state.broker
    if engine.roll.open is not None or engine.roll.wish is not None:
        yield "nothing left", f"a roll: {engine.roll.open or engine.roll.wish}"
    if engine.pending or engine.tickets:
        yield "nothing left", f"pending: {engine.pending}"
    if not broker.is_reconciled:
        yield "nothing left", f"not reconciled: {broker.suspicion}"
    if engine.holding.quantity != seat.book.quantity:
        yield "nothing left", f"ours {engine.holding}, the broker's {seat.book.quantity}"
    yield from _of_orders(seat, life)
    yield from _of_alarms(seat, life)
    yield from _of_heat(seat, life)


def _of_heat(seat: "Seat", life: TraderLife) -> Iterator[Broken]:
    """Compare what the portfolio server knows with the exchange."""
    office = seat.office
    if office is None:
        return
    if life.state.engine.heat.asks:
        yield "nothing left", f"questions for heat: {sorted(life.state.engine.heat.asks)}"
    stands, most = office.standing(), office.contracts_seen
    if stands is None or stands.heat is None or stands.reserved:
        yield "nothing left", f"the heat of the portfolio: {stands}"
        return
    contracts = int(stands.heat / office.each)
    if most != contracts:
        yield "nothing left", f"heat of {contracts} contracts, the broker has {most}"
    if stands.blocked and most == 0:
        yield "alarms end", f"nothing is open, and yet {stands.blocked}"


def _of_fills(seat: "Seat") -> Iterator[Broken]:
    """Compare the rows of the fills with what the exchange has filled."""
    rows = standing(seat.rows.fills.values())
    seat.watch.fills = len(rows)
    journal = len(seat.rows.journal)
    if journal and not seat.is_finished:
        yield "nothing left", f"{journal} rows are still in the journal"
    if journal:
        return
    booked = [fill for fill in rows if fill.contract == seat.contract]
    held = sum(fill.quantity * fill.side.sign for fill in booked)
    if held != seat.book.quantity:
        yield "nothing left", f"the books make {held:+d}, the broker has {seat.book.quantity:+d}"
    yield from _of_strangers(seat, [fill for fill in booked if fill.kind is FillKind.EXTERNAL])
    yield from _of_left_contracts(seat)


def _of_strangers(seat: "Seat", rows: list[Fill]) -> Iterator[Broken]:
    """Compare what the books say that others have traded with what they have: in sum, and never more."""
    book, mistaken = seat.book, seat.watch.mistaken(seat.contract)
    net = sum(fill.quantity * fill.side.sign for fill in rows) + mistaken
    if seat.sent_by_wrong_clock or _swapped(seat):
        return
    if net != book.foreign_net:
        yield "nothing left", f"others have traded {book.foreign_net:+d}, the books say {net:+d}"
    if sum(fill.quantity for fill in rows) > book.foreign + abs(mistaken):
        yield "nothing left", f"others have traded {book.foreign} contracts, and yet {rows}"


def _swapped(seat: "Seat") -> set[str]:
    """Return our orders that arrived long after somebody else had traded their terms, and the legs of these.

    The reply was given up as lost by then, so that nothing tells the stranger's order from ours: it is taken for
    ours, and ours for the stranger's. People are told of it as an order that is not ours and a change by others.
    Waiting for the legs instead would leave a position bare whenever a broker loses them together with the reply.
    """
    if not seat.book.foreign or seat.life is None:
        return set()
    orders = seat.life.state.engine.orders
    placed = {order.client_id: order for order in seat.venue.exchange.orders(seat.account) if order.memo != FOREIGN}
    swapped = set()
    for stranger in seat.venue.exchange.orders(seat.account):
        ours = orders.get(seat.life.state.broker.ids.get(stranger.id, "")) if stranger.memo == FOREIGN else None
        arrived = None if ours is None else placed.get(ours.id)
        if ours is not None and arrived is not None and arrived.opened_at - ours.created_at >= _GIVEN_UP_AFTER:
            swapped |= {ours.id, *(order.id for order in orders.values() if order.parent == ours.id)}
    return swapped


def _of_left_contracts(seat: "Seat") -> Iterator[Broken]:
    """Look at the contracts that the session has rolled out of: nothing of ours may be left there."""
    for contract, book in zip(seat.venue.contracts, seat.books, strict=True):
        if contract == seat.contract:
            continue
        ours = [order.id for order in book.open.values() if order.memo != FOREIGN]
        if ours:
            yield "nothing left", f"orders work in {contract}, the session trades {seat.contract}: {ours}"
        if book.quantity != 0 and not book.has_foreign:
            yield "nothing left", f"{book.quantity:+d} of {contract}, the session trades {seat.contract}"


def _of_orders(seat: "Seat", life: TraderLife) -> Iterator[Broken]:
    engine, swapped = life.state.engine, _swapped(seat)
    by_broker = {order.broker_id: order for order in engine.orders.values() if order.broker_id}
    for order in seat.venue.exchange.orders(seat.account):
        ours = by_broker.get(order.id)
        if (
            order.memo == FOREIGN
            or order.contract != seat.contract
            or (ours is None and order.client_id in seat.sent_by_wrong_clock | swapped)
        ):
            continue
        if ours is None:
            yield "nothing left", f"order {order.id} ({order.client_id}) is not known as ours"
        elif (ours.filled, ours.state.is_terminal) != (order.filled, not order.status.is_open):
            yield "nothing left", f"order {ours.id} is {ours.state}, the broker's {order.status}"
    for ours in engine.open_orders:
        if ours.broker_id not in seat.book.open:
            yield "nothing left", f"order {ours.id} is {ours.state}, the broker has no such order"


def _of_alarms(seat: "Seat", life: TraderLife) -> Iterator[Broken]:
    alarms = life.state.engine.alarms
    unexplained = alarms.keys() - _explained(seat, life.state.engine)
    if unexplained:
        name = min(unexplained)
        yield "alarms end", f"{name}: {alarms[name]}"


def _explained(seat: "Seat", engine: EngineOwned) -> set[str]:
    """Return the alarms that may stand in the end, because what they tell is so."""
    allowed = set()
    if seat.sent_by_wrong_clock or _swapped(seat):
        allowed |= {AlarmName.ORDER_UNKNOWN.value, AlarmName.EXTERNAL_CHANGE.value}
    if (seat.had_others or seat.wires.is_changed_late) and engine.trading is not TradingState.ACTIVE:
        allowed.add(AlarmName.EXTERNAL_CHANGE.value)
    if seat.had_inert and seat.book.quantity:
        allowed.add(AlarmName.STOP_INERT.value)
    if seat.watch.uncovered():
        allowed |= {AlarmName.POSITION_UNCOVERED.value, AlarmName.EXTERNAL_ADOPTED.value}
    if loss_oracle.is_latched(seat):
        allowed.add(AlarmName.LOSS_LIMIT_REACHED.value)
    if any(roll.step is RollStep.GIVEN_UP for roll in seat.rows.rolls.values()):
        allowed.add(AlarmName.ROLL_INCOMPLETE.value)
    if any(fill.price is None for fill in seat.rows.fills.values()):
        allowed.add(AlarmName.PROFIT_UNKNOWN.value)
    if any(order.memo == FOREIGN for order in seat.book.open.values()):
        allowed.add(AlarmName.ORDER_UNKNOWN.value)
    return allowed
