"""The specification of a trading session: a person writes it and the database stores it.

One session trades one contract in one account with one strategy. The specification never changes while the
session runs; what happens to it is in the database's other tables.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, field
from enum import StrEnum
from typing import Any, Literal

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import INSTRUMENTS, Contract, instrument
from tradeproc.domain.records import BadRecord, BadValue, nearest, read_record
from tradeproc.domain.roll_rules import RollPolicy, check_form_of_dates
from tradeproc.domain.schedule import Schedule
from tradeproc.domain.units import Contracts, Minutes, Ticks, Times, WholeMoney
from tradeproc.errors import Refusal

Argument = str | int | float | bool
"""An argument of a strategy as a file can write it."""

STRATEGY = r"[\w.-]+|[\w.]+:\w+|[^:\n]+\.py:\w+"
LONGEST_BAR = 1440
LONGEST_WARMUP = 50_000


class BadSession(Refusal):
    """A specification that cannot be traded; caught by the command or the reader of the file that it came from."""


class StopPolicy(StrEnum):
    """What to do when open contracts are found without a working stop at the broker."""

    ALARM = "alarm"
    REPLACE = "replace"
    FLATTEN = "flatten"


class ExternalPolicy(StrEnum):
    """What to do when somebody else changed the position or an order of a session, or cancelled a protecting stop."""

    PAUSE = "pause"
    """Exits only, until a person resumes the session with a reason; earlier versions called it `reduce`."""
    IGNORE = "ignore"
    """Book it and go on."""
    ADOPT = "adopt"
    """Book it, go on, and place the stop of a position that has none."""

    @classmethod
    def _missing_(cls, value: object) -> "ExternalPolicy | None":
        """Read the word of earlier versions."""
        return cls.PAUSE if value == "reduce" else None


class InertStopPolicy(StrEnum):
    """What to do, beside the alarm and the halt of the login, when a working stop does nothing at the broker."""

    ALARM = "alarm"
    FLATTEN = "flatten"


LOGIN = r"[a-z0-9][a-z0-9_-]{0,15}"
# the id of a broker's account: restricted, because it becomes part of names of processes and files, and of addresses
ACCOUNT = r"[A-Za-z0-9._-]{1,16}"


# beyond any account, and far below what a number of the database holds
HIGHEST_LIMIT = 10**12
OPTIONAL_LIMITS = (
    "max_orders_per_minute",
    "price_collar_ticks",
    "max_notional",
    "max_daily_loss",
    "max_account_daily_loss",
    "max_drawdown",
    "max_losses_in_row",
    "cool_down_minutes",
)


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What a session may do; the largest order and position, in contracts, have no default, others may be left out.

    Money is in whole units of the instrument's currency. `max_orders_per_minute` counts entries.
    `price_collar_ticks` is how far an entry's price may be from the last trade. `max_notional` is the most that an
    entry may be worth: price, quantity and value of a point multiplied. `max_daily_loss` is the loss of a market day,
    realized and open, `max_account_daily_loss` that of the whole account as the broker tells it, in the account's
    currency, `max_drawdown` that from the highest profit, `max_losses_in_row` a number of losing round
    trips. These latch the session; with `cool_down_minutes` a row of losses only makes entries wait.
    """

    max_order: Contracts
    max_position: Contracts
    max_orders_per_minute: Times | None = None
    price_collar_ticks: Ticks | None = None
    max_notional: WholeMoney | None = None
    max_daily_loss: WholeMoney | None = None
    max_account_daily_loss: WholeMoney | None = None
    max_drawdown: WholeMoney | None = None
    max_losses_in_row: Times | None = None
    cool_down_minutes: Minutes | None = None

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadValue: a limit below one, or a cool-down that belongs to no limit.
        """
        for key, value in (("max_order", self.max_order), ("max_position", self.max_position)):
            if value < 1:
                raise BadValue(key, f"must be 1 contract or more, not {value}")
        for key in OPTIONAL_LIMITS:
            value = getattr(self, key)
            if value is not None and not 1 <= value <= HIGHEST_LIMIT:
                raise BadValue(key, f"must be 1 to {HIGHEST_LIMIT}, not {value}; left out, there is no such limit")
        if self.cool_down_minutes is not None and self.max_losses_in_row is None:
            raise BadValue("cool_down_minutes", "belongs to max_losses_in_row, which is missing")

    @property
    def watch_losses(self) -> bool:
        """Tell whether a limit on losses is set."""
        money = (self.max_daily_loss, self.max_account_daily_loss, self.max_drawdown)
        return self.max_losses_in_row is not None or money != (None, None, None)


# fields that programs of earlier versions do not know, or not with these words, with their defaults
_NEWER: Mapping[str, object] = {
    "data_login": "",
    "external_policy": "pause",
    "witness_login": "",
    "witness_ticks": 8,
    "witness_seconds": 10,
    "inert_stop_policy": "alarm",
    "inert_stop_ticks": 2,
    "inert_stop_seconds": 3,
    "roll": asdict(RollPolicy()),
}
_USUAL_ROLL = asdict(RollPolicy())
_NEWER_OF_ROLL = ("rule", "dates")


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """One trading session as specified.

    `login` names the configured login that takes the orders. `environment` must repeat the environment of that login,
    so that changing one word never moves a session from paper to real money. `data_login` names the login that serves
    the bars; empty means the same login. `minutes` is the length of a bar. `strategy` is an installed name,
    `package.module:Class` or `path/to/file.py:Class`. `warmup` is a number of bars; None leaves it to the strategy.
    `market_hours` names an exchange calendar; empty means the instrument's own. `schedule` says when it runs while it
    is started; None means always. A stop does nothing when the market has traded through it by `inert_stop_ticks` for
    `inert_stop_seconds`. `roll` says how the session leaves its contract before that ends.
    `adopt_stop_ticks` is how far from the last price the stop of an adopted position is placed. `witness_login` names
    a second login for prices, which may differ by `witness_ticks` for `witness_seconds`; empty means none.
    """

    name: str
    login: str
    account: str
    contract: str
    minutes: int
    strategy: str
    quantity: Contracts
    environment: Literal["paper", "live"]
    limits: SessionLimits
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    warmup: int | None = None
    stop_policy: StopPolicy = StopPolicy.ALARM
    external_policy: ExternalPolicy = ExternalPolicy.PAUSE
    market_hours: str = ""
    notes: str = ""
    schedule: Schedule | None = None
    data_login: str = ""
    inert_stop_policy: InertStopPolicy = InertStopPolicy.ALARM
    inert_stop_ticks: int = 2
    inert_stop_seconds: int = 3
    roll: RollPolicy = RollPolicy()
    adopt_stop_ticks: Ticks | None = None
    witness_login: str = ""
    witness_ticks: int = 8
    witness_seconds: int = 10

    def __post_init__(self) -> None:
        """Check all fields, as far as they can be checked without configuration, database or broker.

        Raises:
            BadValue: names the key and what is allowed.
        """
        _check_text("name", self.name, r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", "up to 40 letters, digits, . _ -")
        _check_text("login", self.login, LOGIN, "up to 16 small letters, digits, _ -")
        if self.data_login:
            _check_text("data_login", self.data_login, LOGIN, "up to 16 small letters, digits, _ -")
        if self.witness_login:
            _check_text("witness_login", self.witness_login, LOGIN, "up to 16 small letters, digits, _ -")
            if self.witness_login == self.login_of_data:
                raise BadValue("witness_login", "serves the bars already; a witness is another login")
        _check_range("witness_ticks", self.witness_ticks, 1, 10_000)
        _check_range("witness_seconds", self.witness_seconds, 1, 600)
        _check_text("account", self.account, ACCOUNT, "up to 16 letters, digits, . _ -")
        _check_text("strategy", self.strategy, STRATEGY, "name, module:Class or file.py:Class")
        _check_contract(self.contract)
        check_form_of_dates(self.root, self.roll.dates)
        _check_range("minutes", self.minutes, 1, LONGEST_BAR)
        _check_range("quantity", self.quantity, 1, self.limits.max_order)
        _check_range("inert_stop_ticks", self.inert_stop_ticks, 1, 1000)
        _check_range("inert_stop_seconds", self.inert_stop_seconds, 1, 600)
        if self.adopt_stop_ticks is not None:
            _check_range("adopt_stop_ticks", self.adopt_stop_ticks, 1, 100_000)
            if self.external_policy is not ExternalPolicy.ADOPT:
                raise BadValue("adopt_stop_ticks", 'belongs to external_policy = "adopt"')
        if self.warmup is not None:
            _check_range("warmup", self.warmup, 0, LONGEST_WARMUP)
        known = sorted({product.market_hours for product in INSTRUMENTS.values()})
        if self.market_hours and self.market_hours not in known:
            raise BadValue(
                "market_hours", f"unknown calendar {self.market_hours!r}; {nearest(self.market_hours, known)}"
            )

    @property
    def root(self) -> str:
        """Return the root of the contract, as `ES`."""
        return Contract.parse(self.contract).root

    @property
    def login_of_data(self) -> str:
        """Return the login that serves the bars."""
        return self.data_login or self.login

    @property
    def logins(self) -> tuple[str, ...]:
        """Return the logins that the session needs, each once: the one of its orders first."""
        return tuple(dict.fromkeys((self.login, self.login_of_data)))

    @property
    def calendar(self) -> str:
        """Return the key of the market hours that apply."""
        return self.market_hours or instrument(self.root).market_hours

    def to_dict(self) -> dict[str, Any]:
        """Return the plain form that `from_dict` reads, without fields that are None and newer ones at their default.

        Programs of earlier versions do not know the newer fields, but can read a form without them.
        """
        plain = asdict(self)
        plain["arguments"] = dict(self.arguments)
        plain["limits"] = {key: value for key, value in plain["limits"].items() if value is not None}
        plain["stop_policy"] = self.stop_policy.value
        plain["external_policy"] = self.external_policy.value
        plain["inert_stop_policy"] = self.inert_stop_policy.value
        words = {key: getattr(self.roll, key).value for key in ("mode", "rule", "back_adjust")}
        plain["roll"] |= {**words, "dates": dict(self.roll.dates)}
        for key, usual in _NEWER.items():
            if plain[key] == usual:
                del plain[key]
        for key in _NEWER_OF_ROLL:
            if plain.get("roll", _USUAL_ROLL)[key] == _USUAL_ROLL[key]:
                plain.get("roll", {}).pop(key, None)
        return {key: value for key, value in plain.items() if value is not None}

    @classmethod
    def from_dict(cls, table: object) -> "SessionSpec":
        """Return the specification that a plain table describes.

        Raises:
            BadSession: one line that names the key, its value and what is allowed.
        """
        try:
            return read_record(cls, table)
        except BadRecord as bad:
            raise BadSession(str(bad)) from None


def is_session_number(word: str) -> bool:
    """Tell whether commands read this word as the number of a session rather than as a name."""
    return word.isascii() and word.isdecimal()


def check_new_name(name: str, taken: Mapping[str, int]) -> None:
    """Check the name of a new session, so that a command with it can never reach another session.

    Names are unique, because `flatten --session NAME` is typed in a hurry. Existing sessions are not checked: one of
    an earlier version may have any name.

    Args:
        name: of the new session.
        taken: the numbers of the sessions that exist, by name.

    Raises:
        BadSession: the name is a number, or another session has it.
    """
    if is_session_number(name):
        raise BadSession(f"name: {name!r} would be taken for the number of a session; write a letter into it")
    if name in taken:
        number = taken[name]
        raise BadSession(
            f"name: session {number} is called {name!r} already; give another with --name, "
            f"or scripts/tradectl session remove {number} first"
        )


def _check_text(key: str, value: str, pattern: str, allowed: str) -> None:
    if not re.fullmatch(pattern, value):
        raise BadValue(key, f"{value!r} is not allowed; write {allowed}")


def _check_range(key: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise BadValue(key, f"must be {lowest} to {highest}, not {value}")


def _check_contract(code: str) -> None:
    try:
        root = Contract.parse(code).root
    except Refusal as refusal:
        raise BadValue("contract", str(refusal)) from None
    if root not in INSTRUMENTS:
        raise BadValue("contract", f"unknown instrument {root!r} in {code!r}; {nearest(root, list(INSTRUMENTS))}")
