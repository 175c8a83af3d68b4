"""The simulated portfolio server, and the way to it: the real ledger, restarts, and messages lost, late and doubled.

Heat is made to hang on the number of contracts, not on prices: the slippage is many times what a price moves in a
life, and a contract without a stop counts the same. So how many contracts the portfolio may have is known exactly.
"""

import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from tradeproc.domain.portfolio import PortfolioSpec
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.engine import events, heat_report
from tradeproc.engine.effects import ReserveHeat
from tradeproc.engine.events import Event
from tradeproc.procs.portfolio.ledger import standing, step
from tradeproc.procs.portfolio.ledger_values import (
    ClockTicked,
    Grant,
    HeatAsked,
    HeatReported,
    KnownPortfolio,
    Ledger,
    LedgerEvent,
    LimitReached,
    Membership,
    PortfoliosRead,
    Refuse,
    StandingChanged,
)
from tradeproc.protocol.heat_messages import HeatQuestion, HeatReport, PortfolioHeat, PortfoliosHeat
from tradeproc.simulation.agenda import Agenda
from tradeproc.simulation.trader_life import TraderLife
from tradeproc.simulation.troubles import Mishap
from tradeproc.simulation.wires import OneAnswer

if TYPE_CHECKING:
    from tradeproc.simulation.seat import Seat

NAME = "main"
_SLIPPAGE = 1000
_TICK_VALUE = Decimal("12.5")
_EACH = _SLIPPAGE * _TICK_VALUE
"""The least that a contract counts, in money: what a stop's distance adds is a small part of it."""
_EQUITY = 10_000_000
_REVISION = 1
_LATENCY = SECOND // 50
_REPORT_EVERY = 2 * SECOND
_LOOK_EVERY = SECOND
_READ_EVERY = 2 * SECOND
_AHEAD = SECOND // 2


def portfolio_of(contracts: int, sessions: Sequence[str]) -> PortfolioSpec:
    """Return a portfolio whose block lets so many contracts in, and not one more."""
    block = float(_EACH * contracts + _EACH / 2) / _EQUITY * 100
    return PortfolioSpec(
        NAME, block / 2, block, int(_EACH), equity=_EQUITY, slippage_ticks=_SLIPPAGE, sessions=tuple(sessions)
    )


class HeatOffice:
    """One life of the server after the other, and the messages to and from it."""

    def __init__(self, agenda: Agenda, seats: Sequence["Seat"], contracts: int, seed: int) -> None:
        self._agenda, self.seats, self.contracts = agenda, seats, contracts
        self._chance = random.Random(seed * 6007 + 11)
        self.spec = portfolio_of(contracts, [seat.spec.name for seat in seats])
        self.ledger: Ledger | None = None
        self.began_at = self._lives = self._keys = 0
        self.granted = self.refused = 0
        self._owed: dict[int, Callable[[Event], None]] = {}
        self.start()
        agenda.after(_LOOK_EVERY, self._look)
        agenda.after(_READ_EVERY, self._read)

    # --- life and death

    def start(self) -> None:
        """Begin a life that knows nothing of the one before."""
        self._lives += 1
        self.ledger, self.began_at = Ledger(f"life {self._lives}"), self._agenda.now
        self._tell_portfolios()
        self._publish()

    def kill(self, seconds: float) -> None:
        """Kill the server: whoever waits for an answer gets none; the next life starts some seconds later."""
        if self.ledger is not None:
            self.ledger = None
            self._owed.clear()
            self._agenda.after(int(seconds * SECOND), self.start)

    def _look(self) -> None:
        self._agenda.after(_LOOK_EVERY, self._look)
        self._tell(ClockTicked())

    def _read(self) -> None:
        self._agenda.after(_READ_EVERY, self._read)
        self._tell_portfolios()
        self._publish()

    def _tell_portfolios(self) -> None:
        if self.seats[0].is_database_away:
            return
        members = {seat.number + 1: Membership("equity_index", seat.may_have_heat) for seat in self.seats}
        self._tell(PortfoliosRead((KnownPortfolio(self.spec, _REVISION, members),)))

    # --- questions and answers

    def reserve(self, seat: "Seat", life: TraderLife, asked: ReserveHeat) -> None:
        """Carry a trader's question to the server, and the answer back, as the bus does: once, or never."""
        question = HeatQuestion(
            session=seat.number + 1,
            fence=life.trail.fence,
            life=asked.life,
            number=asked.number,
            portfolio=asked.portfolio,
            order_id=asked.order_id,
            heat=asked.heat,
            currency=asked.currency,
            product="ES",
            contracts=asked.contracts,
            notional=asked.notional,
            is_change=asked.is_change,
        )
        answer = OneAnswer[Event](life.tell)
        wait = max(SECOND // 10, asked.until - life.clock.now())
        silence = events.HeatUnanswered(asked.order_id, asked.number, "no answer")
        self._agenda.after(wait, lambda: answer.answer(silence))
        if seat.weather.hit(Mishap.HEAT_LOST) is not None:
            return
        arrive = partial(self._asked, seat, question, wait, answer.answer)
        delay = self._latency() + (seat.weather.hit(Mishap.HEAT_LATE) or 0)
        self._agenda.after(delay, arrive)
        if seat.weather.hit(Mishap.HEAT_DOUBLED) is not None:
            self._agenda.after(delay + self._latency(), arrive)

    def _asked(self, seat: "Seat", question: HeatQuestion, wait: int, done: Callable[[Event], None]) -> None:
        if self.ledger is None:
            return

        def back(event: Event) -> None:
            if seat.weather.hit(Mishap.GRANT_LOST) is None:
                late = seat.weather.hit(Mishap.GRANT_LATE) or 0
                self._agenda.after(self._latency() + late, lambda: done(event))

        self._keys += 1
        self._owed[self._keys] = back
        until = Nanos(self._agenda.now + max(0, wait - _AHEAD))
        self._tell(HeatAsked(self._keys, question, until))

    def _tell(self, event: LedgerEvent) -> None:
        if self.ledger is None:
            return
        is_changed = False
        for effect in step(self.ledger, event, Nanos(self._agenda.now)):
            match effect:
                case Grant(key, question):
                    self.granted += 1
                    self._owed.pop(key)(events.HeatGranted(question.order_id, question.life, question.number))
                case Refuse(key, question, reason):
                    self.refused += 1
                    self.seats[question.session - 1].watch.heat_refused(reason)
                    self._owed.pop(key)(events.HeatRefused(question.order_id, question.number, reason))
                case StandingChanged() | LimitReached():
                    is_changed = True
        if is_changed:
            self._publish()

    def _publish(self) -> None:
        """Tell all traders how the portfolio stands."""
        ledger = self.ledger
        if ledger is None:
            return
        known, now = ledger.portfolios, Nanos(self._agenda.now)
        told = tuple(standing(ledger, each, now) for each in (known or {}).values())
        body = PortfoliosHeat(ledger.life, told, is_known=known is not None)
        for seat in self.seats:
            if seat.weather.hit(Mishap.REPORT_LOST) is None:
                self._agenda.after(self._latency(), partial(seat.hear_portfolio, body))

    # --- reports

    def report(self, seat: "Seat", report: HeatReport) -> None:
        """Carry a report to the server."""
        if seat.weather.hit(Mishap.REPORT_LOST) is not None:
            return
        late = seat.weather.hit(Mishap.REPORT_LATE) or 0
        self._agenda.after(self._latency() + late, lambda: self._tell(HeatReported(report)))

    def _latency(self) -> int:
        return int(_LATENCY * self._chance.random()) + 1

    # --- what must hold

    each = _EACH

    def standing(self) -> PortfolioHeat | None:
        """Return how the portfolio stands, None while nobody serves it."""
        if self.ledger is None or not self.ledger.portfolios:
            return None
        return standing(self.ledger, self.ledger.portfolios[NAME], Nanos(self._agenda.now))

    @property
    def most(self) -> int:
        """Return how many contracts the portfolio may have, with those that others have traded by hand."""
        return self.contracts + sum(book.foreign for seat in self.seats for book in seat.books)

    @property
    def contracts_now(self) -> int:
        """Return how many contracts are open or may be opened by entries that work at the broker."""
        return sum(abs(book.quantity) + seat.watch.entries_open(book) for seat in self.seats for book in seat.books)

    @property
    def contracts_seen(self) -> int:
        """Return how many of them are in the contracts that the sessions trade, with what legs may open there."""
        return sum(
            abs(seat.book.quantity) + seat.watch.entries_open(seat.book) + seat.watch.opened_by_legs()
            for seat in self.seats
        )


class HeatLine:
    """One trader's reports and what it hears: `procs/trader/heat_reporter.py` in short."""

    def __init__(self, agenda: Agenda, office: HeatOffice, seat: "Seat", life: TraderLife) -> None:
        self._agenda, self._office, self._seat, self._life = agenda, office, seat, life
        self._sequence = 0
        self._heard: events.PortfolioHeard | None = None

    def begin(self) -> None:
        """Tell the trader where it belongs, and report from now on."""
        self._life.tell(events.HeatTermsRead(self._office.spec.terms("ES", _REVISION)))
        self._report_on()

    def _report_on(self) -> None:
        if self._life.is_alive:
            self._agenda.after(_REPORT_EVERY, self._report_on)
            if not self._life.is_paused:
                self.report()

    def report(self) -> None:
        """Tell the heat."""
        now = self._life.moment()
        if now is None:
            return
        report = heat_report.report_of(self._life.state, self._life.trail.fence, self._sequence + 1, now)
        if report is not None:
            self._sequence += 1
            self._office.report(self._seat, report)

    def hear(self, told: PortfoliosHeat) -> None:
        """Take how the portfolio stands."""
        heard = heat_report.heard_of(self._life.state, told)
        if heard == self._heard:
            return
        is_new_life = self._heard is None or self._heard.life != heard.life
        self._heard = heard
        self._life.tell(heard)
        if is_new_life:
            self.report()
