"""A whole simulated desk: market, broker, database and sessions, from the first event to the last look."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tradeproc.domain.candles import Candle
from tradeproc.domain.units import MINUTE, SECOND, Nanos, Ticks
from tradeproc.engine import events
from tradeproc.engine.events import StreamKind, TradingState
from tradeproc.exchange.orders import ExchangeOrder, Replacement
from tradeproc.simulation import last_look
from tradeproc.simulation.agenda import Agenda
from tradeproc.simulation.heat_office import HeatOffice
from tradeproc.simulation.invariants import InvariantBroken
from tradeproc.simulation.market_walk import MarketWalk
from tradeproc.simulation.scenario import CONTRACT, NEXT, Ending, Scenario
from tradeproc.simulation.seat import Seat, Trace
from tradeproc.simulation.simulated_rows import SimulatedDatabase
from tradeproc.simulation.troubles import BY_OTHERS, Blow, Mishap
from tradeproc.simulation.venue import FOREIGN, SimulatedVenue, Told

START = Nanos(1_704_900_000 * SECOND)
"""2024-01-10 15:20 UTC: a Wednesday, and the exchange is open for hours."""
FIRST_PRICE = Ticks(19_200)
QUIET = 7 * MINUTE
_SETTLED_AFTER = 40 * SECOND
_LOOK = 5 * SECOND

_ARMED = frozenset(
    {
        Mishap.REQUEST_LOST,
        Mishap.REQUEST_LATE,
        Mishap.REQUEST_DOUBLED,
        Mishap.REPLY_LOST,
        Mishap.REPLY_LATE,
        Mishap.QUESTION_LOST,
        Mishap.QUESTION_LATE,
        Mishap.ORDER_DROPPED,
        Mishap.ORDER_DOUBLED,
        Mishap.ORDER_LATE,
        Mishap.ORDER_MISSED,
        Mishap.POSITION_DROPPED,
        Mishap.POSITION_LATE,
        Mishap.CANDLE_LOST,
        Mishap.HEAT_LOST,
        Mishap.HEAT_LATE,
        Mishap.HEAT_DOUBLED,
        Mishap.GRANT_LOST,
        Mishap.GRANT_LATE,
        Mishap.REPORT_LOST,
        Mishap.REPORT_LATE,
    }
)
_KILLED = frozenset({Mishap.TRADER_KILLED, Mishap.LINK_KILLED, Mishap.PORTFOLIO_KILLED})
_STREAMS = {
    Mishap.ORDERS_DOWN: (StreamKind.ORDERS,),
    Mishap.POSITIONS_DOWN: (StreamKind.POSITIONS,),
    Mishap.MARKET_DOWN: (StreamKind.MARKET,),
    Mishap.BROKER_AWAY: tuple(StreamKind),
}


@dataclass(frozen=True, slots=True)
class LivedLife:
    """What became of a life: the invariant that broke (empty when none did) and some counts."""

    seed: int
    invariant: str = ""
    detail: str = ""
    at: int = 0
    events: int = 0
    orders: int = 0
    fills: int = 0
    blows: int = 0


class World:
    """Everything of one scenario."""

    def __init__(self, scenario: Scenario, steps: Sequence[int] = (), trace: Trace | None = None) -> None:
        self.scenario = scenario
        self.agenda = Agenda(START)
        accounts = [f"SIM{number}" for number in range(scenario.sessions)]
        self.ledger = SimulatedDatabase(scenario.sessions, CONTRACT)
        self.venue = SimulatedVenue(
            self.agenda,
            (CONTRACT, NEXT) if scenario.rolls else (CONTRACT,),
            accounts,
            FIRST_PRICE,
            self._hear,
            echoes=scenario.echoes,
            largest_fill=scenario.largest_fill,
        )
        self.seats = [
            Seat(self.agenda, self.venue, self.ledger, scenario, number) for number in range(scenario.sessions)
        ]
        self.office: HeatOffice | None = None
        if scenario.contracts:
            self.office = HeatOffice(self.agenda, self.seats, scenario.contracts, scenario.seed)
        self._by_account = {seat.account: seat for seat in self.seats}
        self.venue.exchange.is_inert = self._is_inert
        chance = random.Random(scenario.seed * 7919 + 3)
        self.market = MarketWalk(self.agenda, self.venue, chance, self._hear_candle, pace=scenario.pace, steps=steps)
        for seat in self.seats:
            seat.market, seat.trace, seat.office = self.market, trace, self.office
            self.agenda.after(0, seat.start)
        for blow in scenario.blows:
            self.agenda.at(blow.at, lambda blow=blow: self.befall(blow))  # type: ignore[misc]
        self.agenda.after(_LOOK, self._look)
        self._away_until = 0

    def run(self) -> LivedLife:
        """Live the whole life."""
        broken = "", ""
        try:
            self.agenda.run_until(self.scenario.length)
            self._clear()
            self._end()
        except InvariantBroken as problem:
            broken = problem.invariant, problem.detail
        watches = [seat.watch for seat in self.seats]
        return LivedLife(
            self.scenario.seed,
            *broken,
            self.agenda.now,
            sum(watch.events for watch in watches),
            sum(watch.orders for watch in watches),
            sum(watch.fills for watch in watches),
            len(self.scenario.blows),
        )

    # --- the end

    def _clear(self) -> None:
        """Let all trouble be over."""
        self._away_until = self.agenda.now
        self.ledger.is_away = self.venue.is_unpriced = False
        self.venue.fill_at_most(None)
        self.agenda.wall_step = 0
        for seat in self.seats:
            seat.weather.clear()
            seat.rows.commits_to_lose = 0
            if seat.life is not None:
                seat.life.effects_left = None
                seat.life.wake()
            for order in [order for book in seat.books for order in book.open.values() if order.memo == FOREIGN]:
                self.venue.cancel(order.id)

    def _end(self) -> None:
        ending = self.scenario.ending
        self._settle(2 * MINUTE, is_flat=False)
        for seat in self.seats:
            if seat.life is not None:
                seat.life.tell(events.ReconcileCommanded("me"))
            if ending is not Ending.GO_ON:
                seat.rest()
            _begin_end(seat, ending)
        if ending is Ending.GO_ON:
            self.agenda.run_until(self.agenda.now + (QUIET if self.scenario.patient else MINUTE))
            for seat in self.seats:
                seat.rest()
                seat.latch(TradingState.HALTED, "me", "the end")
        self._settle(QUIET, is_flat=self._ends_flat)
        for seat in self.seats:
            if (found := last_look.left(seat, is_flat=self._ends_flat)) is not None:
                raise InvariantBroken(*found)

    def _settle(self, quiet: int, *, is_flat: bool) -> None:
        """Let a quiet time pass, or as much of it as it takes until nothing is left to be done."""
        end = self.agenda.now + quiet
        while self.agenda.now < end:
            self.agenda.run_until(min(end, self.agenda.now + _SETTLED_AFTER))
            if not self.scenario.patient and all(last_look.is_settled(seat, is_flat=is_flat) for seat in self.seats):
                return

    @property
    def _ends_flat(self) -> bool:
        return self.scenario.ending in (Ending.FLATTEN, Ending.STOP)

    def _look(self) -> None:
        self.agenda.after(_LOOK, self._look)
        for seat in self.seats:
            seat.look()

    # --- what is heard

    def _is_inert(self, order: ExchangeOrder) -> bool:
        return order.type.has_stop and self._by_account[order.account].weather.stands(Mishap.INERT_STOPS)

    def _hear(self, account: str, told: Told) -> None:
        self._by_account[account].hear(told)

    def _hear_candle(self, candle: Candle) -> None:
        for seat in self.seats:
            seat.hear_candle(candle)

    # --- troubles

    def befall(self, blow: Blow) -> None:
        """Let a trouble happen."""
        seat = self.seats[blow.session]
        seat.had_others = seat.had_others or blow.what in BY_OTHERS
        if blow.what in _ARMED:
            seat.weather.arm(blow)
        elif blow.seconds and blow.what not in _KILLED:
            self._open(blow, seat)
        elif blow.what in (Mishap.HALTED, Mishap.RESUMED, Mishap.FLATTENED, Mishap.RECONCILED, Mishap.ROLLED):
            _command(blow, seat)
        else:
            self._happen(blow, seat)

    def _open(self, blow: Blow, seat: Seat) -> None:
        seat.weather.open(blow)
        for kind in _STREAMS.get(blow.what, ()):
            seat.wires.go_down(kind, blow.seconds)
        match blow.what:
            case Mishap.DATABASE_AWAY:
                self.ledger.is_away = True
                for each in self.seats:
                    each.weather.strike(blow.seconds)
            case Mishap.UNPRICED:
                self.venue.is_unpriced = True
            case Mishap.SMALL_FILLS:
                self.venue.fill_at_most(1)
            case Mishap.INERT_STOPS:
                seat.had_inert = True
                seat.inert_until = self.agenda.now + int(blow.seconds * SECOND)
                self.market.watchers.append(seat.traded)
            case Mishap.CLOCK_STEPPED:
                self.agenda.wall_step = blow.amount * SECOND
            case Mishap.PAUSED if seat.life is not None:
                seat.life.pause(blow.seconds)
            case _:
                pass
        self.agenda.after(int(blow.seconds * SECOND), lambda: self._close(blow.what))

    def _close(self, what: Mishap) -> None:
        if any(seat.weather.stands(what) for seat in self.seats):
            return
        match what:
            case Mishap.DATABASE_AWAY:
                self.ledger.is_away = False
            case Mishap.UNPRICED:
                self.venue.is_unpriced = False
            case Mishap.SMALL_FILLS:
                self.venue.fill_at_most(None)
            case Mishap.CLOCK_STEPPED:
                self.agenda.wall_step = 0
            case _:
                pass

    def _happen(self, blow: Blow, seat: Seat) -> None:
        match blow.what:
            case Mishap.TRADER_KILLED if seat.life is not None:
                seat.life.effects_left = blow.amount
            case Mishap.PORTFOLIO_KILLED if self.office is not None:
                for each in self.seats:
                    each.weather.strike(blow.seconds)
                self.office.kill(blow.seconds)
            case Mishap.LINK_KILLED:
                seat.wires.kill_link(blow.seconds)
            case Mishap.LEASE_LOST if seat.life is not None:
                seat.life.trail.lose_lease()
            case Mishap.COMMIT_LOST:
                seat.rows.commits_to_lose = blow.count
            case Mishap.GAP:
                self.market.gap(blow.amount)
            case Mishap.TRADED_BY_HAND if blow.amount:
                seat.weather.strike()
                self.venue.by_hand(seat.account, seat.contract, blow.amount)
            case Mishap.RESTED_BY_HAND if blow.amount:
                away = Ticks(self.venue.last_of(seat.contract) - 8 * (1 if blow.amount > 0 else -1))
                self.venue.by_hand(seat.account, seat.contract, blow.amount, away)
            case _:
                self._spoil(blow, seat)

    def _spoil(self, blow: Blow, seat: Seat) -> None:
        """Let the broker, or somebody else, end or change an order of ours."""
        ours = [order for order in seat.book.open.values() if order.memo != FOREIGN and order.status.is_working]
        stops = [order for order in ours if order.type.has_stop]
        chosen = (stops if blow.what in (Mishap.STOP_CANCELLED, Mishap.STOP_MOVED) else ours)[:1]
        for order in chosen:
            seat.weather.strike()
            match blow.what:
                case Mishap.LATE_REJECT:
                    self.venue.reject(order.id)
                case Mishap.STOP_CANCELLED:
                    self.venue.cancel(order.id)
                case Mishap.STOP_MOVED if order.stop is not None and blow.amount:
                    self.venue.move(order.id, Replacement(stop=Ticks(order.stop + blow.amount)))
                case _:
                    pass


def _begin_end(seat: Seat, ending: Ending) -> None:
    match ending:
        case Ending.HALT:
            seat.latch(TradingState.HALTED, "me", "the end")
        case Ending.FLATTEN:
            seat.flatten("me")
        case Ending.STOP:
            seat.stop("me")
        case Ending.GO_ON:
            pass


def _command(blow: Blow, seat: Seat) -> None:
    match blow.what:
        case Mishap.HALTED:
            seat.latch(TradingState.HALTED, "me", "to see")
        case Mishap.RESUMED:
            seat.latch(TradingState.ACTIVE, "me", "go on")
        case Mishap.FLATTENED:
            seat.flatten("me")
        case Mishap.ROLLED:
            seat.roll("me")
        case _:
            if seat.life is not None:
                seat.life.tell(events.ReconcileCommanded("me"))
