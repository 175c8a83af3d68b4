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
    ROOTS,
    BackAdjust,
    NoRoll,
    RollMode,
    RollPolicy,
    check_roll,
    next_contract,
    roll_plan,
)
from tradeproc.domain.session import SessionSpec

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
"""


@pytest.mark.parametrize("line", KNOWN.strip().splitlines())
def test_the_last_day_and_the_next_contract_are_the_exchanges(line: str) -> None:
    code, last_day, following = line.split()

    plan = roll_plan(Contract.parse(code), RollPolicy())

    assert (plan.last_day, plan.into.code) == (date.fromisoformat(last_day), following)


def test_every_instrument_has_a_rule() -> None:
    assert frozenset(INSTRUMENTS) == ROOTS


@given(st.sampled_from(sorted(ROOTS)), st.integers(2016, 2035), st.integers(1, 12), st.integers(0, 60))
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

    assert SessionSpec.from_dict(spec(roll=policy).to_dict()) == spec(roll=policy)
    assert "roll" not in spec().to_dict()
