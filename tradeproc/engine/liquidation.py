"""Getting a session flat whose trader is gone: what the broker told goes in, the next step comes out.

    cancel   every working order of the session; a leg that waits for its entry goes with it, or 5 s later by itself
    close    one market order for the position that the broker tells, when no order of ours can change it any more
    flat     the broker told no position, no order of ours works, and no order of ours has an unknown fate

The kill switch needs this only where no trader does it (`closing.py`), so nothing is known here but rows and answers.
An order without a broker's id may be at the broker: it is looked for in complete lists for 20 s, and counts as never
arrived after that. A row from the future, because the clock was set back, counts as made at the first look, and a row
that cannot be read as one of an order that left then. Nothing is sent twice. A close that was taken must be seen in a
list, and its fills in the position, before another is sent: the position may lag behind the orders, and a second
close would open one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import Order, OrderState, OrderType, Side
from tradeproc.domain.units import SECOND, Contracts, Nanos, Quantity
from tradeproc.engine.recognition import OPENED_AFTER, OPENED_BEFORE

CANCEL_AGAIN = 5 * SECOND
ARRIVES_WITHIN = 20 * SECOND
STEADY, LAGS, BELIEVED = 1 * SECOND, 5 * SECOND, 15 * SECOND
MOST_CLOSES = 4
_PAUSE = 2 * SECOND


@dataclass(frozen=True, slots=True)
class LiquidationPatience:
    """How long an order may be under way before it counts as never arrived, and a position lag behind fills."""

    arrives: Nanos = Nanos(ARRIVES_WITHIN)
    lags: Nanos = Nanos(LAGS)


USUAL_PATIENCE = LiquidationPatience()


@dataclass(frozen=True, slots=True)
class BrokerTold:
    """What the broker told: the account's orders, and the position in the contract, asked after them.

    Both were asked after the last operation was answered.
    """

    orders: Answer[tuple[ListedOrder, ...]]
    position: Answer[Position]


@dataclass(frozen=True, slots=True)
class CancelThese:
    """Cancel these orders, by the broker's ids."""

    broker_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CloseNow:
    """Send one market order."""

    side: Side
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Nothing can be done now; `reason` says for people what is waited for."""

    reason: str


@dataclass(frozen=True, slots=True)
class NowFlat:
    """The broker told that all is flat."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """More would risk to open a position, or the broker refuses: a person must look; `reason` says why."""

    reason: str


Step = CancelThese | CloseNow | AskAgain | NowFlat | GivenUp


@dataclass(slots=True)
class _Base:
    """A position that was told, at `at`, when this many contracts of our orders were filled (signed)."""

    filled: int
    position: int
    at: Nanos


@dataclass(slots=True)
class Liquidation:
    """What is known of the orders of one session in one contract of an account.

    Args:
        account: at the broker.
        contract: canonical code.
        rows: the session's orders that can still fill, and its newest ended ones; empty when no database tells them.
        is_all_ours: nobody knows which orders are the session's, so that all of the account and contract count.
        patience: for what is under way.
        has_unread_rows: a row could not be read, and its order may be under way.
    """

    account: str
    contract: str
    rows: Mapping[str, Order]
    is_all_ours: bool = False
    patience: LiquidationPatience = USUAL_PATIENCE
    has_unread_rows: bool = False
    _ours: dict[str, Order | None] = field(default_factory=dict)
    _lost: dict[str, Order] = field(default_factory=dict)
    _lost_since: dict[str, Nanos] = field(default_factory=dict)
    _unseen: dict[str, Nanos] = field(default_factory=dict)
    _young: dict[str, Nanos] = field(default_factory=dict)
    _began: Nanos | None = None
    _absent: list[Order] = field(default_factory=list)
    _asked: dict[str, Nanos] = field(default_factory=dict)
    _trouble: dict[str, str] = field(default_factory=dict)
    _base: _Base | None = None
    _odd: tuple[int, Nanos] | None = None
    _closes: int = 0
    _not_before: Nanos = Nanos(0)
    _last_close: str = ""

    def __post_init__(self) -> None:
        """Sort the rows into orders that the broker's ids tell, and those whose fate is unknown."""
        for order in self.rows.values():
            if order.broker_id is not None:
                self._ours[order.broker_id] = order
                if not order.state.is_terminal:
                    self._young[order.broker_id] = order.created_at
            elif not order.state.is_terminal and order.parent is None:
                self._lost[order.id], self._lost_since[order.id] = order, order.created_at

    # --- what was done

    def sent(self, order: Order) -> None:
        """Note a close that is being sent; its fate is unknown until it is answered."""
        self._lost[order.id], self._lost_since[order.id] = order, order.created_at
        self._closes += 1

    def close_answered(self, order: Order, outcome: Outcome, now: Nanos) -> None:
        """Note what the broker, or the link, said of a close."""
        match outcome:
            case Accepted(broker_ids) if order.id in broker_ids:
                del self._lost[order.id]
                self._ours[broker_ids[order.id]] = order
                self._unseen[broker_ids[order.id]] = now
                self._last_close = f"close {order.id} ({broker_ids[order.id]})"
            case Refused(reason) | Unanswered(reason, was_sent=False):
                del self._lost[order.id]
                self._last_close = f"the close was not taken: {reason}"
                self._not_before = Nanos(now + _PAUSE * self._closes)
            case Accepted() | Unanswered():
                # nobody knows its id, or whether it arrived: it is looked for
                self._last_close = f"close {order.id}, whose fate is unknown"

    def cancel_answered(self, broker_id: str, outcome: Outcome) -> None:
        """Note what was said of a cancel; only what the broker lists afterwards counts."""
        if isinstance(outcome, Accepted):
            self._trouble.pop(broker_id, None)
        else:
            self._trouble[broker_id] = outcome.reason

    # --- what is next

    def step(self, told: BrokerTold, now: Nanos) -> Step:
        """Return what to do next; repeated with new answers until flat, given up, or out of time."""
        match told.orders:
            case Unknown(reason):
                return AskAgain(f"the broker does not tell the orders: {reason}")
            case Known(orders):
                listed = orders
        began = self._begin(now)
        pictures = [each for each in listed if isinstance(each, BrokerOrder) and self._is_here(each)]
        self._recognise(pictures, now)
        mine = [each for each in pictures if self.is_ours(each)]
        unread = [
            each
            for each in listed
            # one that the broker does not list is not at work; whether it is too new to be listed is seen below
            if isinstance(each, UnreadableRecord) and each.broker_id in self._ours and not each.is_unlisted
        ]
        position = _quantity(told.position)
        working = [each for each in mine if not each.state.is_terminal]
        if waiting := self._unsettled(unread, began, now):
            # what works is cancelled all the same: nothing of ours may go on filling meanwhile
            return self._cancels(self._to_cancel(working, position), unread, now) or waiting
        if cancels := self._cancels(self._to_cancel(working, position), unread, now):
            return cancels
        if working:
            return AskAgain("; ".join(self._works(each) for each in working))
        return self._about_position(mine, told.position, now)

    def is_ours(self, picture: BrokerOrder) -> bool:
        """Tell whether an order at the broker is one of the session."""
        if not self._is_here(picture):
            return False
        return self.is_all_ours or picture.broker_id in self._ours or (picture.parent or "") in self._ours

    def order_of(self, picture: BrokerOrder) -> Order | None:
        """Return the row of a picture; a leg that has no broker's id yet is the one of its entry that is alike."""
        if (found := self._ours.get(picture.broker_id)) is not None:
            return found
        parent = self._ours.get(picture.parent or "")
        if parent is None:
            return None
        legs = [each for each in self.rows.values() if each.parent == parent.id and each.broker_id is None]
        return next((each for each in legs if (each.side, each.type) == (picture.side, picture.type)), None)

    def take_absent(self) -> list[Order]:
        """Return the orders that were given up as never arrived since the last call."""
        found, self._absent = self._absent, []
        return found

    @property
    def broker_ids(self) -> tuple[str, ...]:
        """Return the broker's ids that a list must hold: of rows that can still fill, and of closes."""
        open_rows = [each for each, order in self._ours.items() if order is not None and not order.state.is_terminal]
        return tuple(dict.fromkeys((*open_rows, *self._unseen)))

    # --- orders

    def _begin(self, now: Nanos) -> Nanos:
        """Return when the first complete list came; what seems to be made after it was made before it."""
        if self._began is None:
            self._began = now
            for since in (self._lost_since, self._young):
                since.update((key, min(at, now)) for key, at in since.items())
        return self._began

    def _is_here(self, picture: BrokerOrder) -> bool:
        return picture.account == self.account and picture.contract == self.contract

    def _recognise(self, pictures: Iterable[BrokerOrder], now: Nanos) -> None:
        """Find the lost orders by their looks, and give up those that complete lists lack for long."""
        for picture in pictures:
            self._unseen.pop(picture.broker_id, None)
            self._young.pop(picture.broker_id, None)
            if picture.broker_id in self._ours or picture.parent is not None:
                continue
            alike = [order for order in self._lost.values() if looks_like(order, picture)]
            if alike:
                order = min(alike, key=lambda each: abs((picture.opened_at or 0) - each.created_at))
                del self._lost[order.id]
                self._ours[picture.broker_id] = order
        for order in list(self._lost.values()):
            if now - self._lost_since[order.id] > self.patience.arrives:
                self._absent.append(self._lost.pop(order.id))

    def _unsettled(self, unread: Iterable[UnreadableRecord], began: Nanos, now: Nanos) -> AskAgain | GivenUp | None:
        """Return why nothing may be closed yet: an order of ours has an unknown fate."""
        for each in unread:
            return AskAgain(f"order {each.broker_id} cannot be read: {each.reason}")
        for order in self._lost.values():
            return AskAgain(f"nobody knows yet whether order {order.id} arrived")
        for since in self._unseen.values():
            if now - since > self.patience.arrives:
                return GivenUp(f"the broker took {self._last_close} and does not list it")
            return AskAgain(f"the broker took {self._last_close} and does not list it yet")
        for broker_id, since in self._young.items():
            if now - since <= self.patience.arrives:
                return AskAgain(f"the broker does not list order {broker_id} yet")
        if self.has_unread_rows and now - began <= self.patience.arrives:
            return AskAgain("a row of an order cannot be read: the order may be under way")
        return None

    def _to_cancel(self, working: list[BrokerOrder], position: int | None) -> list[BrokerOrder]:
        """Return what to cancel: all that works but market exits that together close no more than the position."""
        exits = [each for each in working if each.type is OrderType.MARKET]
        if position is None:
            return [each for each in working if each not in exits]
        total = sum(each.side.sign * (each.quantity - each.filled) for each in exits)
        are_exits = total * position < 0 and abs(total) <= abs(position)
        is_one_side = len({each.side for each in exits}) == 1
        return [each for each in working if not (each in exits and are_exits and is_one_side)]

    def _cancels(
        self, orders: Iterable[BrokerOrder], unread: Iterable[UnreadableRecord], now: Nanos
    ) -> CancelThese | None:
        orders = list(orders)
        entries = {each.broker_id for each in orders}
        wanted = [each.broker_id for each in unread]
        for each in orders:
            if each.has_cancel_pending and each.broker_id in self._asked:
                continue
            parent = each.parent or ""
            is_leg = each.state is OrderState.PENDING and parent in entries
            # a leg that waits goes with its entry
            if not is_leg or now - self._asked.get(parent, now) >= CANCEL_AGAIN:
                wanted.append(each.broker_id)
        due = [each for each in wanted if now - self._asked.get(each, Nanos(0)) >= CANCEL_AGAIN]
        self._asked.update(dict.fromkeys(due, now))
        return CancelThese(tuple(due)) if due else None

    def _works(self, picture: BrokerOrder) -> str:
        trouble = self._trouble.get(picture.broker_id, "")
        return f"order {picture.broker_id} still works" + (f"; its cancel: {trouble}" if trouble else "")

    # --- position

    def _about_position(self, mine: Iterable[BrokerOrder], told: Answer[Position], now: Nanos) -> Step:
        match told:
            case Unknown(reason):
                return AskAgain(f"the broker does not tell the position: {reason}")
            case Known(position):
                held: int = position.quantity
        mine = list(mine)
        if (doubt := self._doubt(mine, held, now)) is not None:
            return doubt
        if held == 0:
            return NowFlat()
        if self._closes >= MOST_CLOSES:
            return GivenUp(f"{self._closes} closes did not make it flat; {self._last_close}")
        if now < self._not_before:
            return AskAgain(self._last_close)
        return CloseNow(Side.SELL if held > 0 else Side.BUY, Contracts(abs(held)))

    def _doubt(self, mine: list[BrokerOrder], held: int, now: Nanos) -> AskAgain | GivenUp | None:
        """Return why a position that was told is not believed yet: it must agree with the fills of our orders."""
        filled = sum(each.side.sign * each.filled for each in mine)
        if self._base is None:
            self._base = _Base(filled, held, now)
        base = self._base
        expected = base.position + filled - base.filled
        if held == expected:
            self._odd = None
            is_new = any(each.filled and now - (each.closed_at or Nanos(0)) < 2 * self.patience.lags for each in mine)
            needed = self.patience.lags if is_new and not self._closes else STEADY
            return AskAgain("the position is asked once more") if now - base.at < needed else None
        if self._odd is None or self._odd[0] != held:
            self._odd = held, now
        doubt = f"the broker tells {held:+d} {self.contract}, its fills of our orders make {expected:+d}"
        if now - self._odd[1] < BELIEVED:
            return AskAgain(doubt)
        if self._closes:
            return GivenUp(f"{doubt}; a close was sent already, so no second one is")
        self._base, self._odd = _Base(filled, held, now), None
        return AskAgain("the position is asked once more")


def looks_like(order: Order, picture: BrokerOrder) -> bool:
    """Tell whether an order at the broker that nobody claims could be this one, by all but the broker's id."""
    if picture.client_id is not None:
        return picture.client_id == order.id
    price = instrument_of(order.contract).price
    terms = (
        order.side,
        order.type,
        order.quantity,
        None if order.limit is None else price(order.limit),
        None if order.stop is None else price(order.stop),
    )
    if terms != (picture.side, picture.type, picture.quantity, picture.limit, picture.stop):
        return False
    opened_at = picture.opened_at
    return opened_at is None or order.created_at - OPENED_BEFORE <= opened_at <= order.created_at + OPENED_AFTER


def _quantity(told: Answer[Position]) -> int | None:
    match told:
        case Known(position):
            return position.quantity
        case Unknown():
            return None
