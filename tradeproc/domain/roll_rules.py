"""When a session leaves its contract, and into which one it rolls.

A contract that is settled in cash can be held until its last trade; one that is delivered must be left before its
first notice. Energy and currencies are delivered after their last trade, so for them that is the day to be out by.
`roll_table.py` holds the rule of each root and counts business days.

The day of the roll is, the first of these that is so: the date that the session or conf/tradeproc.toml names for this
contract; with the rule "volume" the first business day after one on which the next contract traded more than this one
(`roll_volumes.py`), where that is earlier than the rule of days; so many business days before the last day.
"""

import re
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import INSTRUMENTS, MONTH_LETTERS, BadContract, Contract
from tradeproc.domain.market_hours import MarketHours
from tradeproc.domain.records import BadValue, nearest
from tradeproc.domain.roll_table import TABLE_RULES, Rule, after, before, business_days, is_business, last_day
from tradeproc.domain.units import MINUTE
from tradeproc.errors import Refusal

LEAST_LEFT = 15 * MINUTE
"""A roll begins only while the market stays open for so long; otherwise it could end between two contracts."""
_MOST_DAYS = 60


class RollMode(StrEnum):
    """Who rolls a session into its next contract."""

    AUTO = "auto"
    """The session itself, on the day of its rule."""
    MANUAL = "manual"
    """A person; alarms tell when it is time."""
    OFF = "off"
    """Nobody, and no alarm speaks of it."""


class RollRule(StrEnum):
    """What decides on the day of a roll."""

    DAYS = "days"
    """So many business days before the last day."""
    VOLUME = "volume"
    """The business day after one on which the next contract traded more, and by the rule of days at the latest."""


class BackAdjust(StrEnum):
    """How bars of the old contract are joined to those of the next."""

    DIFFERENCE = "difference"
    """By the spread in points."""
    RATIO = "ratio"
    """By the quotient of both prices."""


@dataclass(frozen=True, slots=True)
class RollPolicy:
    """How a session leaves its contract.

    `days_before` is how many business days before the last day to be out by; None leaves it to the rule of the root.
    From `warn_days` business days before the day of the roll an alarm stands. A session that rolls by itself does so
    from the time `at` of the exchange's clock on, while its market is open. `dates` are days of rolls, as 2025-12-10,
    by the code of the contract that is left; they count before everything else.
    """

    mode: RollMode = RollMode.MANUAL
    rule: RollRule = RollRule.DAYS
    days_before: int | None = None
    warn_days: int = 5
    at: str = "10:00"
    back_adjust: BackAdjust = BackAdjust.DIFFERENCE
    dates: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadValue: names the key and what is allowed.
        """
        for key, value in (("days_before", self.days_before), ("warn_days", self.warn_days)):
            if value is not None and not 0 <= value <= _MOST_DAYS:
                raise BadValue(key, f"must be 0 to {_MOST_DAYS}, not {value}")
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", self.at):
            raise BadValue("at", f"{self.at!r} is no time of day; write one as 10:00")

    @property
    def starts_at(self) -> time:
        """Return the time of day, on the clock of the exchange, from which a session rolls by itself."""
        return time.fromisoformat(self.at)


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What a person changes in the rule of a root, for all sessions: `days_before`, and the `months` to roll into.

    `days_before` and `dates` are as in `RollPolicy`, where a session's own win; `months` are letters as in contract
    codes. What is None or empty stays as the rule has it.
    """

    days_before: int | None = None
    months: str = ""
    dates: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the range of the days.

        Raises:
            BadValue: it is left.
        """
        if self.days_before is not None and not 0 <= self.days_before <= _MOST_DAYS:
            raise BadValue("days_before", f"must be 0 to {_MOST_DAYS}, not {self.days_before}")


class NoRoll(Refusal):
    """A roll that cannot be; caught by whoever asked for it."""


@dataclass(frozen=True, slots=True)
class RollPlan:
    """What a contract's rule says: the `last_day` to be out by, why that one, and the day to roll on into `into`.

    `why` says what else than the rule of days decided on the day, empty when nothing else did.
    """

    contract: Contract
    into: Contract
    basis: str
    days_before: int
    last_day: date
    roll_on: date
    why: str = ""

    def days_left(self, day: date) -> int:
        """Return the business days from a trade date to the day of the roll; negative when that has passed."""
        if day <= self.roll_on:
            return business_days(day, self.roll_on)
        return -business_days(self.roll_on, day)

    def days_to_end(self, day: date) -> int:
        """Return the business days from a trade date to the last day to be out by; negative when that has passed."""
        return business_days(day, self.last_day) if day <= self.last_day else -business_days(self.last_day, day)


def roll_plan(contract: Contract, policy: RollPolicy, crossed: date | None = None) -> RollPlan:
    """Return when and into what a session with this policy leaves its contract.

    `crossed` is the first business day on which the next contract traded more, None before it or where nobody knows.
    """
    rule = _RULES[contract.root]
    days = rule.days_before if policy.days_before is None else policy.days_before
    ends = last_day(rule, contract)
    plan = RollPlan(contract, next_contract(contract), rule.basis, days, ends, before(ends, days))
    for dates, who in ((policy.dates, "the session"), (_DATES.get(contract.root, {}), "conf/tradeproc.toml")):
        if contract.code in dates:
            # closures that were announced since may have brought the end forward
            named = min(date.fromisoformat(dates[contract.code]), ends)
            return replace(plan, roll_on=named, why=f"on the date of {who}")
    if policy.rule is RollRule.VOLUME and crossed is not None and (following := after(crossed, 1)) < plan.roll_on:
        return replace(plan, roll_on=following, why=f"{plan.into} traded more than {contract} on {crossed}")
    return plan


def doubt_of(root: str) -> str:
    """Return what of a root's rule is not confirmed, empty when nothing is in doubt."""
    return TABLE_RULES[root].doubt


def change_rules(changes: Mapping[str, RuleChange]) -> None:
    """Put changes of rules in force in this process, by root; they replace those made before.

    Raises:
        BadValue: there is no such root, it has no such month, or a date cannot be; those made before stay in force.
    """
    for root, change in changes.items():
        if root not in TABLE_RULES:
            raise BadValue(root, f"is no product; {nearest(root, list(TABLE_RULES))}")
        listed = INSTRUMENTS[root].months
        if set(change.months) - set(listed):
            raise BadValue(root, f"months {change.months!r}: the months of {root} are {listed}")
        check_dates(root, change.dates)
    _RULES.clear()
    _RULES.update(TABLE_RULES)
    _DATES.clear()
    for root, change in changes.items():
        rule = TABLE_RULES[root]
        days = rule.days_before if change.days_before is None else change.days_before
        _RULES[root] = replace(rule, days_before=days, months=change.months or rule.months)
        _DATES[root] = change.dates


def check_time(policy: RollPolicy, hours: MarketHours) -> None:
    """Check that a session that rolls by itself can begin after its time `at` and before its market closes.

    It rolls on the date of the trading day, so that an evening, which belongs to the next day, is too late.

    Raises:
        BadValue: on a usual day of these market hours it could never begin.
    """
    if policy.mode is not RollMode.AUTO:
        return
    closes = datetime.combine(date.min, hours.usual_hours[-1][1])
    latest = (closes - timedelta(microseconds=LEAST_LEFT // 1000)).time()
    if policy.starts_at < latest:
        return
    open_times = ", ".join(f"{opened:%H:%M} to {closed:%H:%M}" for opened, closed in hours.usual_hours)
    raise BadValue(
        "at",
        f"{policy.at!r} is too late, it would never roll by itself: {hours.key} trades from {open_times} "
        f"{hours.zone.key}, and a roll needs {LEAST_LEFT // MINUTE} minutes before the close; "
        f"write a time before {latest:%H:%M}",
    )


def check_dates(root: str, dates: Mapping[str, str]) -> None:
    """Check days of rolls that a person names now, by contract of a root.

    Raises:
        BadValue: names the contract, and what is wrong with it or with its day.
    """
    check_form_of_dates(root, dates)
    for code, text in dates.items():
        rule, day = TABLE_RULES[root], date.fromisoformat(text)
        ends = last_day(rule, Contract.parse(code))
        if day > ends:
            raise _bad_date(code, text, f"after the {rule.basis} on {ends}")
        if business_days(day, ends) > _MOST_DAYS:
            raise _bad_date(code, text, f"more than {_MOST_DAYS} business days before the {rule.basis} on {ends}")
        if not is_business(day):
            raise _bad_date(code, text, "no business day of the exchange")


def check_form_of_dates(root: str, dates: Mapping[str, str]) -> None:
    """Check that these are contracts of a root and dates; what is stored must stay readable when calendars change.

    Raises:
        BadValue: names the contract, and what is wrong with it or with its day.
    """
    listed = INSTRUMENTS[root].months
    for code, text in dates.items():
        try:
            contract = Contract.parse(code)
        except BadContract as bad:
            raise _bad_date(code, text, str(bad)) from None
        is_listed = contract.root == root and MONTH_LETTERS[contract.month - 1] in listed
        if not is_listed or code != contract.code:
            raise _bad_date(code, text, f"no contract of {root}, whose months are {listed}")
        try:
            date.fromisoformat(text)
        except ValueError:
            raise _bad_date(code, text, "no date; write one as 2025-12-10") from None


def _bad_date(code: str, text: str, problem: str) -> BadValue:
    return BadValue("dates", f"{code} = {text}: {problem}")


def next_contract(contract: Contract) -> Contract:
    """Return the next contract of the root that is traded much."""
    months, found = _RULES[contract.root].months, contract
    while True:
        found = Contract(found.root, found.year + found.month // 12, found.month % 12 + 1)
        if MONTH_LETTERS[found.month - 1] in months:
            return found


def check_roll(contract: Contract, into: Contract) -> None:
    """Check that a position may roll from one contract into another.

    Raises:
        NoRoll: it is of another root, or not later.
    """
    if into.root != contract.root:
        raise NoRoll(f"{into} is no contract of {contract.root}; a roll stays in its root")
    if (into.year, into.month) <= (contract.year, contract.month):
        raise NoRoll(f"{into} is not later than {contract}")


_RULES: dict[str, Rule] = dict(TABLE_RULES)
"""The rules in force: those of the table, changed by a person."""
_DATES: dict[str, Mapping[str, str]] = {}
"""The days of rolls that conf/tradeproc.toml names, by root."""
