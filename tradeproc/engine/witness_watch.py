"""What the engine remembers of a witness: the last price that a second data login told, and since when it differs."""

from dataclasses import dataclass

from tradeproc.domain.units import Nanos, Ticks


@dataclass(slots=True)
class WitnessWatch:
    """The witness's last price, why its stream is down (empty while it is up) and since when.

    `apart_since` is since when its price differs by more than is allowed; `is_apart` once that has lasted.
    """

    last: Ticks | None = None
    down: str = "not heard yet"
    down_since: Nanos | None = None
    apart_since: Nanos | None = None
    is_apart: bool = False
