"""What must hold after every event of a simulated life, whatever went wrong.

never twice      no order reaches the broker a second time, and none before its row is written
never above      the position and each entry stay within the session's limits, and all sessions together within the
                 block of their portfolio; after a loss limit no entry is sent
never naked      with the broker within reach, open contracts have a working stop, or the alarm stands
never trapped    with the broker within reach, a closing comes to its end
never waiting    with nothing wrong, the heat of a portfolio is known, entries are answered, and exits never ask
never bribed     with the broker within reach, a stop that does nothing is found
nothing left     after a quiet time nothing is unknown, and orders, fills and position are those of the exchange
alarms end       no alarm stands whose cause is over, and no stop is called inert that is not
"""

from typing import TYPE_CHECKING

from tradeproc.domain.book import FillKind
from tradeproc.domain.broker_orders import BracketRequest, OrderRequest
from tradeproc.domain.fills import standing
from tradeproc.domain.orders import OrderRole, OrderType
from tradeproc.domain.session import ExternalPolicy, StopPolicy
from tradeproc.domain.units import SECOND
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import Effect, RaiseAlarm, ReserveHeat
from tradeproc.engine.events import Event, Started
from tradeproc.errors import Fault
from tradeproc.simulation import loss_oracle
from tradeproc.simulation.venue import FOREIGN

if TYPE_CHECKING:
    from tradeproc.simulation.seat import Seat

NAKED_FOR = 60 * SECOND
TRAPPED_FOR = 150 * SECOND
INERT_FOR = 45 * SECOND
_KNOWN_AFTER = 30 * SECOND
_ANSWERED_AFTER = 20 * SECOND


class InvariantBroken(Fault):
    """A simulated life did what never may happen; caught by whoever runs it."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant, self.detail = invariant, detail


class Invariants:
    """The invariants of one session."""

    def __init__(self, seat: "Seat") -> None:
        self._seat = seat
        self._sent: set[str] = set()
        self._received: set[str] = set()
        self._entries: set[str] = set()
        self._asked_since: dict[str, int] = {}
        self._bare_since: int | None = None
        self._closing_since: int | None = None
        self._passed_since: int | None = None
        self.events = self.orders = self.fills = 0

    # --- at once

    def received(self, request: OrderRequest | BracketRequest) -> None:
        """Look at an order that reaches the broker."""
        single = request if isinstance(request, OrderRequest) else request.entry
        if single.id in self._received:
            raise InvariantBroken("never twice", f"order {single.id} reached the broker a second time")
        self._received.add(single.id)
        self.orders += 1
        if single.role is OrderRole.ENTRY:
            self._entries.add(single.id)
        limit = self._seat.spec.limits.max_order
        if single.role is OrderRole.ENTRY and single.quantity > limit:
            raise InvariantBroken("never above", f"entry {single.id} of {single.quantity}, max_order is {limit}")

    def sending(self, order_id: str, request: OrderRequest | BracketRequest) -> None:
        """Look at an order that is sent."""
        if order_id in self._sent:
            raise InvariantBroken("never twice", f"order {order_id} is sent a second time")
        self._sent.add(order_id)
        if order_id not in self._seat.rows.written:
            raise InvariantBroken("written first", f"order {order_id} is sent before its row is written")
        single = request if isinstance(request, OrderRequest) else request.entry
        if single.role is OrderRole.ENTRY and (reached := loss_oracle.reached(self._seat)):
            raise InvariantBroken("never above", f"entry {order_id} is sent, and {reached}")

    def stepped(self, event: Event, wanted: tuple[Effect, ...]) -> None:
        """Count a step."""
        self.events += 1
        if isinstance(event, Started):
            self._closing_since = None
        for effect in wanted:
            if isinstance(effect, ReserveHeat):
                self._look_at_question(effect.order_id)
        if self._seat.had_inert:
            return
        for effect in wanted:
            if isinstance(effect, RaiseAlarm) and effect.name == AlarmName.STOP_INERT.value:
                raise InvariantBroken("alarms end", f"no stop was inert, and yet {effect.detail}")

    def _look_at_question(self, order_id: str) -> None:
        life = self._seat.life
        order = None if life is None else life.state.engine.orders.get(order_id)
        if order is not None and order.role is OrderRole.EXIT:
            raise InvariantBroken("never waiting", f"exit {order_id} asks for heat")

    def heat_refused(self, reason: str) -> None:
        """Look at a refusal of the portfolio server: with nothing wrong for long, only its block is a reason."""
        seat = self._seat
        office = seat.office
        is_unknown = any(word in reason for word in ("unknown", "not reported", "does not know", "not read"))
        if office is None or not is_unknown or seat.now - office.began_at < _KNOWN_AFTER:
            return
        if all(each.watch.fair_for(0) >= _KNOWN_AFTER for each in office.seats):
            raise InvariantBroken("never waiting", f"an entry is refused: {reason}")

    def entries_open(self) -> int:
        """Return how many contracts the entries at the exchange can still open."""
        open_now = self._seat.book.open.values()
        return sum(int(order.remaining) for order in open_now if order.client_id in self._entries)

    def changed(self) -> None:
        """Look at the account after something changed in it."""
        office = self._seat.office
        if office is not None and office.contracts_now > office.most:
            raise InvariantBroken(
                "never above", f"{office.contracts_now} contracts, the portfolio's block is at {office.most}"
            )
        book, limit = self._seat.book, self._seat.spec.limits.max_position
        if abs(book.quantity) > limit + book.foreign:
            raise InvariantBroken("never above", f"the position is {book.quantity:+d}, max_position is {limit}")
        if not self._uncovered():
            self._bare_since = None
        elif self._bare_since is None:
            self._bare_since = self._seat.now

    def _uncovered(self) -> int:
        """Return how many contracts neither a stop nor an exit at the market covers at the exchange."""
        book = self._seat.book
        covered = sum(
            order.released - order.filled
            for order in book.open.values()
            if (order.type.has_stop or order.type is OrderType.MARKET)
            and order.status.is_working
            and order.side.sign * book.quantity < 0
        )
        return max(0, abs(book.quantity) - covered)

    # --- now and then

    def look(self) -> None:
        """Look at what may last for a while, but not long."""
        self._look_for_naked()
        self._look_for_trapped()
        self._look_for_inert()
        self._look_for_waiting()

    def fair_for(self, since: int) -> int:
        """Return for how long something has lasted while the trader lived and nothing was wrong."""
        seat = self._seat
        return min(seat.now - since, seat.weather.fair_for, seat.now - seat.began_at) if seat.life else -1

    def _look_for_naked(self) -> None:
        seat = self._seat
        if self._bare_since is None or self.fair_for(self._bare_since) < NAKED_FOR or seat.life is None:
            return
        state = seat.life.state
        is_told = {AlarmName.POSITION_UNCOVERED.value, AlarmName.CLOSE_STUCK.value} & state.engine.alarms.keys()
        if is_told and (seat.spec.stop_policy is StopPolicy.ALARM or self._is_adopted_bare()):
            return
        lasted = (seat.now - self._bare_since) // SECOND
        raise InvariantBroken(
            "never naked", f"{self._uncovered()} contracts without a stop for {lasted} s, {seat.spec.stop_policy}"
        )

    def _is_adopted_bare(self) -> bool:
        """Tell whether it is for a person to place the stop of contracts that somebody else traded."""
        spec = self._seat.spec
        if spec.external_policy is not ExternalPolicy.ADOPT or spec.stop_policy is StopPolicy.FLATTEN:
            return False
        has_strangers = any(order.memo == FOREIGN for order in self._seat.book.open.values())
        return self._seat.had_others and (spec.adopt_stop_ticks is None or has_strangers)

    def _look_for_waiting(self) -> None:
        """Look for an entry that waits for its heat longer than anybody should."""
        life = self._seat.life
        asks = {} if life is None else life.state.engine.heat.asks
        waiting = [order_id for order_id, ask in asks.items() if not ask.is_granted]
        since = self._asked_since
        self._asked_since = {order_id: since.get(order_id, self._seat.now) for order_id in waiting}
        for order_id, at in self._asked_since.items():
            if self.fair_for(at) > _ANSWERED_AFTER:
                raise InvariantBroken("never waiting", f"order {order_id} waits for its heat")

    def _look_for_trapped(self) -> None:
        life = self._seat.life
        if life is None or life.state.engine.closing is None:
            self._closing_since = None
            return
        if self._closing_since is None:
            self._closing_since = self._seat.now
        if self.fair_for(self._closing_since) >= TRAPPED_FOR:
            closing = life.state.engine.closing
            raise InvariantBroken("never trapped", f"not flat: {closing.phase.value}, {closing.reason}")

    def _look_for_inert(self) -> None:
        """Look for a bracket's stop that the market has traded through for long, without a word about it."""
        seat = self._seat
        last, life = seat.venue.last, seat.life
        is_passed = any(
            order.parent is not None
            and order.status.is_working
            and order.stop is not None
            and order.side.sign * seat.book.quantity < 0
            and (last - order.stop) * order.side.sign >= 2 * seat.spec.inert_stop_ticks
            for order in seat.book.open.values()
        )
        if not is_passed or life is None or life.state.engine.closing is not None:
            self._passed_since = None
            return
        if self._passed_since is None:
            self._passed_since = seat.now
        lasting = min(seat.now - self._passed_since, seat.now - seat.began_at, seat.weather.fair_for)
        if lasting >= INERT_FOR and AlarmName.STOP_INERT.value not in life.state.engine.alarms:
            raise InvariantBroken("never bribed", f"a stop does nothing for {lasting // SECOND} s")

    # --- in the end

    def end(self, *, is_flat: bool) -> None:
        """Look at what is left after a quiet time."""
        seat = self._seat
        if is_flat and (seat.book.quantity or self._ours_open()):
            raise InvariantBroken("never trapped", f"told to be flat, {seat.book.quantity:+d} is left")
        self._compare_fills()
        life = seat.life
        if life is None:
            if not seat.is_finished:
                raise InvariantBroken("nothing left", "no trader lives")
            return
        state = life.state
        if state.engine.pending or state.engine.tickets:
            raise InvariantBroken("nothing left", f"pending: {state.engine.pending}")
        if not state.broker.is_reconciled:
            raise InvariantBroken("nothing left", f"not reconciled: {state.broker.suspicion}")
        if state.engine.holding.quantity != seat.book.quantity:
            raise InvariantBroken("nothing left", f"ours {state.engine.holding}, the broker's {seat.book.quantity}")
        self._compare_orders()
        self._look_at_alarms()
        self._look_at_heat()

    def _look_at_heat(self) -> None:
        """Compare what the portfolio server knows with the exchange."""
        office, life = self._seat.office, self._seat.life
        if office is None or life is None:
            return
        if life.state.engine.heat.asks:
            raise InvariantBroken("nothing left", f"questions for heat: {sorted(life.state.engine.heat.asks)}")
        stands, most = office.standing(), office.contracts_now
        if stands is None or stands.heat is None or stands.reserved:
            raise InvariantBroken("nothing left", f"the heat of the portfolio: {stands}")
        contracts = int(stands.heat / office.each)
        if not most == contracts:
            raise InvariantBroken("nothing left", f"heat of {contracts} contracts, the broker has {most}")
        if stands.blocked and most == 0:
            raise InvariantBroken("alarms end", f"nothing is open, and yet {stands.blocked}")

    def _ours_open(self) -> list[str]:
        return [order.id for order in self._seat.book.open.values() if order.memo != FOREIGN]

    def _compare_fills(self) -> None:
        """Compare the rows of the fills with what the exchange has filled."""
        seat = self._seat
        rows = standing(seat.rows.fills.values())
        self.fills = len(rows)
        booked = sum(fill.quantity * fill.side.sign for fill in rows)
        journal = [row for row in seat.rows.journal]
        if journal and not seat.is_finished:
            raise InvariantBroken("nothing left", f"{len(journal)} rows are still in the journal")
        if journal:
            return
        if booked != seat.book.quantity:
            raise InvariantBroken(
                "nothing left", f"the books make {booked:+d}, the broker has {seat.book.quantity:+d}"
            )
        strangers = [fill for fill in rows if fill.kind is FillKind.EXTERNAL]
        if strangers and not seat.had_others:
            raise InvariantBroken("nothing left", f"nobody else traded, and yet {strangers[0]}")

    def _compare_orders(self) -> None:
        seat = self._seat
        assert seat.life is not None
        state = seat.life.state
        by_broker = {order.broker_id: order for order in state.engine.orders.values() if order.broker_id}
        for order in seat.venue.exchange.orders(seat.account):
            if order.memo == FOREIGN:
                continue
            ours = by_broker.get(order.id)
            if ours is None and seat.had_wrong_clock:
                continue
            if ours is None:
                raise InvariantBroken("nothing left", f"order {order.id} ({order.client_id}) is not known as ours")
            theirs = (order.filled, not order.status.is_open)
            if (ours.filled, ours.state.is_terminal) != theirs:
                raise InvariantBroken("nothing left", f"order {ours.id} is {ours.state}, the broker's {order.status}")
        for ours in state.engine.open_orders:
            if ours.broker_id not in seat.book.open:
                raise InvariantBroken(
                    "nothing left", f"order {ours.id} is {ours.state}, the broker has no such order"
                )

    def _look_at_alarms(self) -> None:
        seat = self._seat
        assert seat.life is not None
        alarms = set(seat.life.state.engine.alarms)
        allowed = {AlarmName.EXTERNAL_CHANGE.value} if seat.had_others else set()
        if seat.had_wrong_clock:
            allowed.add(AlarmName.ORDER_UNKNOWN.value)
        if seat.had_inert:
            allowed.add(AlarmName.STOP_INERT.value)
        if self._uncovered():
            allowed |= {AlarmName.POSITION_UNCOVERED.value, AlarmName.EXTERNAL_ADOPTED.value}
        if loss_oracle.is_latched(seat):
            allowed.add(AlarmName.LOSS_LIMIT_REACHED.value)
        if any(fill.price is None for fill in seat.rows.fills.values()):
            allowed.add(AlarmName.PROFIT_UNKNOWN.value)
        if any(order.memo == FOREIGN for order in seat.book.open.values()):
            allowed.add(AlarmName.ORDER_UNKNOWN.value)
        if alarms - allowed:
            name = min(alarms - allowed)
            raise InvariantBroken("alarms end", f"{name}: {seat.life.state.engine.alarms[name]}")
