"""The market clock: market time as a function of monotonic time. Pure: the caller reads the clock.

Speed is market seconds per wall second: at speed 60 a market minute passes in one wall second.
"""

from dataclasses import dataclass

from tradeproc.domain.units import Nanos
from tradeproc.errors import Refusal

FASTEST = 1_000_000.0
# the year 2200, where market time stops, because its nanoseconds must fit into 64 bits
LATEST = 7_258_118_400_000_000_000


class BadSpeed(Refusal):
    """A speed that is not positive or too high; caught where it was asked for. To stop market time, pause."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        super().__init__(f"speed must be above 0 and at most {FASTEST:g}, not {speed:g}; pause to stop market time")


@dataclass(frozen=True, slots=True)
class Pace:
    """Market time was `market` when the monotonic clock said `monotonic`; since then it runs at `speed`."""

    market: Nanos
    monotonic: int
    speed: float = 1.0
    is_paused: bool = False

    def __post_init__(self) -> None:
        """Check the speed.

        Raises:
            BadSpeed: it is not positive, or above `FASTEST`.
        """
        if not 0 < self.speed <= FASTEST:
            raise BadSpeed(self.speed)

    def market_at(self, monotonic: int) -> Nanos:
        """Return market time at a monotonic moment; never before `market`, also for an earlier moment."""
        passed = 0 if self.is_paused else max(0, monotonic - self.monotonic)
        return Nanos(max(self.market, min(self.market + round(passed * self.speed), LATEST)))

    def at_speed(self, speed: float, monotonic: int) -> "Pace":
        """Return the pace that continues from now at another speed; a paused one stays paused."""
        return Pace(self.market_at(monotonic), monotonic, speed, self.is_paused)

    def paused(self, monotonic: int) -> "Pace":
        """Return the pace that stands still from now on."""
        return Pace(self.market_at(monotonic), monotonic, self.speed, True)

    def resumed(self, monotonic: int) -> "Pace":
        """Return the pace that goes on from now."""
        return Pace(self.market_at(monotonic), monotonic, self.speed, False)
