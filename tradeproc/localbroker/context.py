"""What all requests share: the market, the sign-in, the faults and the open streams."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tradeproc.clock import monotonic_ns, wall_ns
from tradeproc.domain.units import MINUTE
from tradeproc.localbroker.faults import FaultTable
from tradeproc.localbroker.market import Market
from tradeproc.localbroker.order_faults import OrderFaults
from tradeproc.localbroker.streams import HEARTBEAT_SECONDS, Streams
from tradeproc.localbroker.wakeups import ChangeSignals
from tradeproc.localbroker.wire_forms import SignIn, WireForms

TICKS, BOOK = "ticks", "book"


@dataclass(slots=True)
class ServerContext:
    """The shared state of the server; everything runs on one thread, others may read the plain numbers.

    `pumped_at` is when the tape was last advanced (monotonic ns) and `played_at` the market time then; `served`
    counts requests.
    """

    market: Market
    sign_in: SignIn
    forms: WireForms
    heartbeat: float = HEARTBEAT_SECONDS
    control_key: str = field(default="", repr=False)
    signals: ChangeSignals = field(default_factory=ChangeSignals)
    faults: FaultTable = field(default_factory=lambda: FaultTable(now=wall_ns))
    stop: Callable[[], None] = lambda: None
    requests: dict[str, int] = field(default_factory=dict)
    served: int = 0
    pumped_at: int = 0
    played_at: int = 0
    streams: Streams = field(init=False)
    order_faults: OrderFaults = field(init=False)
    _told: int = 0
    _minute: int = 0

    def __post_init__(self) -> None:
        """Make the streams, which share the signals and faults."""
        self.streams = Streams(self.signals, self.faults, self.heartbeat, self.forms.fields)
        self.order_faults = OrderFaults(self.faults, self.market)
        self._told = self.market.exchange.revision
        self.pumped_at = monotonic_ns()

    @property
    def contracts(self) -> tuple[str, ...]:
        """Return the contracts that trade here."""
        return self.market.tape.contracts

    def advance(self) -> int:
        """Play the ticks that are due, wake the streams that wait for them, and return how many there were."""
        played = self.market.advance()
        self.order_faults.strike()
        self.pumped_at, self.played_at = monotonic_ns(), self.market.now().market
        minute = self.played_at // MINUTE
        if played or minute != self._minute:
            # a bar also ends in a minute without a trade
            self._minute = minute
            self.signals.notify(TICKS)
        self.tell_changes()
        return played

    def rewind(self, *, is_closing: bool) -> dict[str, int]:
        """Begin the tape again and return what was closed for it; all streams of bars and quotes end.

        Raises:
            NotFlat: there are open orders or positions, and `is_closing` is False.
        """
        closed = self.market.rewind(is_closing=is_closing)
        self._minute = 0
        self.streams.dismiss("bars_stream")
        self.streams.dismiss("quotes_stream")
        self.advance()
        self.signals.notify(TICKS)
        return closed

    def tell_changes(self) -> None:
        """Wake the brokerage streams if orders, positions or money changed since the last call."""
        revision = self.market.exchange.revision
        if revision != self._told:
            self._told = revision
            self.signals.notify(BOOK)

    def count(self, endpoint: str) -> None:
        """Count a request."""
        self.served += 1
        self.requests[endpoint] = self.requests.get(endpoint, 0) + 1

    def knows(self, account: str) -> bool:
        """Tell whether there is such an account."""
        return account in self.market.exchange.accounts()
