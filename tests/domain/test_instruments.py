"""Instruments: which contracts an exchange lists at all."""

import pytest

from tradeproc.domain.instruments import INSTRUMENTS, MONTH_LETTERS, NoSuchMonth, check_listed


@pytest.mark.parametrize("code", ["ESH24", "ESZ26", "CLQ24", "NGF25", "ZCN24", "LEJ24", "GCV24", "6EJ24", "ZSX24"])
def test_a_listed_month_is_fine(code: str) -> None:
    check_listed(code)


@pytest.mark.parametrize(
    ("code", "months"),
    [
        ("ESQ24", "H (Mar), M (Jun), U (Sep), Z (Dec)"),
        ("ZNF25", "H (Mar), M (Jun), U (Sep), Z (Dec)"),
        ("ZCF25", "H (Mar), K (May), N (Jul), U (Sep), Z (Dec)"),
        ("LEH24", "G (Feb), J (Apr), M (Jun), Q (Aug), V (Oct), Z (Dec)"),
    ],
)
def test_a_month_without_delivery_is_refused_with_the_months_there_are(code: str, months: str) -> None:
    with pytest.raises(NoSuchMonth) as refused:
        check_listed(code)

    assert str(refused.value) == f"{code} does not exist; {code[:2]} has the delivery months {months}"


def test_every_instrument_has_months_in_their_order() -> None:
    for each in INSTRUMENTS.values():
        assert each.months, each.root
        assert "".join(sorted(set(each.months), key=MONTH_LETTERS.index)) == each.months
