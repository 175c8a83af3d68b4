"""Each root's rule of its last day, as the exchange's contract specification says it, and the dates that follow.

These sentences are the exchanges' rules for termination of trading and for delivery notices as they are commonly
known and published by brokers; they were written down without the rulebooks at hand. Dates that were published are in
`tests/domain/test_roll_rules.py`. A rule with a `doubt` has a case that no published date has confirmed here: whoever
creates a session of it is told, compares the date with the exchange's calendar, and corrects it by `days_before` or
by a date of its own.

Days are business days of the exchange: the grain calendar, which rests on every holiday of the exchanges, where
others trade a short session that counts to the next day.
"""

from datetime import date, timedelta

from tradeproc.domain.calendar_table import FIRST, LAST
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import Contract
from tradeproc.domain.market_hours import market_hours

_DAY = timedelta(days=1)
_WEDNESDAY, _THURSDAY, _FRIDAY = 2, 3, 4
_NOVEMBER = 11


@dataclass(frozen=True, slots=True)
class Rule:
    """When a root's contracts end.

    `ends` names the rule of the last day, `basis` says in two words what that day is, and `text` is the contract
    specification's sentence. `days_before` are business days, `months` the letters of those that trade much. `doubt`
    says what of it is not confirmed, empty when nothing is in doubt.
    """

    ends: str
    basis: str
    days_before: int
    months: str
    text: str
    doubt: str = ""


_FX = "FX futures, termination of trading: 9:16 a.m. Chicago time"
_NOTICE = "first notice is the last business day of the month that precedes the delivery month"

# roots, rule of the last day, days before it, months that are traded much; then the specification's sentence in
# short, and after "doubt:" what of it no published date confirms
_TABLE = f"""
ES MES|third friday|5|HMUZ
    CME chapter 358 and its micro: trading ends at 9:30 a.m. in New York on the month's third Friday
NQ MNQ|third friday|5|HMUZ
    CME chapter 359 and its micro: trading ends at 9:30 a.m. in New York on the month's third Friday
YM MYM|third friday|5|HMUZ
    CBOT E-mini and micro Dow: trading ends at 9:30 a.m. in New York on the month's third Friday
RTY M2K|third friday|5|HMUZ
    CME E-mini and micro Russell: trading ends at 9:30 a.m. in New York on the month's third Friday
6E M6E 6B 6A 6J 6S 6N|two before third wednesday|5|HMUZ
    CME {_FX} on the second business day before the third Wednesday of the contract month
6C|one before third wednesday|5|HMUZ
    CME {_FX} on the business day before the third Wednesday of the contract month
ZB ZN TN ZF ZT|notice month before|2|HMUZ
    CBOT Treasury futures, delivery: {_NOTICE}
CL|crude|3|FGHJKMNQUVXZ
    NYMEX chapter 200: trading ends three business days before the 25th of the month that precedes the contract \
month, or before the business day that precedes the 25th where that is none
MCL|micro crude|3|FGHJKMNQUVXZ
    NYMEX Micro WTI: trading ends one business day before the light sweet crude contract of the same month
NG|three before month|3|FGHJKMNQUVXZ
    NYMEX Henry Hub: trading ends on the third last business day of the month that precedes the contract month
RB HO|last day before month|5|FGHJKMNQUVXZ
    NYMEX RBOB and ULSD: trading ends on the last business day of the month that precedes the contract month
GC|notice month before|3|GJMQZ
    COMEX gold, delivery: {_NOTICE}
MGC|notice month before|3|GJMQZ
    COMEX micro gold, delivery: {_NOTICE}
    doubt: its first notice is taken to be that of GC
SI HG|notice month before|3|HKNUZ
    COMEX silver and copper, delivery: {_NOTICE}
PL|notice month before|3|FJNV
    NYMEX platinum, delivery: {_NOTICE}
ZC ZW|notice month before|5|HKNUZ
    CBOT corn and wheat, delivery: {_NOTICE}
ZS|notice month before|5|FHKNX
    CBOT soybeans, delivery: {_NOTICE}
LE|monday after first friday|5|GJMQVZ
    CME chapter 101: certificates are tendered from the Monday after the first Friday of the contract month on
    doubt: which day it is when that Monday is a holiday
HE|tenth day|5|GJMNQVZ
    CME chapter 152: trading ends on the tenth business day of the contract month
GF|last thursday|5|FHJKQUVX
    CME chapter 102: trading ends on the last Thursday of the contract month, in November on the Thursday before \
Thanksgiving; a Thursday that is a holiday, or has one on the four weekdays before it, gives way to the one before
    doubt: months with a holiday on the last Thursday or the four weekdays before it
"""
_BASES = {"notice month before": "first notice", "monday after first friday": "first notice"}


def _read_table() -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    roots, words, said = "", ("", "", ""), ["", ""]

    def keep() -> None:
        ends, days, months = words
        basis = _BASES.get(ends, "last trade")
        found.update({root: Rule(ends, basis, int(days), months, said[0], said[1]) for root in roots.split()})

    for line in _TABLE.strip().splitlines():
        text = line.strip()
        if not line.startswith(" "):
            if roots:
                keep()
            roots, ends, days, months = line.split("|")
            words, said = (ends, days, months), ["", ""]
        elif text.startswith("doubt: "):
            said[1] = text.removeprefix("doubt: ")
        else:
            said[0] = text
    keep()
    return found


TABLE_RULES = _read_table()
"""The rules by root; a test holds the roots against the instruments."""


def last_day(rule: Rule, contract: Contract) -> date:
    """Return the last day to be out of a contract by."""
    first = date(contract.year, contract.month, 1)
    match rule.ends:
        case "third friday":
            return on_or_before(_weekday(first, _FRIDAY, 3))
        case "two before third wednesday":
            return before(_weekday(first, _WEDNESDAY, 3), 2)
        case "one before third wednesday":
            return before(_weekday(first, _WEDNESDAY, 3), 1)
        case "notice month before" | "last day before month":
            return before(first, 1)
        case "crude" | "micro crude":
            return _crude(first, 3 if rule.ends == "crude" else 4)
        case "three before month":
            return before(first, 3)
        case "monday after first friday":
            return _on_or_after(_weekday(first, _FRIDAY, 1) + 3 * _DAY)
        case "tenth day":
            return after(first - _DAY, 10)
        case _:
            return _last_thursday(first)


def _crude(first: date, days: int) -> date:
    """Return so many business days before the 25th of the month before, or the business day that precedes it."""
    return before(on_or_before((first - _DAY).replace(day=25)), days)


def _last_thursday(first: date) -> date:
    """Return the last Thursday of a month of which neither it nor the four weekdays before it are holidays.

    In November it is the one before Thanksgiving, also where the month has a fifth Thursday.
    """
    if first.month == _NOVEMBER:
        day = _weekday(first, _THURSDAY, 3)
    else:
        day = (first + 31 * _DAY).replace(day=1) - _DAY
    while day.weekday() != _THURSDAY:
        day -= _DAY
    while not all(is_business(day - days * _DAY) for days in (0, 1, 2, 3, 6)):
        day -= 7 * _DAY
    return day


def _weekday(first: date, weekday: int, number: int) -> date:
    return first + ((weekday - first.weekday()) % 7 + 7 * (number - 1)) * _DAY


# --- business days


def is_business(day: date) -> bool:
    """Tell whether a day is a business day of the exchanges; outside the calendar no holiday is known."""
    if day.weekday() > _FRIDAY:
        return False
    if not date.fromisoformat(FIRST) <= day <= date.fromisoformat(LAST):
        return True
    return market_hours("cbot_grains").session_of(day) is not None


def on_or_before(day: date) -> date:
    """Return this day, or the business day before it where it is none."""
    while not is_business(day):
        day -= _DAY
    return day


def _on_or_after(day: date) -> date:
    while not is_business(day):
        day += _DAY
    return day


def before(day: date, count: int) -> date:
    """Return the day that lies `count` business days before another one, which need not be one."""
    for _ in range(count):
        day = on_or_before(day - _DAY)
    return day


def after(day: date, count: int) -> date:
    """Return the day that lies `count` business days after another one, which need not be one."""
    for _ in range(count):
        day = _on_or_after(day + _DAY)
    return day


def business_days(start: date, end: date) -> int:
    """Return how many business days lie after `start` up to and with `end`."""
    return sum(is_business(start + number * _DAY) for number in range(1, (end - start).days + 1))
