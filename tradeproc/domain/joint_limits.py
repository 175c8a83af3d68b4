"""Limits that sessions have together, those of a portfolio or of an account, and what their losses count from."""

from collections.abc import Mapping
from dataclasses import field
from decimal import Decimal

from tradeproc.domain.calendar_table import CALENDARS
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import INSTRUMENTS
from tradeproc.domain.records import BadValue, nearest
from tradeproc.domain.session import HIGHEST_LIMIT
from tradeproc.domain.units import Contracts, Money, Nanos, Times, WholeMoney

_NONE = Money(Decimal(0))
_NUMBERS = ("max_daily_loss", "max_drawdown", "max_notional", "max_orders_per_minute")
MARKET_DAY = "cme_equity"


@dataclass(frozen=True, slots=True)
class JointLimits:
    """What sessions may do together; each limit may be left out. Money is in whole units of the currency.

    `max_daily_loss` is the loss of a market day, realized and open, of all together, `max_drawdown` that from their
    highest profit; both latch. `max_notional` is the most that positions, working entries and a new one may be worth
    together, `max_position` by root the most contracts to one side, `max_orders_per_minute` counts entries; these
    refuse the entry only. `market_hours` names the exchange calendar whose market day counts.
    """

    max_daily_loss: WholeMoney | None = None
    max_drawdown: WholeMoney | None = None
    max_notional: WholeMoney | None = None
    max_orders_per_minute: Times | None = None
    max_position: Mapping[str, Contracts] = field(default_factory=dict)
    market_hours: str = MARKET_DAY

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadValue: a limit below one, an unknown product or calendar, or no limit at all.
        """
        for key in _NUMBERS:
            value = getattr(self, key)
            if value is not None and not 1 <= value <= HIGHEST_LIMIT:
                raise BadValue(key, f"must be 1 to {HIGHEST_LIMIT}, not {value}; left out, there is no such limit")
        for root, most in self.max_position.items():
            if root not in INSTRUMENTS:
                raise BadValue("max_position", f"unknown instrument {root!r}; {nearest(root, list(INSTRUMENTS))}")
            if not 1 <= most <= HIGHEST_LIMIT:
                raise BadValue("max_position", f"{root} must be 1 contract or more, not {most}")
        if self.market_hours not in CALENDARS:
            raise BadValue(
                "market_hours",
                f"unknown calendar {self.market_hours!r}; {nearest(self.market_hours, list(CALENDARS))}",
            )
        if not self.max_position and all(getattr(self, key) is None for key in _NUMBERS):
            raise BadValue("limits", f"name at least one of {', '.join((*_NUMBERS, 'max_position'))}")

    @property
    def watch_losses(self) -> bool:
        """Tell whether a limit on losses is set."""
        return self.max_daily_loss is not None or self.max_drawdown is not None


@dataclass(frozen=True, slots=True)
class JointMarks:
    """From where the losses of a portfolio or an account are counted; `scope` says of which.

    `gain` is what all together have made since the count began. `profits` is the profit of each session, by number
    as a text, that is part of `gain` already; of an account it is its equity, under an empty text, and under `today`
    what the broker told last that it made today. `peak` is the highest gain since a person re-armed the limits, which
    was at `armed_at` (0: never). `day_start` is the gain at the open of the market day that began at `day_opened_at`;
    of an account it is what the broker would tell as profit of its own day if nothing had been made or lost since.
    """

    scope: str
    day_opened_at: Nanos
    day_start: Money = _NONE
    peak: Money = _NONE
    armed_at: Nanos = Nanos(0)
    gain: Money = _NONE
    profits: dict[str, str] = field(default_factory=dict)
