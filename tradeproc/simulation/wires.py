"""Between a simulated trader and its broker: link, account manager and feeds, with what they lose, delay and double.

A thin copy of what `procs/link`, `procs/account` and `procs/feeds` do: an operation is sent once and answered once,
a question that is lost is unknown, a feed that comes back tells all it knows, and a quiet order stream is asked for.
"""

import random
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import (
    BracketRequest,
    BrokerOrder,
    ListedOrder,
    OrderRequest,
    Outcome,
    Unanswered,
)
from tradeproc.domain.units import SECOND, Ticks
from tradeproc.engine import events
from tradeproc.engine.events import Event, StreamKind
from tradeproc.simulation.agenda import Agenda
from tradeproc.simulation.troubles import Mishap
from tradeproc.simulation.venue import SimulatedVenue, Told
from tradeproc.simulation.weather import Weather

T = TypeVar("T")

_DEADLINE = 12 * SECOND
_SILENCE = 4 * SECOND
_FRAMES = {
    StreamKind.ORDERS: (Mishap.ORDER_DROPPED, Mishap.ORDER_LATE),
    StreamKind.POSITIONS: (Mishap.POSITION_DROPPED, Mishap.POSITION_LATE),
}


class Asker(Protocol):
    """The trader at this end; `is_alive` until it is killed."""

    is_alive: bool

    def tell(self, event: Event) -> None:
        """Take an event."""


class OneAnswer(Generic[T]):
    """One request: it is answered once, by whoever comes first."""

    def __init__(self, done: Callable[[T], None]) -> None:
        self._done: Callable[[T], None] | None = done
        self.is_refused = self.has_arrived = False
        """What was told as not sent never arrives by a copy, and what has arrived is never told as not sent."""

    def answer(self, answer: T) -> None:
        """Answer, unless somebody has."""
        done, self._done = self._done, None
        if done is not None:
            done(answer)


class Wires:
    """The link, the account manager and the feeds of one session."""

    def __init__(
        self,
        agenda: Agenda,
        venue: SimulatedVenue,
        account: str,
        weather: Weather,
        chance: random.Random,
        *,
        slowest: float,
        poll: float,
        received: Callable[[OrderRequest | BracketRequest], None],
    ) -> None:
        self._agenda, self._venue, self._account = agenda, venue, account
        self._weather, self._chance, self._slowest, self._received = weather, chance, slowest, received
        self._poll_every = int(poll * SECOND)
        self.trader: Asker | None = None
        self.contract = venue.contracts[0]
        """The one that the trader of now trades."""
        self.is_changed_late = False
        """Whether the broker has done a change that a life had asked for which was over by then."""
        self._sent_ids: set[str] = set()
        self._link = 0
        self._known: dict[str, BrokerOrder] = {}
        self._working: set[str] = set()
        self._told_at = 0
        self._is_expecting = False
        self._connection = {StreamKind.ORDERS: 0, StreamKind.POSITIONS: 0}
        self._last_at = {StreamKind.ORDERS: 0, StreamKind.POSITIONS: 0}
        self._down_until = dict.fromkeys(StreamKind, 0)
        agenda.after(self._poll_every, self._poll)

    def _latency(self) -> int:
        return int((0.002 + self._chance.random() * self._slowest) * SECOND)

    # --- operations

    def submit(self, request: OrderRequest | BracketRequest, done: Callable[[Outcome], None]) -> None:
        """Send an order once."""
        requests = [request] if isinstance(request, OrderRequest) else [request.entry]

        def place() -> Outcome:
            if any(each.id in self._sent_ids for each in requests):
                return Unanswered("was sent before; an order is never sent twice")
            self._sent_ids.update(each.id for each in requests)
            self._received(request)
            return self._venue.place(self._account, request)

        self._operate(place, done)

    def modify(self, broker_id: str, change: OrderRequest, done: Callable[[Outcome], None]) -> None:
        """Ask for a change."""
        asked_by = self.trader

        def change_it() -> Outcome:
            is_after_death = asked_by is not None and not asked_by.is_alive
            self.is_changed_late = self.is_changed_late or is_after_death
            return self._venue.modify(broker_id, change)

        self._operate(change_it, done)

    def cancel(self, broker_id: str, done: Callable[[Outcome], None]) -> None:
        """Ask for a cancel."""
        self._operate(lambda: self._venue.cancel(broker_id), done)

    def _operate(self, act: Callable[[], Outcome], done: Callable[[Outcome], None]) -> None:
        ask: OneAnswer[Outcome] = OneAnswer(done)
        self._agenda.after(_DEADLINE, lambda: ask.answer(Unanswered("no answer in 12 s")))
        if self._weather.hit(Mishap.REQUEST_LOST) is not None:
            return
        late = self._weather.hit(Mishap.REQUEST_LATE)
        link, trader = self._link, self.trader
        was_asked_by = trader

        def arrive() -> None:
            is_torn = was_asked_by is not None and not was_asked_by.is_alive and self._chance.random() < 0.5
            if (link != self._link and late is None) or is_torn:
                return
            self._arrived(act, ask, link)

        delay = self._latency() + (late or 0)
        self._agenda.after(delay, arrive)
        if self._weather.hit(Mishap.REQUEST_DOUBLED) is not None:
            self._agenda.after(delay + self._latency(), arrive)

    def _arrived(self, act: Callable[[], Outcome], ask: OneAnswer[Outcome], link: int) -> None:
        if ask.is_refused:
            return
        if self._weather.stands(Mishap.BROKER_AWAY):
            if self._chance.random() < 0.5 and not ask.has_arrived:
                ask.answer(Unanswered("connection refused", was_sent=False))
                ask.is_refused = True
            return
        ask.has_arrived = True
        outcome = act()
        self._is_expecting = True
        if self._weather.hit(Mishap.REPLY_LOST) is not None:
            return
        late = self._weather.hit(Mishap.REPLY_LATE)

        def back() -> None:
            if link == self._link:
                ask.answer(outcome)

        self._agenda.after(self._latency() + (late or 0), back)

    # --- questions

    def ask_orders(self, done: Callable[[Answer[tuple[ListedOrder, ...]]], None]) -> None:
        """Ask for all orders."""
        self._ask(self._list, done)

    def ask_position(self, done: Callable[[Answer[Position]], None]) -> None:
        """Ask for the position."""

        def read() -> Answer[Position]:
            age = self._weather.amount(Mishap.POSITION_OLD) * SECOND // 1000
            return Known(self._venue.position(self._account, contract, age))

        contract = self.contract
        self._ask(read, done)

    def ask_old_position(self, contract: str, done: Callable[[Answer[Position]], None]) -> None:
        """Ask for the position in another contract."""
        self._ask(lambda: Known(self._venue.position(self._account, contract)), done)

    def ask_spread(self, contract: str, done: Callable[[Answer[tuple[Ticks, Ticks]]], None]) -> None:
        """Ask how far another contract is from the trader's, and for the price of that one."""

        def read() -> Answer[tuple[Ticks, Ticks]]:
            if self._weather.stands(Mishap.MARKET_DOWN):
                return Unknown("no bars")
            ours = self._venue.last_of(here)
            return Known((Ticks(self._venue.last_of(contract) - ours), ours))

        here = self.contract
        self._ask(read, done)

    def _list(self) -> Answer[tuple[ListedOrder, ...]]:
        if self._weather.stands(Mishap.LIST_CUT):
            return Unknown("the list may be cut")
        age = self._weather.amount(Mishap.LIST_OLD) * SECOND // 1000
        return Known(self._venue.orders(self._account, age))

    def _ask(self, read: Callable[[], Answer[T]], done: Callable[[Answer[T]], None]) -> None:
        ask: OneAnswer[Answer[T]] = OneAnswer(done)
        self._agenda.after(_DEADLINE, lambda: ask.answer(Unknown("no answer in 12 s")))
        if self._weather.hit(Mishap.QUESTION_LOST) is not None:
            return
        link = self._link

        def arrive() -> None:
            if link != self._link:
                return
            answer: Answer[T] = Unknown("503") if self._weather.stands(Mishap.BROKER_AWAY) else read()
            late = self._weather.hit(Mishap.QUESTION_LATE)
            self._agenda.after(self._latency() + (late or 0), lambda: ask.answer(answer))

        self._agenda.after(self._latency(), arrive)

    # --- streams

    def hear(self, told: Told) -> None:
        """Take what the broker's stream would tell, and pass it on."""
        kind = StreamKind.ORDERS if isinstance(told, BrokerOrder) else StreamKind.POSITIONS
        if not self._is_up(kind):
            return
        dropped, late = _FRAMES[kind]
        if self._weather.hit(dropped) is not None:
            return
        if kind is StreamKind.ORDERS and self._weather.hit(Mishap.ORDER_MISSED) is not None:
            self._agenda.after(SECOND, lambda: self._resync(kind))
            return
        self._carry(kind, told, self._weather.hit(late))
        if kind is StreamKind.ORDERS and self._weather.hit(Mishap.ORDER_DOUBLED) is not None:
            self._carry(kind, told, None)

    def _carry(self, kind: StreamKind, told: Told, late: int | None) -> None:
        connection = self._connection[kind]
        at = self._agenda.now + self._latency()
        if late is None:
            at = self._last_at[kind] = max(self._last_at[kind], at)
        else:
            at += late

        def deliver() -> None:
            if self._connection[kind] == connection:
                self._tell(told)

        self._agenda.at(at, deliver)

    def _tell(self, told: Told) -> None:
        if isinstance(told, BrokerOrder):
            self._note(told)
            self._told_at, self._is_expecting = self._agenda.now, False
            self._pass_on(events.OrderUpdated(told))
        else:
            self._pass_on(events.PositionUpdated(told))

    def _note(self, picture: BrokerOrder) -> None:
        self._known[picture.broker_id] = picture
        if picture.state.is_terminal:
            self._working.discard(picture.broker_id)
        else:
            self._working.add(picture.broker_id)

    def _pass_on(self, event: Event) -> None:
        if self.trader is not None:
            self.trader.tell(event)

    def _is_up(self, kind: StreamKind) -> bool:
        return self._down_until[kind] <= self._agenda.now

    def go_down(self, kind: StreamKind, seconds: float) -> None:
        """Cut a stream for some seconds; the trader hears of it at once or after a silence."""
        until = self._agenda.now + int(seconds * SECOND)
        self._down_until[kind] = max(self._down_until[kind], until)
        if kind in self._connection:
            self._connection[kind] += 1
        heard_after = self._latency() if self._chance.random() < 0.5 else _SILENCE

        def heard() -> None:
            if not self._is_up(kind):
                self._pass_on(events.StreamChanged(kind, is_up=False, reason="cut"))

        self._agenda.after(heard_after, heard)
        self._agenda.at(until + self._latency(), lambda: self.come_up(kind))

    def come_up(self, kind: StreamKind) -> None:
        """Tell all that a stream knows when it is up, and that it is."""
        if not self._is_up(kind):
            return
        if kind is StreamKind.MARKET:
            self._pass_on(events.StreamChanged(kind, is_up=True))
            return
        self._resync(kind)
        self._pass_on(events.StreamChanged(kind, is_up=True))

    def _resync(self, kind: StreamKind) -> None:
        if not self._is_up(kind):
            return
        if kind is StreamKind.ORDERS:
            self._known.clear()
            self._working.clear()
            for picture in self._venue.orders(self._account):
                self._tell(picture)
        else:
            for contract in self._venue.contracts:
                self._tell(self._venue.position(self._account, contract))
        self._pass_on(events.StreamChanged(kind, is_up=True, has_gap=True))

    def kill_link(self, seconds: float) -> None:
        """Kill the link: what is under way gets no answer, and the next one remembers nothing."""
        self._link += 1
        self._sent_ids.clear()
        self._weather.strike(seconds)

    def forget(self) -> None:
        """Kill the account manager, with the trader."""
        self._known.clear()
        self._working.clear()
        self._is_expecting = False

    # --- the account manager's own questions

    def _poll(self) -> None:
        """Ask for the orders while the stream is quiet and something works, and pass on what is news."""
        self._agenda.after(self._poll_every, self._poll)
        is_quiet = self._agenda.now - self._told_at >= self._poll_every
        if not is_quiet or self.trader is None:
            return
        if not (self._working or self._is_expecting or not self._is_up(StreamKind.ORDERS)):
            return
        if self._weather.stands(Mishap.BROKER_AWAY):
            return
        match self._list():
            case Known(pictures):
                self._is_expecting = False
                for picture in pictures:
                    if isinstance(picture, BrokerOrder) and self._known.get(picture.broker_id) != picture:
                        self._note(picture)
                        self._pass_on(events.OrderUpdated(picture))
            case Unknown():
                pass
