"""What a portfolio may say, and what of it is refused in one line."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.config import BadConfig, read_portfolio
from tradeproc.domain.instruments import GROUPS, INSTRUMENTS
from tradeproc.domain.portfolio import BadPortfolio, PortfolioSpec, share

ROOT = Path(__file__).parents[2]
TABLE: dict[str, Any] = {
    "name": "main",
    "equity": 1000,
    "warn_percent": 4,
    "block_percent": 6,
    "worst_case": 500,
    "worst_case_of": {"ES": 700},
    "group_of": {"6J": "rates"},
    "groups": {"energy": {"warn_percent": 1, "block_percent": 2.5}},
}


def test_a_portfolio_is_read_back_as_it_was_written() -> None:
    spec = PortfolioSpec.from_dict(TABLE)

    assert PortfolioSpec.from_dict(spec.to_dict()) == spec


def test_the_shipped_example_is_a_portfolio_and_shows_every_key() -> None:
    file = ROOT / "conf" / "portfolios" / "example.toml"

    assert read_portfolio(file).name == "main"
    assert [key for key in PortfolioSpec.__dataclass_fields__ if key not in file.read_text()] == []


def test_a_root_has_the_group_of_the_table_unless_the_portfolio_says_otherwise() -> None:
    spec = PortfolioSpec.from_dict(TABLE)

    assert [spec.group(root) for root in ("6J", "6E", "CL")] == ["rates", "fx", "energy"]
    assert {product.group for product in INSTRUMENTS.values()} <= set(GROUPS)


def test_the_terms_of_a_root_have_its_own_worst_case_or_the_default() -> None:
    spec = PortfolioSpec.from_dict(TABLE)

    assert [spec.terms(root, 7).worst_case for root in ("ES", "CL")] == [700, 500]
    assert spec.terms("ES", 7).revision == 7


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Main Portfolio"}, "name: 'Main Portfolio' is not allowed; write up to 32 small letters"),
        ({"name": "a\x00"}, "name: holds a NUL or half a character"),
        ({"equity": 0}, "account: give either account, whose balance is the equity, or equity"),
        ({"account": "SIM1"}, "account: give either account"),
        ({"equity": -1}, "equity: must be above 0, not -1"),
        ({"equity": 2**70}, "equity: expected a number of 64 bits"),
        ({"equity": 0, "account": "a b"}, "account: 'a b' is not allowed"),
        ({"currency": "Dollar"}, "currency: 'Dollar' is no currency"),
        ({"block_percent": 0}, "block_percent: must be above 0 and at most 100, not 0"),
        ({"block_percent": 101}, "block_percent: must be above 0 and at most 100, not 101"),
        ({"warn_percent": 7}, "warn_percent: must be above 0 and at most block_percent 6, not 7"),
        ({"warn_percent": float("nan")}, "warn_percent: expected a finite number"),
        ({"slippage_ticks": -1}, "slippage_ticks: must be 0 to 1000, not -1"),
        ({"worst_case": 0}, "worst_case: must be above 0, not 0"),
        ({"worst_case_of": {"EZ": 1}}, "EZ: unknown instrument"),
        ({"worst_case_of": {"ES": 0}}, "ES: must be above 0, not 0"),
        ({"group_of": {"ES": "shares"}}, "shares: unknown group"),
        ({"groups": {"energie": {"warn_percent": 1, "block_percent": 2}}}, "did you mean 'energy'?"),
        ({"groups": {"energy": {"warn_percent": 3, "block_percent": 2}}}, "[groups.energy] warn_percent: must be"),
        ({"blok_percent": 6}, "blok_percent: unknown key; did you mean 'block_percent'?"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadPortfolio) as refused:
        PortfolioSpec.from_dict({**TABLE, **changes})

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_portfolio_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text('name = "main"\n')

    with pytest.raises(BadConfig, match=r"odd\.toml.*warn_percent: missing"):
        read_portfolio(tmp_path / "odd.toml")


@given(st.decimals(-(10**9), 10**9, places=2), st.floats(0.01, 100))
def test_a_share_is_never_negative_and_never_above_the_equity(equity: Decimal, percent: float) -> None:
    assert 0 <= share(equity, percent) <= max(equity, Decimal(0))
