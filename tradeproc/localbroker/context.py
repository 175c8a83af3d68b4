"""What all requests share: the market, the sign-in, the faults and the open streams; and views of the market."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tradeproc.clock import monotonic_ns, wall_ns
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.units import MINUTE
from tradeproc.exchange.orders import ExchangeOrder, ExchangePosition
from tradeproc.localbroker.faults import FaultTable
from tradeproc.localbroker.grid import to_points
from tradeproc.localbroker.market import Market
from tradeproc.localbroker.streams import HEARTBEAT_SECONDS, Streams
from tradeproc.localbroker.tradestation.account_shapes import Relatives, Valued, order_body, position_body
from tradeproc.localbroker.tradestation.market_shapes import Spread, quote_body, spread
from tradeproc.localbroker.tradestation.numbers import find_contract
from tradeproc.localbroker.tradestation.oauth import SignIn
from tradeproc.localbroker.up_down_bars import DAY_MINUTES
from tradeproc.localbroker.wakeups import ChangeSignals

TICKS, BOOK = "ticks", "book"


@dataclass(slots=True)
class ServerContext:
    """The shared state of the server; everything runs on one thread, others may read the plain numbers.

    `pumped_at` is when the tape was last looked at (monotonic), `played_at` market time then; `served` are requests.
    """

    market: Market
    sign_in: SignIn
    heartbeat: float = HEARTBEAT_SECONDS
    control_key: str = field(default="", repr=False)
    bells: ChangeSignals = field(default_factory=ChangeSignals)
    faults: FaultTable = field(default_factory=lambda: FaultTable(now=wall_ns))
    stop: Callable[[], None] = lambda: None
    requests: dict[str, int] = field(default_factory=dict)
    served: int = 0
    pumped_at: int = 0
    played_at: int = 0
    streams: Streams = field(init=False)
    _told: int = 0
    _minute: int = 0

    def __post_init__(self) -> None:
        """Tie the streams to the bells and faults."""
        self.streams = Streams(self.bells, self.faults, self.heartbeat)
        self._told = self.market.exchange.revision
        self.pumped_at = monotonic_ns()

    @property
    def contracts(self) -> tuple[str, ...]:
        """Return the contracts that trade here."""
        return self.market.tape.contracts

    def advance(self) -> int:
        """Play the ticks that are due, wake who waits for them, and return how many."""
        played = self.market.advance()
        self.pumped_at, self.played_at = monotonic_ns(), self.market.now().market
        minute = self.played_at // MINUTE
        if played or minute != self._minute:
            # bars also end without a trade
            self._minute = minute
            self.bells.ring(TICKS)
        self.tell_changes()
        return played

    def rewind(self, *, is_closing: bool) -> dict[str, int]:
        """Begin the tape again and return what was closed for it; bars and quotes are asked for anew by all.

        Raises:
            NotFlat: there are open orders or positions, and they are not to be closed.
        """
        closed = self.market.rewind(is_closing=is_closing)
        self._minute = 0
        self.streams.dismiss("bars_stream")
        self.streams.dismiss("quotes_stream")
        self.advance()
        self.bells.ring(TICKS)
        return closed

    def tell_changes(self) -> None:
        """Wake the brokerage streams if orders, positions or money changed since the last call."""
        revision = self.market.exchange.revision
        if revision != self._told:
            self._told = revision
            self.bells.ring(BOOK)

    def count(self, endpoint: str) -> None:
        """Count a request."""
        self.served += 1
        self.requests[endpoint] = self.requests.get(endpoint, 0) + 1

    def find(self, symbol: str) -> str | None:
        """Return the traded contract that a symbol means, or None."""
        return find_contract(symbol, self.contracts)

    def knows(self, account: str) -> bool:
        """Tell whether there is such an account."""
        return account in self.market.exchange.accounts()

    def order(self, order: ExchangeOrder, *, status: str = "", with_closing: bool = True) -> dict[str, Any]:
        """Return an order as the wire shows it."""
        exchange = self.market.exchange
        relatives = Relatives(exchange.siblings(order), exchange.children(order))
        return order_body(order, relatives, exchange.rules.commission, status=status, with_closing=with_closing)

    def position(self, holding: ExchangePosition) -> dict[str, Any]:
        """Return a position as the wire shows it, valued at the last trade."""
        exchange = self.market.exchange
        product = instrument_of(holding.contract)
        tick = self.market.last(holding.contract)
        if tick is None:
            last = to_points(holding.average or 0, holding.contract)
            around = Spread(last, last)
        else:
            last, around = to_points(product.nearest(tick.price), holding.contract), spread(tick, product)
        margin = exchange.rules.margins.get(product.root, Decimal(0))
        return position_body(
            Valued(holding, last, around.bid, around.ask, exchange.unrealized(holding), Decimal(margin))
        )

    def quote(self, symbol: str, code: str) -> dict[str, Any] | None:
        """Return a full quote, or None before the contract's first trade."""
        tick = self.market.last(code)
        days = [bar.candle for bar in self.market.bars(code, DAY_MINUTES, 2)]
        return quote_body(symbol, code, tick, days) if tick is not None and days else None

    def market_value(self, account: str) -> Decimal:
        """Return the notional value of an account's positions."""
        return sum((self._notional(holding) for holding in self.market.exchange.holdings(account)), Decimal(0))

    def _notional(self, holding: ExchangePosition) -> Decimal:
        last = self.market.exchange.last(holding.contract)
        price = to_points(holding.average or 0 if last is None else last, holding.contract)
        return price * holding.quantity * instrument_of(holding.contract).point_value


def refusal(title: str, message: str, **more: str) -> dict[str, str]:
    """Return an error object as the API writes it."""
    return {**more, "Error": title, "Message": message}


def listing(key: str, found: list[dict[str, Any]], errors: list[dict[str, str]]) -> Mapping[str, Any]:
    """Return a list answer; errors stand beside what was found, with status 200."""
    return {key: found, "Errors": errors}
