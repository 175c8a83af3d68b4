"""What a witness, a second data login of a session, tells the engine; part of `events.py`."""

from tradeproc.domain.frozen import dataclass


@dataclass(frozen=True, slots=True)
class WitnessPriced:
    """The last price that the session's witness, a second data login, tells; in points."""

    price: float


@dataclass(frozen=True, slots=True)
class WitnessChanged:
    """The witness's stream went down or came (back) up."""

    is_up: bool
    reason: str = ""
