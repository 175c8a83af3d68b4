"""The place of one simulated session: its rows, its account, and one life of its trader after the other."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tradeproc.domain.broker_orders import BracketRequest, OrderRequest
from tradeproc.domain.candles import Candle
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.engine import events, strategy
from tradeproc.engine.effects import Effect, KeepLatch, ReserveHeat
from tradeproc.engine.events import Event, StreamKind, TradingState
from tradeproc.engine.latched_by import LIMIT
from tradeproc.engine.loss_watch import KnownLosses
from tradeproc.engine.remembered import KnownRows, known_losses, remembered
from tradeproc.engine.state import Setup, new_state
from tradeproc.protocol import scopes
from tradeproc.protocol.heat_messages import PortfoliosHeat
from tradeproc.simulation.agenda import Agenda
from tradeproc.simulation.erratic import Erratic
from tradeproc.simulation.heat_office import HeatLine, HeatOffice
from tradeproc.simulation.invariants import InvariantBroken, Invariants, ids_of
from tradeproc.simulation.market_walk import MarketWalk, shifted
from tradeproc.simulation.simulated_rows import RowsAway, SimulatedDatabase, open_rows
from tradeproc.simulation.trader_life import TraderLife
from tradeproc.simulation.trail import Trail
from tradeproc.simulation.troubles import Mishap
from tradeproc.simulation.venue import AccountBook, SimulatedVenue, Told
from tradeproc.simulation.weather import Weather
from tradeproc.simulation.wires import Wires

if TYPE_CHECKING:
    from tradeproc.simulation.scenario import Scenario

Trace = Callable[[int, Event, tuple[Effect, ...]], None]

_TRY_AGAIN = SECOND // 2
_KEPT = 500
_CLOCKS = 10 * SECOND


class Seat:
    """One session, for as long as the simulation lasts."""

    def __init__(
        self, agenda: Agenda, venue: SimulatedVenue, ledger: SimulatedDatabase, scenario: "Scenario", number: int
    ) -> None:
        self._agenda, self.venue, self._ledger = agenda, venue, ledger
        self.number, self.spec = number, scenario.spec(number)
        self.account, self._beat = self.spec.account, int(scenario.beat * SECOND)
        self.rows = ledger.sessions[number]
        self.books = [venue.books[self.account, contract] for contract in venue.contracts]
        self._chance = random.Random(scenario.seed * 1009 + number * 31 + 7)
        self._strategy = Erratic(scenario.seed + number, self.spec.limits.max_order + 1)
        self.weather = Weather(agenda)
        self.watch = Invariants(self)
        self.wires = Wires(
            agenda,
            venue,
            self.account,
            self.weather,
            self._chance,
            slowest=scenario.slowest,
            poll=scenario.poll,
            received=self.watch.received,
        )
        self.market: MarketWalk | None = None
        self.life: TraderLife | None = None
        self.office: HeatOffice | None = None
        self._line: HeatLine | None = None
        self.began_at = 0
        self.is_finished = self.had_others = self.had_inert = self.had_resume = False
        self.inert_until = 0
        self.sent_by_wrong_clock: set[str] = set()
        self._has_wrong_clock = False
        self._wants_flat = self._wants_stop = ""
        self.trace: Trace | None = None

    @property
    def contract(self) -> str:
        """Return the contract that the session trades, as the database has it."""
        return self.rows.contract

    @property
    def book(self) -> AccountBook:
        """Return what the broker knows of the account in the session's contract."""
        return self.venue.books[self.account, self.rows.contract]

    @property
    def now(self) -> int:
        """Return the monotonic moment."""
        return self._agenda.now

    # --- life and death

    def start(self) -> None:
        """Begin a life, as soon as the database answers: the one path of recovery."""
        if self.is_finished or self.life is not None:
            return
        try:
            fence = self._ledger.take_lease(self.number)
            self._ledger.replay(self.number, self._agenda.wall)
            latches = self._ledger.latches(self.number)
        except RowsAway:
            self._agenda.after(_TRY_AGAIN, self.start)
            return
        self._has_wrong_clock = abs(self._agenda.wall_step) > _CLOCKS
        spec = replace(self.spec, contract=self.contract)
        setup = Setup(self.number + 1, fence, "sim", spec, self._strategy, None)
        state = new_state(setup, {latch.scope: latch.state for latch in latches})
        trail = Trail(self._agenda, self._ledger, self.number, fence)
        life = self.life = TraderLife(self._agenda, state, trail, self.wires, self, self._ended, beat=self._beat)
        self.began_at = self._agenda.now
        self.wires.trader, self.wires.contract = life, self.contract
        known = remembered(setup.session, spec, self._known(latches), (strategy.BY,))
        life.begin(replace(known, losses=self._losses()))
        if self.office is not None:
            self._line = HeatLine(self._agenda, self.office, self, life)
            self._line.begin()
        self._connect(life)

    def limit_latch(self, scope: str, by: str) -> tuple[Nanos, str]:
        """Return when the newest latch of `by` was lifted, and why one of its stands."""
        return self._ledger.limit_latch(self.number, scope, by)

    def _losses(self) -> KnownLosses:
        rearmed_at, latched = self.limit_latch(scopes.of_session(self.number + 1), LIMIT)
        fills = list(self.rows.fills.values())
        return known_losses(fills, self.rows.marks, None, rearmed_at=rearmed_at, latched=latched)

    def _known(self, latches: list[KeepLatch]) -> KnownRows:
        orders = list(self.rows.orders.values())
        return KnownRows(
            orders=orders[-_KEPT:],
            open_orders=open_rows(orders),
            fills=list(self.rows.fills.values()),
            saved_at=self.rows.saved_at.get(self.contract),
            rolls=list(self.rows.rolls.values()),
            claimed={order.broker_id: order.id for order in orders if order.broker_id is not None},
            latches=latches,
        )

    def _connect(self, life: TraderLife) -> None:
        def streams() -> None:
            if life.is_alive:
                for kind in (StreamKind.ORDERS, StreamKind.POSITIONS):
                    self.wires.come_up(kind)

        def bars() -> None:
            if life.is_alive and self.market is not None:
                self.wires.come_up(StreamKind.MARKET)
                history = tuple(map(self._in_contract, self.market.closed[-60:]))
                for candle in history:
                    life.tell(events.CandleReceived(candle, is_history=True))
                life.tell(events.WarmedUp(history))
                life.tell(self._roll_plan())

        self._agenda.after(int(self._chance.uniform(0.05, 1.5) * SECOND), streams)
        self._agenda.after(int(self._chance.uniform(0.05, 2.5) * SECOND), bars)
        if self._wants_flat:
            self._agenda.after(2 * SECOND, self._flatten_again)
        if self._wants_stop:
            self._agenda.after(2 * SECOND, self._stop_again)

    def kill(self, seconds: float) -> None:
        """Kill the trader, and its account manager with it; the next one starts some seconds later."""
        if self.life is not None:
            self.life.kill()
            self._ended(False, seconds)

    def _ended(self, is_finished: bool, seconds: float = 1.0) -> None:
        self.life = self.wires.trader = self._line = None
        self.is_finished = is_finished
        self.wires.forget()
        if not is_finished:
            self.weather.strike(seconds)
            self._agenda.after(int(seconds * SECOND), self.start)

    # --- what is heard

    def hear(self, told: Told) -> None:
        """Take what the broker tells of the account."""
        self.watch.changed()
        self.wires.hear(told)

    def hear_candle(self, candle: Candle) -> None:
        """Take a bar."""
        if self.weather.stands(Mishap.MARKET_DOWN) or self.weather.stands(Mishap.BROKER_AWAY):
            return
        if self.weather.hit(Mishap.CANDLE_LOST) is None and self.life is not None:
            self.life.tell(events.CandleReceived(self._in_contract(candle)))

    def _in_contract(self, candle: Candle) -> Candle:
        """Return a bar of the first contract as one of the session's."""
        offset = self.venue.offset(self.contract)
        return shifted(candle, offset * float(self.venue.instrument.tick_size)) if offset else candle

    def traded(self, price: int) -> None:
        """See the price of each trade in the first contract."""
        self.watch.traded(price + self.venue.offset(self.contract))

    # --- its roll

    @property
    def next_contract(self) -> str:
        """Return into what the session can roll, empty when it is in the last contract."""
        later = self.venue.contracts[self.venue.contracts.index(self.contract) + 1 :]
        return later[0] if later else ""

    def _roll_plan(self) -> events.RollPlanned:
        days = 90  # nothing is due: a person asks for the roll
        return events.RollPlanned(
            self.next_contract, "last trade", "2024-06-01", "2024-05-20", days, days, is_open=True
        )

    def roll(self, by: str) -> None:
        """Ask for a roll, as a person does."""
        if self.life is not None and self.next_contract:
            self.life.tell(events.RollCommanded(by))

    # --- its portfolio

    @property
    def is_database_away(self) -> bool:
        """Tell whether the database does not answer."""
        return self._ledger.is_away

    @property
    def may_have_heat(self) -> bool:
        """Tell whether the session should run, or left something behind as the database knows it."""
        saved = self.rows.saved
        has_position = saved is not None and saved.quantity != 0
        return not self.is_finished or has_position or bool(open_rows(list(self.rows.orders.values())))

    def reserve(self, life: TraderLife, asked: ReserveHeat) -> None:
        """Carry a question for heat to the portfolio server."""
        if self.office is not None:
            self.office.reserve(self, life, asked)

    def hear_portfolio(self, told: PortfoliosHeat) -> None:
        """Take how the portfolio stands."""
        if self._line is not None:
            self._line.hear(told)

    # --- an observer of each life

    def stepped(self, event: Event, now: Nanos, wanted: tuple[Effect, ...]) -> None:
        """See an event and its effects."""
        self.watch.stepped(event, wanted)
        if self.trace is not None:
            self.trace(self.number, event, wanted)

    def sending(self, order_id: str, request: OrderRequest | BracketRequest) -> None:
        """See an order on its way.

        One whose life began with a wrong clock, and whose reply is lost, cannot be found by when it was opened.
        """
        self.watch.sending(order_id, request)
        if self._has_wrong_clock:
            self.sent_by_wrong_clock.update(ids_of(request))

    def crashed(self, event: Event, error: Exception) -> None:
        """See that the engine raised."""
        raise InvariantBroken("never raises", f"{type(event).__name__}: {type(error).__name__}: {error}") from error

    # --- people

    def latch(self, state: TradingState, by: str, reason: str) -> None:
        """Store a person's latch, and tell the trader."""
        latch = KeepLatch(scopes.of_session(self.number + 1), state, by, reason, self._agenda.wall)
        self._ledger.keep_latch(self.number, latch)
        if state is TradingState.ACTIVE:
            self._wants_flat, self.had_resume = "", True
        if self.life is not None:
            self.life.latch(latch)

    def flatten(self, by: str) -> None:
        """Have the position closed, and go on asking for it until it is."""
        self.latch(TradingState.HALTED, by, "flatten")
        self._wants_flat = by
        self._flatten_again()

    def _flatten_again(self) -> None:
        if self._wants_flat and self.life is not None:
            self.life.tell(events.FlattenCommanded(self._wants_flat))

    def stop(self, by: str) -> None:
        """Have the session stopped when it is flat; the keeper goes on telling each life."""
        self._wants_stop = by
        self._stop_again()

    def _stop_again(self) -> None:
        if self.life is not None:
            self.life.tell(events.StopCommanded(self._wants_stop, flatten=True))

    def rest(self) -> None:
        """Let the strategy decide nothing any more."""
        self._strategy.is_resting = True

    def look(self) -> None:
        """Look at what lasts."""
        self.watch.look()
        if self.life is not None and self._wants_flat:
            engine = self.life.state.engine
            if engine.closing is None and (engine.holding.quantity or engine.open_orders):
                self._flatten_again()
