"""Tape, pace, exchange, ledger and journal held together: what the server talks to.

Every call first plays the ticks that are due, and what it changed is in the journal before it returns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tradeproc import clock
from tradeproc.domain.units import Money, Nanos
from tradeproc.localbroker.bars import Bar
from tradeproc.localbroker.exchange import Exchange, Rules
from tradeproc.localbroker.ledger import Ledger
from tradeproc.localbroker.orders import Changed, Declined, Moment, Placed, Replacement, TicketGroup
from tradeproc.localbroker.pace import Pace
from tradeproc.localbroker.tape import Tape


@dataclass(frozen=True, slots=True)
class Settings:
    """How a market is opened; `accounts` are ids with their starting cash."""

    accounts: Mapping[str, Money]
    speed: float = 1.0
    history_minutes: float = 0.0
    rules: Rules = field(default_factory=Rules)


class Market:
    """A running market. `wall` and `monotonic` read the clock; tests pass their own."""

    tape: Tape
    pace: Pace
    exchange: Exchange
    ledger: Ledger

    def __init__(
        self,
        tape: Tape,
        settings: Settings,
        *,
        journal: Path | None = None,
        wall: Callable[[], Nanos] = clock.wall_ns,
        monotonic: Callable[[], int] = clock.monotonic_ns,
    ) -> None:
        """Open the market; with a journal that has entries, continue where it ended (its clock included)."""
        raise NotImplementedError

    def advance(self) -> int:
        """Play the ticks that are due and return how many; call it often (every 20 ms)."""
        raise NotImplementedError

    def now(self) -> Moment:
        """Return wall and market time."""
        raise NotImplementedError

    @property
    def is_over(self) -> bool:
        """Tell whether the last tick of the tape was played."""
        raise NotImplementedError

    def place(self, account: str, group: TicketGroup) -> Placed | Declined:
        """See `Exchange.place`."""
        raise NotImplementedError

    def replace(self, order_id: str, change: Replacement) -> Changed | Declined:
        """See `Exchange.replace`."""
        raise NotImplementedError

    def cancel(self, order_id: str) -> Changed | Declined:
        """See `Exchange.cancel`."""
        raise NotImplementedError

    def reject(self, order_id: str, reason: str) -> Changed | Declined:
        """See `Exchange.reject`."""
        raise NotImplementedError

    def end_day(self) -> None:
        """Expire all open DAY orders."""
        raise NotImplementedError

    def set_speed(self, speed: float) -> None:
        """Change market seconds per wall second from now on."""
        raise NotImplementedError

    def pause(self) -> None:
        """Stop market time."""
        raise NotImplementedError

    def resume(self) -> None:
        """Let market time run again."""
        raise NotImplementedError

    def bars(self, contract: str, minutes: int, count: int) -> list[Bar]:
        """Return the newest `count` bars, oldest first; the last may be open."""
        raise NotImplementedError

    def close(self) -> None:
        """Write the clock and close the journal."""
        raise NotImplementedError
