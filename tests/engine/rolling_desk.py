"""The engine's desk with a second contract: a trader's shell for rolls, over an exchange that trades both."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.engine.desk import START, Database, Desk, Faults, candle
from tests.engine.exchange_broker import ACCOUNT, ExchangeBroker
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import BrokerOrder
from tradeproc.domain.fills import standing
from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.units import Contracts, Money, Nanos, Ticks
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.events import StreamKind
from tradeproc.engine.state import Holding
from tradeproc.engine.turn import after_fill
from tradeproc.exchange.exchange import Exchange
from tradeproc.exchange.matching import Rules
from tradeproc.exchange.orders import ExchangeOrder, MarketTrade, OrderUpdate, PositionUpdate, Update

OLD, NEXT = "ESH24", "ESM24"
SPREAD = Decimal("50.00")
PLAN = events.RollPlanned(NEXT, "last trade", "2024-03-15", "2024-03-08", 9, 14, is_open=True)


class TwoContracts(ExchangeBroker):
    """An account that trades the old and the next contract, the next one `SPREAD` higher."""

    def __post_init__(self, fills_by: int) -> None:
        super().__post_init__(fills_by)
        self.exchange = Exchange([OLD, NEXT], {ACCOUNT: Money(Decimal(0))}, Rules(largest_fill=fills_by))
        self.price = self.start

    @property
    def price(self) -> Decimal:
        return self.terms.price(self.exchange.last(OLD) or 0)

    @price.setter
    def price(self, price: Decimal) -> None:
        self.exchange.set_last(OLD, self.terms.ticks(price))
        self.exchange.set_last(NEXT, self.terms.ticks(price + SPREAD))

    def trade_both(self, price: Decimal) -> None:
        """Both contracts trade, the old one at a price and the next one `SPREAD` above it."""
        for code, at in ((OLD, price), (NEXT, price + SPREAD)):
            trade = MarketTrade(code, self.terms.ticks(at), Contracts(1_000_000))
            self._follow(self.exchange.step(trade, self._moment()))

    def held(self, code: str) -> int:
        return sum(each.quantity for each in self.exchange.holdings(ACCOUNT) if each.contract == code)

    def position_in(self, code: str) -> Position:
        found = [each for each in self.exchange.holdings(ACCOUNT) if each.contract == code]
        average = self._points(found[0].average) if found else None
        return Position(ACCOUNT, code, Contracts(self.held(code)), average)

    def _follow(self, updates: tuple[Update, ...] | list[Update]) -> None:
        for update in updates:
            if isinstance(update, PositionUpdate):
                self.largest = max(self.largest, abs(update.holding.quantity))
                average = self._points(update.holding.average)
                self.told.append(Position(ACCOUNT, update.holding.contract, update.holding.quantity, average))
            elif isinstance(update, OrderUpdate) and update.order.id in self._our_ids:
                self.tell(self._picture(update.order))

    def _picture(self, order: ExchangeOrder) -> BrokerOrder:
        return replace(super()._picture(order), contract=order.contract)


class RollDatabase(Database):
    """Rolls beside everything else, and which contract the session has."""

    def __init__(self) -> None:
        super().__init__()
        self.rolls: list[Roll] = []
        self.contract = OLD

    def write_roll(self, roll: Roll) -> None:
        self.rolls.append(roll)
        if roll.step is RollStep.SWITCHED:
            self.contract = roll.next_contract


class Restart(Exception):
    """The trader ended to begin anew."""


class RollingDesk(Desk):
    """One life of a trader in one contract; `next_life` begins the one after it."""

    broker: TwoContracts
    database: RollDatabase

    def __init__(self, strategy: Any = None, *, fence: int = 1, now: int = START, **given: Any) -> None:
        given.setdefault("broker", TwoContracts())
        given.setdefault("database", RollDatabase())
        given.setdefault("contract", given["database"].contract)
        super().__init__(strategy, fence=fence, now=now, **given)
        self.is_spread_known = True
        self.has_ended = False

    @property
    def contract(self) -> str:
        return self.setup.spec.contract

    @property
    def newest(self) -> Roll:
        return self.database.rolls[-1]

    def _perform(self, effect: do.Effect) -> None:
        if self.has_ended:
            return  # nothing of a life is done after its end
        match effect:
            case do.SaveRoll(roll):
                self._live()
                self.database.write_roll(roll)
            case do.SwitchContract(roll):
                self._live()
                if self.database.is_up:
                    self.database.write_roll(roll)
                self.later(events.SwitchAnswered("" if self.database.is_up else "gone"), 0)
            case do.BeginAnew():
                self.has_ended = True
            case do.AskSpread(number, _):
                ticks = (
                    (Ticks(int(SPREAD * 4)), Ticks(int(self.broker.price * 4)))
                    if self.is_spread_known
                    else (None, None)
                )
                self.later(events.SpreadAnswered(number, *ticks, self.state.strategy.market_at, "no bars"))
            case do.AskOldPosition(number, contract):
                self.later(events.OldPositionAnswered(number, Contracts(self.broker.held(contract))))
            case do.AskPosition(number):
                self._live()
                self.later(events.PositionAnswered(number, self._answer(self.broker.position_in(self.contract))))
            case _:
                super()._perform(effect)

    def _live(self) -> None:
        super()._perform(do.ClearAlarm("", self.now))

    def run(self, seconds: float, beat: float = 0.5) -> None:
        if not self.has_ended:
            super().run(seconds, beat)

    def tell(self, event: events.Event) -> tuple[do.Effect, ...]:
        return () if self.has_ended else super().tell(event)

    def start(self, history: int = 3, forgotten: Any = ()) -> "RollingDesk":
        """Start as a trader does, with the roll that is not over; the market trades, and the rule has a plan."""
        known = [each for each in self.database.orders.values() if each.contract == self.contract]
        open_roll = self.newest if self.database.rolls and not self.newest.step.is_over else None
        held = [each for each in standing(self.database.fills.values()) if each.contract == self.contract]
        holding = Holding()
        for fill in held:
            holding = after_fill(holding, fill)
        is_new = not self.database.rolls and not held
        position = Position(ACCOUNT, self.contract, holding.quantity, holding.average)
        claimed = {each.broker_id: each.id for each in self.database.orders.values() if each.broker_id}
        latch = self.database.latch
        self.state.engine.latches.update({latch.scope: latch.state} if latch else {})
        self.tell(events.Started(tuple(known), None if is_new else position, claimed=claimed, roll=open_roll))
        for kind in StreamKind:
            self.tell(events.StreamChanged(kind, is_up=True))
        self.candles = history
        self.tell(events.WarmedUp(tuple(candle(number) for number in range(history))))
        self.tell(PLAN)
        self.tell_price()
        self.run(1)
        return self

    def tell_price(self) -> None:
        """A forming bar tells the price of this life's contract."""
        price = float(self.broker.price + (SPREAD if self.contract == NEXT else 0))
        self.tell(events.CandleReceived(candle(self.candles, price, is_closed=False)))

    def next_life(self, **given: Any) -> "RollingDesk":
        """Return the trader that is started after this one."""
        given.setdefault("faults", Faults())
        desk = RollingDesk(
            self.strategy, fence=self.setup.fence + 1, now=Nanos(self.now + 1), broker=self.broker,
            database=self.database, **given,
        )  # fmt: skip
        desk.broker.told.clear()
        return desk
