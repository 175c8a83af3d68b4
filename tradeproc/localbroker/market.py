"""The market that the server talks to: tape, pace, exchange, books and journal together.

Every call first plays the ticks that are due. What it changed is in the journal before it returns.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from tradeproc import clock
from tradeproc.domain.candles import Tick
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.orders import OrderType, Side
from tradeproc.domain.units import Contracts, Money, Nanos
from tradeproc.errors import Refusal
from tradeproc.exchange.checks import flattened
from tradeproc.exchange.exchange import Exchange, Known
from tradeproc.exchange.matching import Rules
from tradeproc.exchange.orders import (
    Changed,
    Clock,
    Declined,
    ExchangePosition,
    GroupKind,
    Moment,
    Placed,
    Replacement,
    Ticket,
    TicketGroup,
    Update,
)
from tradeproc.localbroker import books
from tradeproc.localbroker.books import Books, Record, RecordedRequest
from tradeproc.localbroker.journal import BrokenJournal, BrokerJournal
from tradeproc.localbroker.pace import FASTEST, LATEST, Pace
from tradeproc.localbroker.tape import Tape
from tradeproc.localbroker.up_down_bars import LiveBars, MarketBar

T = TypeVar("T")
A = TypeVar("A", bound=Placed | Changed | Declined)

CLOCK_EVERY = clock.SECOND
# ticks that are played in one turn of the event loop; clients are answered between two turns, and market time waits
# when a market is too fast for this machine
MOST_TICKS = 20_000
_REWOUND = "rewound"
# what reading records that somebody else wrote can raise
_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


class NotFlat(Refusal):
    """The tape cannot begin again, because open orders and positions would meet prices of another time."""

    def __init__(self, orders: int, positions: int) -> None:
        super().__init__(
            f"{orders} open orders and {positions} open positions at the local broker; close them first, or rewind "
            "with --close"
        )


@dataclass(frozen=True, slots=True)
class MarketSettings:
    """How a market is opened; `accounts` are ids with their starting cash, `speed` market seconds per wall second.

    `history_minutes` of the tape are past at the start.
    """

    accounts: Mapping[str, Money]
    speed: float = 1.0
    history_minutes: float = 0.0
    rules: Rules = field(default_factory=Rules)
    fsync: bool = False


class Market:
    """A running market. `wall` and `monotonic` read the clock; tests pass their own."""

    def __init__(
        self,
        tape: Tape,
        settings: MarketSettings,
        *,
        journal: Path | None = None,
        wall: Callable[[], Nanos] = clock.wall_ns,
        monotonic: Callable[[], int] = clock.monotonic_ns,
    ) -> None:
        """Open the market; if the journal has records, continue where it ended, at its market time.

        Raises:
            BrokenJournal: the journal is damaged, or belongs to another tape.
        """
        self.tape, self.settings = tape, settings
        self.books = Books()
        self.exchange = Exchange(tape.contracts, settings.accounts, settings.rules)
        self._wall, self._monotonic = wall, monotonic
        # what is left of a group of orders when it is taken: a fault may lose legs
        self.lessen: Callable[[str, TicketGroup], TicketGroup] = lambda _, group: group
        self._played_until, self._cursor = Nanos(0), 0
        self._journal = None if journal is None else BrokerJournal(journal, fsync=settings.fsync)
        known = [] if self._journal is None else self._journal.records
        try:
            self.pace = self._first_pace() if not known else self._continued(known)
            self._restore([books.modern(record) for record in known if record["kind"] != "clock"])
        except (*_UNREADABLE, Refusal) as error:
            if self._journal is None or journal is None:
                raise
            self._journal.close()
            raise BrokenJournal(
                journal,
                f"holds what cannot be continued ({type(error).__name__}: {error}); move the file away to begin anew",
            ) from error
        self._stand_at(self.pace.market)
        self._clock_noted = self._monotonic()
        self._note_opened(is_continued=bool(known))

    def advance(self) -> int:
        """Play the ticks that are due and return how many; call it often (every 20 ms)."""
        now = self.now()
        until = self.tape.index_after(now.market)
        if until - self._cursor > MOST_TICKS:
            last = int(self.tape.times[self._cursor + MOST_TICKS - 1])
            until = self.tape.index_after(last)
            self.pace = Pace(Nanos(last), self._monotonic(), self.pace.speed, self.pace.is_paused)
            now = Moment(now.wall, Nanos(last))
        played = max(0, until - self._cursor)
        # a person may change the market hours on the day itself
        self.exchange.heed_market_hours(Moment(now.wall, self._played_until))
        for at, trade in self.tape.trades(self._cursor, until):
            moment = Moment(now.wall, at)
            self._note(self.exchange.step(trade, moment), moment)
        self._cursor = max(until, self._cursor)
        self._played_until = max(now.market, self._played_until)
        # the exchange must learn the time even if nothing trades, because orders expire
        moment = Moment(now.wall, self._played_until)
        self._note(self.exchange.step(Clock(), moment), moment)
        self._save()
        return played

    def now(self) -> Moment:
        """Return wall and market time."""
        return Moment(self._wall(), self.pace.market_at(self._monotonic()))

    @property
    def is_over(self) -> bool:
        """Tell whether the last tick of the tape was played."""
        return self._cursor >= len(self.tape)

    def place(self, account: str, group: TicketGroup) -> Placed | Declined:
        """See `Exchange.place`."""
        return self._do(lambda now: self._place(account, group, now))

    def refuse(self, request: RecordedRequest, problem: Declined) -> Declined:
        """Record a request that was refused before it reached the exchange; a placement gets an order id too."""
        return self._do(lambda now: self._refuse(request, problem, now))

    def replace(self, order_id: str, change: Replacement) -> Changed | Declined:
        """See `Exchange.replace`."""
        return self._do(lambda now: self._replace(order_id, change, now))

    def cancel(self, order_id: str) -> Changed | Declined:
        """See `Exchange.cancel`."""
        return self._do(lambda now: self._cancel(order_id, now))

    def reject(self, order_id: str, reason: str) -> Changed | Declined:
        """See `Exchange.reject`."""
        return self.change(lambda exchange, now: exchange.reject(order_id, reason, now))

    def change(self, change: Callable[[Exchange, Moment], A]) -> A:
        """Change an order that no client asked to change; it stands in the books without a request."""
        return self._do(lambda now: self._noted(change(self.exchange, now), now))

    def end_day(self) -> None:
        """Expire all open DAY orders."""
        self._do(lambda now: self._note(self.exchange.end_day(now), now))

    def set_speed(self, speed: float) -> None:
        """Change market seconds per wall second from now on.

        Raises:
            BadSpeed: it is not positive.
        """
        self._set_pace(self.pace.at_speed(speed, self._monotonic()))

    def pause(self) -> None:
        """Stop market time; orders still execute at the last price."""
        self._set_pace(self.pace.paused(self._monotonic()))

    def resume(self) -> None:
        """Let market time run again."""
        self._set_pace(self.pace.resumed(self._monotonic()))

    def rewind(self, *, is_closing: bool = False) -> dict[str, int]:
        """Begin the tape again, at the same pace; return how many orders and positions were closed for it.

        Accounts keep their money, orders and fills, and ids are not used again: nothing confirmed is taken back.

        Raises:
            NotFlat: there are open orders or positions, and `is_closing` is False.
        """
        self.advance()
        accounts = self.exchange.accounts()
        orders = [order for each in accounts for order in self.exchange.orders(each) if order.status.is_open]
        positions = [holding for each in accounts for holding in self.exchange.holdings(each)]
        if (orders or positions) and not is_closing:
            raise NotFlat(len(orders), len(positions))
        now = Moment(self._wall(), self._played_until)
        for order in orders:
            self._cancel(order.id, now)
        for holding in positions:
            self._place(holding.account, _closing(holding), now)
        first = self._first_pace()
        self.pace = Pace(first.market, first.monotonic, self.pace.speed, self.pace.is_paused)
        self._stand_at(first.market)
        self.books.append(self._clock_record() | {"kind": _REWOUND})
        self._save(with_clock=True)
        return {"orders": len(orders), "positions": len(positions)}

    def _stand_at(self, market: Nanos) -> None:
        """Continue at a moment of the tape: the trades up to it are past, and their last prices are known."""
        self._played_until = market
        self._cursor = self.tape.index_after(market)
        self.exchange.forget_market()
        for contract in self.tape.contracts:
            last = self.tape.last(contract, market)
            if last is not None:
                self.exchange.set_last(contract, instrument_of(contract).nearest(last.price))

    def last(self, contract: str) -> Tick | None:
        """Return the newest trade of a contract that was played."""
        return self.tape.last(contract, self._played_until)

    @property
    def played_until(self) -> Nanos:
        """Return the market time up to which the tape was played."""
        return self._played_until

    def bars(self, contract: str, minutes: int, count: int) -> list[MarketBar]:
        """Return the newest `count` bars of the tape as played so far, oldest first; the last may be open."""
        return self.tape.bars(contract, minutes).until(self._played_until, count)

    def live_bars(self, contract: str, minutes: int) -> LiveBars:
        """Return the forming bar of the tape as played so far, and the bars that follow."""
        return self.tape.bars(contract, minutes).live(self._played_until)

    def close(self) -> None:
        """Write down the clock and close the journal."""
        if self._journal is not None:
            self._journal.write([*self.books.take_new(), self._clock_record()])
            self._journal.close()
            self._journal = None

    def _place(self, account: str, group: TicketGroup, now: Moment) -> Placed | Declined:
        answer = self.exchange.place(account, self.lessen(account, group), now)
        orders = (answer.order_id,) if isinstance(answer, Declined) else tuple(order.id for order in answer.orders)
        named = tuple(ticket.client_id for ticket in flattened(group) if ticket.client_id)
        self._note_request(RecordedRequest("place", account, orders, named, books.ticket_details(group)), answer, now)
        return self._noted(answer, now)

    def _refuse(self, request: RecordedRequest, problem: Declined, now: Moment) -> Declined:
        if not request.order_ids:
            problem = replace(problem, order_id=self.exchange.declined_id())
            request = replace(request, order_ids=(problem.order_id,))
        self._note_request(request, problem, now)
        return problem

    def _replace(self, order_id: str, change: Replacement, now: Moment) -> Changed | Declined:
        order = self.exchange.order(order_id)
        account, contract = ("", "") if order is None else (order.account, order.contract)
        details = {} if order is None else books.change_details(change, contract)
        answer = self.exchange.replace(order_id, change, now)
        self._note_request(RecordedRequest("replace", account, (order_id,), details=details), answer, now)
        return self._noted(answer, now)

    def _cancel(self, order_id: str, now: Moment) -> Changed | Declined:
        order = self.exchange.order(order_id)
        answer = self.exchange.cancel(order_id, now)
        self._note_request(
            RecordedRequest("cancel", "" if order is None else order.account, (order_id,)), answer, now
        )
        return self._noted(answer, now)

    def _note_request(self, request: RecordedRequest, answer: Placed | Changed | Declined, now: Moment) -> None:
        self.books.note_request(request, answer.text if isinstance(answer, Declined) else "", now)

    def _noted(self, answer: A, now: Moment) -> A:
        if not isinstance(answer, Declined):
            self._note(answer.updates, now)
        return answer

    def _note(self, updates: Iterable[Update], now: Moment) -> None:
        self.books.note(updates, now)

    def _do(self, call: Callable[[Moment], T]) -> T:
        self.advance()
        answer = call(Moment(self._wall(), self._played_until))
        self._save()
        return answer

    def _set_pace(self, pace: Pace) -> None:
        self.advance()
        self.pace = pace
        self._save(with_clock=True)

    def _save(self, *, with_clock: bool = False) -> None:
        """Write the new records to the journal, and once a second the clock."""
        if self._journal is None:
            return
        new = self.books.take_new()
        monotonic = self._monotonic()
        if with_clock or monotonic - self._clock_noted >= CLOCK_EVERY:
            new.append(self._clock_record())
            self._clock_noted = monotonic
        if new:
            self._journal.write(new)

    def _clock_record(self) -> Record:
        return {
            "kind": "clock",
            "speed": self.pace.speed,
            "paused": self.pace.is_paused,
            "at": self._wall(),
            "market_at": self._played_until,
        }

    def _first_pace(self) -> Pace:
        start = self.tape.first_at + round(self.settings.history_minutes * 60 * clock.SECOND)
        return Pace(Nanos(start), self._monotonic(), self.settings.speed)

    def _restore(self, records: list[Record]) -> None:
        """Restore the exchange and the books from the journal's records."""
        read: Mapping[str, Callable[[Record], Known]] = {
            "order": books.order_of,
            "fill": books.fill_of,
            "day": books.day_of,
        }
        known = [read[record["kind"]](record) for record in records if record["kind"] in read]
        revision = max((record.get("revision", 0) for record in records), default=0)
        placed = [each for each in records if each["kind"] == "request" and each["call"] == "place"]
        self.exchange.restore(known, revision, [order_id for each in placed for order_id in each["order_ids"]])
        self.books.load(records)

    def _continued(self, records: list[Record]) -> Pace:
        """Return the pace at which the journal ends; a speed that was configured since replaces the journal's."""
        opened = [record for record in records if record["kind"] == "opened"]
        if not opened or opened[-1]["tape"] != self._tape_body():
            path = Path()
            if self._journal is not None:
                path = self._journal.path
                self._journal.close()
            raise BrokenJournal(
                path,
                "is of another tape; choose that one again, or put these books aside and begin with flat accounts: "
                "scripts/tradectl localbroker rewind --new-books",
            )
        rewound = max((index for index, each in enumerate(records) if each["kind"] == _REWOUND), default=0)
        clocks = [record for record in records if record["kind"] in ("clock", "opened")]
        speed = self.settings.speed if opened[-1]["configured_speed"] != self.settings.speed else clocks[-1]["speed"]
        if not 0 < speed <= FASTEST:
            speed = self.settings.speed  # an earlier version accepted any speed, also one that stops the start
        market = min(max(record["market_at"] for record in records[rewound:]), LATEST)
        return Pace(Nanos(int(market)), self._monotonic(), speed, clocks[-1]["paused"])

    def _tape_body(self) -> Record:
        return {"name": self.tape.name, "ticks": len(self.tape), "first_at": self.tape.first_at}

    def _note_opened(self, *, is_continued: bool) -> None:
        record = self._clock_record() | {
            "kind": "opened",
            "tape": self._tape_body(),
            "accounts": {account: str(cash) for account, cash in self.settings.accounts.items()},
            "configured_speed": self.settings.speed,
            "continued": is_continued,
        }
        self.books.append(record)
        self._save()


def _closing(holding: ExchangePosition) -> TicketGroup:
    side = Side.SELL if holding.quantity > 0 else Side.BUY
    ticket = Ticket(holding.contract, side, Contracts(abs(holding.quantity)), OrderType.MARKET)
    return TicketGroup(GroupKind.INDEPENDENT, (ticket,))
