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

from tradeproc.domain.broker_orders import BracketRequest, OrderRequest
from tradeproc.domain.orders import OrderRole, OrderType
from tradeproc.domain.session import ExternalPolicy, StopPolicy
from tradeproc.domain.units import SECOND
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import Effect, RaiseAlarm, ReserveHeat
from tradeproc.engine.events import Event, Started
from tradeproc.errors import Fault
from tradeproc.simulation import loss_oracle
from tradeproc.simulation.venue import FOREIGN, AccountBook

if TYPE_CHECKING:
    from tradeproc.simulation.seat import Seat

NAKED_FOR = 60 * SECOND
TRAPPED_FOR = 150 * SECOND
INERT_FOR = 20 * SECOND
_EVIDENT_AFTER, _EVIDENT_TRADES = 6 * SECOND, 3
"""A stop is seen to be passed when so many trades after so long still are: not each trade is told to the trader."""
_TOLD_AFTER = 30 * SECOND
"""How long after a stop has begun to work again the trader may still learn that it did not: questions take 12 s."""
_KNOWN_AFTER = 30 * SECOND
_ANSWERED_AFTER = 20 * SECOND


def ids_of(request: OrderRequest | BracketRequest) -> list[str]:
    """Return the ids of an order, or of a bracket's entry and legs."""
    if isinstance(request, OrderRequest):
        return [request.id]
    return [each.id for each in (request.entry, request.stop_loss, request.profit_target) if each is not None]


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
        self._received_legs: set[str] = set()
        self._entries: set[str] = set()
        self._reopening: dict[str, set[str]] = {}
        self._asked_since: dict[str, int] = {}
        self._bare_since: int | None = None
        self._closing_since: int | None = None
        self._passed_since: int | None = None
        self._passed_trades = self._evident_at = 0
        self.events = self.orders = self.fills = 0

    # --- at once

    def received(self, request: OrderRequest | BracketRequest) -> None:
        """Look at an order that reaches the broker."""
        single = request if isinstance(request, OrderRequest) else request.entry
        if single.id in self._received:
            raise InvariantBroken("never twice", f"order {single.id} reached the broker a second time")
        self._received.add(single.id)
        self._received_legs.update(ids_of(request))
        self.orders += 1
        if single.role is OrderRole.ENTRY:
            self._entries.add(single.id)
        limit = self._seat.spec.limits.max_order
        is_reopening = any(single.id in ours for ours in self._reopening.values())
        if single.role is OrderRole.ENTRY and single.quantity > limit and not is_reopening:
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
        if single.role is OrderRole.ENTRY:
            self._look_at_reopening(order_id, single.quantity)

    def _look_at_reopening(self, order_id: str, quantity: int) -> None:
        """Look at an entry of a roll: all of them together never open more than its exits have closed."""
        life = self._seat.life
        roll = None if life is None else life.state.engine.roll.open
        if roll is None:
            return
        ours = self._reopening.setdefault(roll.id, set())
        orders = self._seat.venue.exchange.orders(self._seat.account)
        opened = sum(order.filled for order in orders if order.client_id in ours)
        ours.add(order_id)
        if opened + quantity > abs(roll.reopen):
            raise InvariantBroken("never twice", f"a roll closed {roll.reopen:+d} and opens {opened} and {quantity}")

    def stepped(self, event: Event, wanted: tuple[Effect, ...]) -> None:
        """Count a step."""
        self.events += 1
        if isinstance(event, Started):
            self._closing_since = None
        for effect in wanted:
            if isinstance(effect, ReserveHeat):
                self._look_at_question(effect.order_id)
        if self._seat.had_inert and self._seat.now < self._seat.inert_until + _TOLD_AFTER:
            return
        for effect in wanted:
            if isinstance(effect, RaiseAlarm) and effect.name == AlarmName.STOP_INERT.value:
                raise InvariantBroken("alarms end", f"no stop is inert, and yet {effect.detail}")

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

    def entries_open(self, book: AccountBook) -> int:
        """Return how many contracts the entries at the exchange can still open."""
        open_now = book.open.values()
        return sum(int(order.remaining) for order in open_now if order.client_id in self._entries)

    def opened_by_legs(self) -> int:
        """Return how many contracts the legs of filled entries would open that only made the position smaller."""
        book, found = self._seat.book, dict[str, int]()
        for order in book.open.values():
            if order.parent is not None and order.side.sign * book.quantity >= 0:
                found[order.parent] = max(found.get(order.parent, 0), order.released - order.filled)
        return sum(found.values())

    def mistaken(self, contract: str) -> int:
        """Return the signed contracts that the books have as fills of orders that never reached the broker.

        An order that is lost on its way looks exactly like one that somebody else places by hand at that time.
        """
        orders = [order for order in self._seat.rows.orders.values() if order.contract == contract]
        return sum(order.filled * order.side.sign for order in orders if order.id not in self._received_legs)

    def changed(self) -> None:
        """Look at the account after something changed in it."""
        office = self._seat.office
        if office is not None and office.contracts_now > office.most:
            raise InvariantBroken(
                "never above", f"{office.contracts_now} contracts, the portfolio's block is at {office.most}"
            )
        books, limit = self._seat.books, self._seat.spec.limits.max_position
        held, foreign = sum(abs(book.quantity) for book in books), sum(book.foreign for book in books)
        if held > limit + foreign:
            raise InvariantBroken("never above", f"{held} contracts are open, max_position is {limit}")
        if not self.uncovered():
            self._bare_since = None
        elif self._bare_since is None:
            self._bare_since = self._seat.now

    def uncovered(self) -> int:
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
        if not self.uncovered():  # what was bare was left behind by a roll, and is looked at in the end
            self._bare_since = None
            return
        state = seat.life.state
        is_told = {AlarmName.POSITION_UNCOVERED.value, AlarmName.CLOSE_STUCK.value} & state.engine.alarms.keys()
        if is_told and (seat.spec.stop_policy is StopPolicy.ALARM or self._is_adopted_bare()):
            return
        lasted = (seat.now - self._bare_since) // SECOND
        raise InvariantBroken(
            "never naked", f"{self.uncovered()} contracts without a stop for {lasted} s, {seat.spec.stop_policy}"
        )

    def _is_adopted_bare(self) -> bool:
        """Tell whether it is for a person to place the stop of contracts that somebody else traded."""
        spec = self._seat.spec
        if spec.external_policy is not ExternalPolicy.ADOPT or spec.stop_policy is StopPolicy.FLATTEN:
            return False
        book = self._seat.book
        has_strangers = any(order.memo == FOREIGN for order in book.open.values())
        return book.has_foreign and (spec.adopt_stop_ticks is None or has_strangers)

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

    def traded(self, price: int) -> None:
        """Look whether the market has traded through a bracket's stop that still works, and since when it has."""
        seat, life = self._seat, self._seat.life
        is_passed = self._is_passed(price)
        if not is_passed or life is None or life.state.engine.closing is not None:
            self._passed_since, self._passed_trades = None, 0
            return
        if self._passed_since is None or not self._is_heard:
            self._passed_since, self._passed_trades = seat.now, 0
        self._passed_trades += seat.now - self._passed_since >= _EVIDENT_AFTER
        if self._passed_trades <= _EVIDENT_TRADES:
            self._evident_at = seat.now

    @property
    def _is_heard(self) -> bool:
        """Tell whether this life of the trader could hear the trades: what was traded before its start is history."""
        return self._passed_since is not None and self._passed_since >= self._seat.began_at

    def _is_passed(self, price: int) -> bool:
        book, needed = self._seat.book, 2 * self._seat.spec.inert_stop_ticks
        return any(
            order.parent is not None
            and order.status.is_working
            and order.stop is not None
            and order.side.sign * book.quantity < 0
            and (price - order.stop) * order.side.sign >= needed
            for order in book.open.values()
        )

    def _look_for_inert(self) -> None:
        """Look for a stop that is passed for long, without a word about it."""
        seat, life = self._seat, self._seat.life
        if (
            self._passed_trades < _EVIDENT_TRADES
            or life is None
            or not self._is_heard
            or not self._is_passed(seat.venue.last_of(seat.contract))
        ):
            return
        lasting = min(seat.now - self._evident_at, seat.now - seat.began_at, seat.weather.fair_for)
        if lasting >= INERT_FOR and AlarmName.STOP_INERT.value not in life.state.engine.alarms:
            raise InvariantBroken("never bribed", f"a stop does nothing for {lasting // SECOND} s")
