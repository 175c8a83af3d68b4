"""A portfolio: sessions whose heat is limited together, as a person writes it and the database stores it.

Heat is the money that is lost if every working stop is hit at its price plus some ticks of slippage. A portfolio
limits the sum of its sessions' heat, and that of each group of products, in per cent of its equity.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import GROUPS, INSTRUMENTS, instrument
from tradeproc.domain.joint_limits import JointLimits
from tradeproc.domain.records import BadRecord, BadValue, nearest, read_record
from tradeproc.domain.session import ACCOUNT
from tradeproc.domain.units import Money, Nanos, decimal_of
from tradeproc.errors import Refusal

NAME = r"[a-z0-9][a-z0-9_-]{0,31}"
_MOST_PER_CENT = 100.0
_MOST_TICKS = 1000


class BadPortfolio(Refusal):
    """A portfolio that cannot be kept; caught by the command or the reader of the file that it came from."""


@dataclass(frozen=True, slots=True)
class HeatAnswer:
    """What became of a question for heat: for which order how much was asked, and how it was answered.

    `answer` is "granted" or "refused", `reason` why it was refused.
    """

    session: int
    order_id: str
    portfolio: str
    heat: Money
    currency: str
    asked_at: Nanos
    at: Nanos
    answer: str
    reason: str


@dataclass(frozen=True, slots=True)
class HeatTerms:
    """What a trader must know of its portfolio to count its own heat.

    `slippage` is in ticks a contract; `worst_case` is the money that an open contract without a stop counts as.
    `revision` tells two versions of the same portfolio apart. `currency` is the only one that it can add up.
    """

    portfolio: str
    revision: int
    currency: str
    slippage: int
    worst_case: Money


@dataclass(frozen=True, slots=True)
class HeatLimits:
    """From how much heat on people are warned, and how much entries may not exceed, in per cent of the equity."""

    warn_percent: float
    block_percent: float

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadValue: a limit outside 0 to 100 per cent, or a warning above the block.
        """
        _check_limits(self.warn_percent, self.block_percent)


@dataclass(frozen=True, slots=True)
class PortfolioSpec:
    """One portfolio as specified.

    Its equity is the balance of `account`, or the fixed sum `equity`; exactly one of both is given. `worst_case` is
    the money that an open contract without a stop counts as, `worst_case_of` that of single roots. `groups` are the
    limits of groups of products, `group_of` says of single roots that they belong to another group than the table of
    instruments has. `sessions` are the names or numbers of the first sessions; `currency` is that of all money here.
    `limits` are those of all sessions together beside the heat, None for none.
    """

    name: str
    warn_percent: float
    block_percent: float
    worst_case: int
    account: str = ""
    equity: int = 0
    currency: str = "USD"
    slippage_ticks: int = 1
    worst_case_of: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, HeatLimits] = field(default_factory=dict)
    group_of: Mapping[str, str] = field(default_factory=dict)
    sessions: tuple[str, ...] = ()
    notes: str = ""
    limits: JointLimits | None = None

    def __post_init__(self) -> None:
        """Check all fields, as far as they can be checked without database or broker.

        Raises:
            BadValue: names the key and what is allowed.
        """
        if not re.fullmatch(NAME, self.name):
            raise BadValue("name", f"{self.name!r} is not allowed; write up to 32 small letters, digits, _ -")
        _check_limits(self.warn_percent, self.block_percent)
        self._check_equity()
        if not 0 <= self.slippage_ticks <= _MOST_TICKS:
            raise BadValue("slippage_ticks", f"must be 0 to {_MOST_TICKS}, not {self.slippage_ticks}")
        for key, amount in (("worst_case", self.worst_case), *self.worst_case_of.items()):
            if amount <= 0:
                raise BadValue(key, f"must be above 0, not {amount}")
        self._check_roots_and_groups()

    def _check_equity(self) -> None:
        if bool(self.account) == bool(self.equity):
            raise BadValue("account", "give either account, whose balance is the equity, or equity, a fixed sum")
        if self.account and not re.fullmatch(ACCOUNT, self.account):
            raise BadValue("account", f"{self.account!r} is not allowed; write up to 16 letters, digits, . _ -")
        if self.equity < 0:
            raise BadValue("equity", f"must be above 0, not {self.equity}")
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise BadValue("currency", f"{self.currency!r} is no currency; write three letters, as USD")

    def _check_roots_and_groups(self) -> None:
        for root in (*self.worst_case_of, *self.group_of):
            if root not in INSTRUMENTS:
                raise BadValue(root, f"unknown instrument; {nearest(root, list(INSTRUMENTS))}")
        for group in (*self.groups, *self.group_of.values()):
            if group not in GROUPS:
                raise BadValue(group, f"unknown group; {nearest(group, list(GROUPS))}")

    def group(self, root: str) -> str:
        """Return the group of a product.

        Raises:
            UnknownInstrument: the root is not in the table.
        """
        return self.group_of.get(root) or instrument(root).group

    def terms(self, root: str, revision: int) -> HeatTerms:
        """Return what the trader of a session in that product must know."""
        worst = Money(Decimal(self.worst_case_of.get(root, self.worst_case)))
        return HeatTerms(self.name, revision, self.currency, self.slippage_ticks, worst)

    def to_dict(self) -> dict[str, Any]:
        """Return the plain form that `from_dict` reads; programs of earlier versions do not know `limits`."""
        plain = asdict(self)
        if self.limits is None:
            del plain["limits"]
        else:
            plain["limits"] = {key: value for key, value in plain["limits"].items() if value is not None}
        return plain

    @classmethod
    def from_dict(cls, table: object) -> "PortfolioSpec":
        """Return the portfolio that a plain table describes.

        Raises:
            BadPortfolio: one line that names the key, its value and what is allowed.
        """
        try:
            return read_record(cls, table)
        except BadRecord as bad:
            raise BadPortfolio(str(bad)) from None


def share(equity: Decimal, percent: float) -> Money:
    """Return that many per cent of the equity; nothing of an equity below zero."""
    return Money(max(equity, Decimal(0)) * _exactly(percent) / 100)


_exactly = lru_cache(maxsize=1024)(decimal_of)


def _check_limits(warn: float, block: float) -> None:
    if not 0 < block <= _MOST_PER_CENT:
        raise BadValue("block_percent", f"must be above 0 and at most 100, not {block:g}")
    if not 0 < warn <= block:
        raise BadValue("warn_percent", f"must be above 0 and at most block_percent {block:g}, not {warn:g}")
