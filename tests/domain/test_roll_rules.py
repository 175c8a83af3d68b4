"""Last days of contracts that have ended, as they were published, and what follows from them."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.desk import spec
from tradeproc.domain.instruments import INSTRUMENTS, MONTH_LETTERS, Contract
from tradeproc.domain.records import BadValue
from tradeproc.domain.roll_rules import (
    BackAdjust,
    NoRoll,
    RollMode,
    RollPolicy,
    RollRule,
    check_dates,
    check_roll,
    doubt_of,
    next_contract,
    roll_plan,
)
from tradeproc.domain.roll_table import TABLE_RULES
from tradeproc.domain.session import BadSession, SessionSpec

# contract, last day to be out by, next contract
KNOWN = """
ESH24 2024-03-15 ESM24
MNQM24 2024-06-21 MNQU24
6EH24 2024-03-18 6EM24
6CH24 2024-03-19 6CM24
ZNH24 2024-02-29 ZNM24
ZTM24 2024-05-31 ZTU24
CLF24 2023-12-19 CLG24
CLG24 2024-01-22 CLH24
MCLG24 2024-01-19 MCLH24
NGG24 2024-01-29 NGH24
RBG24 2024-01-31 RBH24
GCG24 2024-01-31 GCJ24
GCQ24 2024-07-31 GCZ24
SIH24 2024-02-29 SIK24
PLF24 2023-12-29 PLJ24
ZCH24 2024-02-29 ZCK24
ZSX24 2024-10-31 ZSF25
LEG24 2024-02-05 LEJ24
LEJ24 2024-04-08 LEM24
LEM24 2024-06-10 LEQ24
LEV24 2024-10-07 LEZ24
GCG26 2026-01-30 GCJ26
GCM26 2026-05-29 GCQ26
SIH26 2026-02-27 SIK26
HGU26 2026-08-31 HGZ26
PLV26 2026-09-30 PLF27
ZCK26 2026-04-30 ZCN26
HEG24 2024-02-14 HEJ24
GFF24 2024-01-25 GFH24
GFX24 2024-11-21 GFF25
GFX23 2023-11-16 GFF24
ESM23 2023-06-16 ESU23
ESZ23 2023-12-15 ESH24
ESZ25 2025-12-19 ESH26
NQU25 2025-09-19 NQZ25
6EZ23 2023-12-18 6EH24
6EM25 2025-06-16 6EU25
6JU24 2024-09-16 6JZ24
6CZ24 2024-12-17 6CH25
ZNM25 2025-05-30 ZNU25
ZBU24 2024-08-30 ZBZ24
CLK20 2020-04-21 CLM20
CLN23 2023-06-20 CLQ23
CLN24 2024-06-20 CLQ24
CLZ24 2024-11-20 CLF25
CLF25 2024-12-19 CLG25
CLG25 2025-01-21 CLH25
CLH25 2025-02-20 CLJ25
CLK25 2025-04-22 CLM25
CLZ25 2025-11-20 CLF26
NGF25 2024-12-27 NGG25
GCZ24 2024-11-29 GCG25
GCM25 2025-05-30 GCQ25
SIZ23 2023-11-30 SIH24
HGK25 2025-04-30 HGN25
ZCZ23 2023-11-30 ZCH24
ZCN25 2025-06-30 ZCU25
ZSN24 2024-06-28 ZSX24
LEJ13 2013-04-08 LEM13
LEZ23 2023-12-04 LEG24
HEZ24 2024-12-13 HEG25
"""


@pytest.mark.parametrize("line", KNOWN.strip().splitlines())
def test_the_last_day_and_the_next_contract_are_the_exchanges(line: str) -> None:
    code, last_day, following = line.split()

    plan = roll_plan(Contract.parse(code), RollPolicy())

    assert (plan.last_day, plan.into.code) == (date.fromisoformat(last_day), following)


def test_every_instrument_has_a_rule() -> None:
    assert frozenset(INSTRUMENTS) == frozenset(TABLE_RULES)
    assert all(rule.text for rule in TABLE_RULES.values())
    assert {root for root in INSTRUMENTS if doubt_of(root)} == {"MGC", "LE", "GF"}


@given(st.sampled_from(sorted(TABLE_RULES)), st.integers(2016, 2035), st.integers(1, 12), st.integers(0, 60))
def test_a_roll_is_on_a_business_day_before_the_end_and_goes_forward(
    root: str, year: int, month: int, days: int
) -> None:
    contract = Contract(root, year, month)

    plan = roll_plan(contract, RollPolicy(days_before=days))

    assert plan.days_left(plan.roll_on) == 0
    assert plan.days_to_end(plan.roll_on) == days
    assert plan.roll_on <= plan.last_day
    assert (plan.into.year, plan.into.month) > (contract.year, contract.month)
    assert MONTH_LETTERS[plan.into.month - 1] in INSTRUMENTS[root].months
    check_roll(contract, plan.into)


def test_days_are_counted_over_a_holiday_on_which_index_futures_trade() -> None:
    plan = roll_plan(Contract.parse("ESH24"), RollPolicy())

    # 2024-02-19 was Presidents' Day: a short session, no business day
    assert plan.roll_on == date(2024, 3, 8)
    assert plan.days_left(date(2024, 2, 16)) == 14
    assert plan.days_left(date(2024, 3, 11)) == -1


def test_a_chain_of_rolls_visits_each_traded_month_once() -> None:
    contract, chain = Contract.parse("GCG24"), []
    for _ in range(5):
        contract = next_contract(contract)
        chain.append(contract.code)

    assert chain == ["GCJ24", "GCM24", "GCQ24", "GCZ24", "GCG25"]


@pytest.mark.parametrize(
    ("into", "problem"), [("NQM24", "no contract of ES"), ("ESH24", "not later"), ("ESZ23", "not later")]
)
def test_a_roll_elsewhere_or_backwards_is_refused(into: str, problem: str) -> None:
    with pytest.raises(NoRoll, match=problem):
        check_roll(Contract.parse("ESH24"), Contract.parse(into))


@pytest.mark.parametrize("key", ["days_before", "warn_days"])
def test_a_policy_out_of_range_is_refused(key: str) -> None:
    with pytest.raises(BadValue, match=key):
        RollPolicy(**{key: -1})


@pytest.mark.parametrize("at", ["24:00", "9:30", "", "10:00\n"])
def test_a_time_of_day_that_is_none_is_refused(at: str) -> None:
    with pytest.raises(BadValue, match="at: "):
        RollPolicy(at=at)


def test_the_commented_table_of_the_example_shows_the_defaults() -> None:
    lines = (Path(__file__).parents[2] / "conf/sessions/example.toml").read_text().splitlines()
    table = lines[lines.index("# [roll]") + 1 : lines.index("# [schedule]")]
    shown = {
        name: value for name, sign, value in (line.removeprefix("# ").partition(" = ") for line in table) if sign
    }

    policy = RollPolicy(days_before=5)
    assert shown == {key: json.dumps(value) for key, value in asdict(policy).items()}


def test_a_specification_comes_back_with_its_policy_and_without_one_as_earlier_versions_know_it() -> None:
    policy = RollPolicy(RollMode.AUTO, days_before=3, back_adjust=BackAdjust.RATIO)
    newer = RollPolicy(rule=RollRule.VOLUME, dates={"ESH24": "2024-03-06"})

    assert SessionSpec.from_dict(spec(roll=policy).to_dict()) == spec(roll=policy)
    assert SessionSpec.from_dict(json.loads(json.dumps(spec(roll=newer).to_dict()))) == spec(roll=newer)
    assert "roll" not in spec().to_dict()
    assert not {"rule", "dates"} & spec(roll=policy).to_dict()["roll"].keys()


def test_a_crossing_of_volumes_rolls_earlier_and_never_later_than_the_rule_of_days() -> None:
    contract, policy = Contract.parse("ESH24"), RollPolicy(rule=RollRule.VOLUME)
    by_days = roll_plan(contract, RollPolicy())

    crossed = roll_plan(contract, policy, date(2024, 2, 16))
    assert (crossed.roll_on, crossed.why) == (date(2024, 2, 20), "ESM24 traded more than ESH24 on 2024-02-16")
    for late in (None, date(2024, 3, 7), date(2024, 3, 12)):
        assert roll_plan(contract, policy, late) == by_days
    assert roll_plan(contract, RollPolicy(), date(2024, 2, 16)) == by_days


def test_a_date_of_the_session_counts_before_volumes_and_days() -> None:
    contract = Contract.parse("ESH24")
    policy = RollPolicy(rule=RollRule.VOLUME, dates={"ESH24": "2024-03-13"})

    plan = roll_plan(contract, policy, date(2024, 2, 16))

    assert (plan.roll_on, plan.why) == (date(2024, 3, 13), "on the date of the session")
    assert roll_plan(contract.parse("ESM24"), policy) == roll_plan(contract.parse("ESM24"), RollPolicy())


@pytest.mark.parametrize(
    ("code", "day", "problem"),
    [
        ("ESH24", "2024-03-16", "after the last trade on 2024-03-15"),
        ("ESH24", "2023-03-10", "more than 60 business days before the last trade"),
        ("ESH24", "2024-03-09", "no business day"),
        ("ESH24", "2024-02-19", "no business day"),
        ("ESH24", "soon", "no date"),
        ("ESH24", "", "no date"),
        ("NQH24", "2024-03-08", "no contract of ES"),
        ("ESG24", "2024-02-08", "whose months are HMUZ"),
        ("ES", "2024-03-08", "is no contract"),
        ("ESH\u0662\u0664", "2024-03-08", "no contract of ES"),
    ],
)
def test_a_date_that_cannot_be_is_refused_with_its_contract(code: str, day: str, problem: str) -> None:
    with pytest.raises(BadValue, match=problem) as refused:
        check_dates("ES", {"ESM24": "2024-06-13", code: day})

    assert f"{code} = {day}" in str(refused.value)


def test_a_stored_date_stays_readable_when_the_calendar_says_now_that_it_cannot_be() -> None:
    late = RollPolicy(dates={"ESH24": "2024-03-16"})

    assert SessionSpec.from_dict(spec(roll=late).to_dict()) == spec(roll=late)
    assert roll_plan(Contract.parse("ESH24"), late).roll_on == date(2024, 3, 15), "the last day is the latest"
    with pytest.raises(BadSession, match="NQH24"):
        SessionSpec.from_dict({**spec().to_dict(), "roll": {"dates": {"NQH24": "2024-03-08"}}})
