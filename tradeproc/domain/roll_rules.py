"""When a contract ends, when a session leaves it, and into which one it rolls.

A contract that is settled in cash can be held until its last trade; one that is delivered must be left before its
first notice. Energy and currencies are delivered after their last trade, so for them that is the day to be out by.
Days are business days of the exchange: the grain calendar, which rests on every holiday of the exchanges, where
others trade a short session that counts to the next day.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from enum import StrEnum

from tradeproc.domain.calendar_table import FIRST, LAST
from tradeproc.domain.instruments import INSTRUMENTS, MONTH_LETTERS, Contract
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.records import BadValue, nearest
from tradeproc.errors import Refusal

_DAY = timedelta(days=1)
_WEDNESDAY, _THURSDAY, _FRIDAY = 2, 3, 4
_MOST_DAYS = 60


class RollMode(StrEnum):
    """Who rolls a session into its next contract."""

    AUTO = "auto"
    """The session itself, on the day of its rule."""
    MANUAL = "manual"
    """A person; alarms tell when it is time."""
    OFF = "off"
    """Nobody, and no alarm speaks of it."""


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
    from the time `at` of the exchange's clock on, while its market is open.
    """

    mode: RollMode = RollMode.MANUAL
    days_before: int | None = None
    warn_days: int = 5
    at: str = "10:00"
    back_adjust: BackAdjust = BackAdjust.DIFFERENCE

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

    `days_before` is as in `RollPolicy`, where a session's own wins; `months` are letters as in contract codes. What
    is None or empty stays as the rule has it.
    """

    days_before: int | None = None
    months: str = ""

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
    """What a contract's rule says: the `last_day` to be out by, why that one, and the day to roll on into `into`."""

    contract: Contract
    into: Contract
    basis: str
    days_before: int
    last_day: date
    roll_on: date

    def days_left(self, day: date) -> int:
        """Return the business days from a trade date to the day of the roll; negative when that has passed."""
        if day <= self.roll_on:
            return _count(day, self.roll_on)
        return -_count(self.roll_on, day)

    def days_to_end(self, day: date) -> int:
        """Return the business days from a trade date to the last day to be out by; negative when that has passed."""
        return _count(day, self.last_day) if day <= self.last_day else -_count(self.last_day, day)


def roll_plan(contract: Contract, policy: RollPolicy) -> RollPlan:
    """Return when and into what a session with this policy leaves its contract."""
    rule = _RULES[contract.root]
    days = rule.days_before if policy.days_before is None else policy.days_before
    last_day = _last_day(rule, contract)
    return RollPlan(contract, next_contract(contract), rule.basis, days, last_day, _before(last_day, days))


def change_rules(changes: Mapping[str, RuleChange]) -> None:
    """Put changes of rules in force in this process, by root; they replace those made before.

    Raises:
        BadValue: there is no such root, or it has no such month; those made before stay in force.
    """
    for root, change in changes.items():
        if root not in _TABLE_RULES:
            raise BadValue(root, f"is no product; {nearest(root, list(_TABLE_RULES))}")
        listed = INSTRUMENTS[root].months
        if set(change.months) - set(listed):
            raise BadValue(root, f"months {change.months!r}: the months of {root} are {listed}")
    _RULES.clear()
    _RULES.update(_TABLE_RULES)
    for root, change in changes.items():
        rule = _TABLE_RULES[root]
        days = rule.days_before if change.days_before is None else change.days_before
        _RULES[root] = replace(rule, days_before=days, months=change.months or rule.months)


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


# --- the rules


@dataclass(frozen=True, slots=True)
class _Rule:
    """`ends` names the rule of the last day, `basis` says it to people, `months` are those that are rolled into."""

    ends: str
    basis: str
    days_before: int
    months: str


# roots, rule of the last day, days before it, months that are traded much.
# These are the exchange's rules for termination of trading and delivery notices as they are commonly known, written
# down without its rulebook at hand. A person compares the date that `session show` tells with the exchange's calendar
# before the first roll of a product, and corrects it by `days_before`. Single dates of 2008 to 2026 that brokers and
# market reports have published are in tests/domain/test_roll_rules.py. Equity index: third Friday; FX: two business
# days before the third Wednesday, 6C one; treasuries, metals and grains: first notice is the last business day before
# the delivery month; crude: three business days before the 25th of the month before; MCL: one day before CL; gas:
# three before the first; products: the last business day before; cattle: first notice is the Monday after the month's
# first Friday; hogs: the tenth business day; feeders: the last Thursday without a holiday on it or the four weekdays
# before. The months are those with most open interest.
_TABLE = """
ES MES NQ MNQ YM MYM RTY M2K|third friday|5|HMUZ
6E M6E 6B 6A 6J 6S 6N|two before third wednesday|5|HMUZ
6C|one before third wednesday|5|HMUZ
ZB ZN TN ZF ZT|notice month before|2|HMUZ
CL|crude|3|FGHJKMNQUVXZ
MCL|micro crude|3|FGHJKMNQUVXZ
NG|three before month|3|FGHJKMNQUVXZ
RB HO|last day before month|5|FGHJKMNQUVXZ
GC MGC|notice month before|3|GJMQZ
SI HG|notice month before|3|HKNUZ
PL|notice month before|3|FJNV
ZC ZW|notice month before|5|HKNUZ
ZS|notice month before|5|FHKNX
LE|monday after first friday|5|GJMQVZ
HE|tenth day|5|GJMNQVZ
GF|last thursday|5|FHJKQUVX
"""
_BASES = {
    "notice month before": "first notice",
    "monday after first friday": "first notice",
}


def _read_table() -> dict[str, _Rule]:
    rows = [line.split("|") for line in _TABLE.strip().splitlines()]
    return {
        root: _Rule(ends, _BASES.get(ends, "last trade"), int(days), months)
        for roots, ends, days, months in rows
        for root in roots.split()
    }


_TABLE_RULES = _read_table()
_RULES = dict(_TABLE_RULES)
"""The rules in force: those of the table, changed by a person."""
ROOTS = frozenset(_TABLE_RULES)
"""The roots that have a rule; a test holds them against the instruments."""


def _last_day(rule: _Rule, contract: Contract) -> date:
    first = date(contract.year, contract.month, 1)
    match rule.ends:
        case "third friday":
            return _on_or_before(_weekday(first, _FRIDAY, 3))
        case "two before third wednesday":
            return _before(_weekday(first, _WEDNESDAY, 3), 2)
        case "one before third wednesday":
            return _before(_weekday(first, _WEDNESDAY, 3), 1)
        case "notice month before" | "last day before month":
            return _before(first, 1)
        case "crude" | "micro crude":
            return _crude(first, 3 if rule.ends == "crude" else 4)
        case "three before month":
            return _before(first, 3)
        case "monday after first friday":
            return _on_or_after(_weekday(first, _FRIDAY, 1) + 3 * _DAY)
        case "tenth day":
            return _after(first - _DAY, 10)
        case _:
            return _last_thursday(first)


def _crude(first: date, days: int) -> date:
    """Return so many business days before the 25th of the month before, or the business day that precedes it."""
    return _before(_on_or_before((first - _DAY).replace(day=25)), days)


def _last_thursday(first: date) -> date:
    """Return the last Thursday of a month of which neither it nor the four weekdays before it are holidays."""
    after = (first + 31 * _DAY).replace(day=1)
    day = after - _DAY
    while day.weekday() != _THURSDAY:
        day -= _DAY
    while not all(_is_business(day - days * _DAY) for days in (0, 1, 2, 3, 6)):
        day -= 7 * _DAY
    return day


def _weekday(first: date, weekday: int, number: int) -> date:
    return first + ((weekday - first.weekday()) % 7 + 7 * (number - 1)) * _DAY


def _is_business(day: date) -> bool:
    if day.weekday() > _FRIDAY:
        return False
    if not date.fromisoformat(FIRST) <= day <= date.fromisoformat(LAST):
        return True  # outside the calendar no holiday is known
    return market_hours("cbot_grains").session_of(day) is not None


def _on_or_before(day: date) -> date:
    while not _is_business(day):
        day -= _DAY
    return day


def _on_or_after(day: date) -> date:
    while not _is_business(day):
        day += _DAY
    return day


def _before(day: date, count: int) -> date:
    """Return the day that lies `count` business days before another one, which need not be one."""
    for _ in range(count):
        day = _on_or_before(day - _DAY)
    return day


def _after(day: date, count: int) -> date:
    for _ in range(count):
        day = _on_or_after(day + _DAY)
    return day


def _count(start: date, end: date) -> int:
    """Return how many business days lie after `start` up to and with `end`."""
    return sum(_is_business(start + number * _DAY) for number in range(1, (end - start).days + 1))
