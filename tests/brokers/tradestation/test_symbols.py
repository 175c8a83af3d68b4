from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.brokers.tradestation.examples import PATIENT
from tradeproc.brokers.tradestation.symbols import (
    SYMBOLS,
    TO_BROKER,
    UnsupportedRoot,
    contract_code,
    from_wire,
    to_wire,
)
from tradeproc.domain.instruments import INSTRUMENTS, BadContract, Contract

contracts = st.builds(Contract, st.sampled_from(sorted(TO_BROKER)), st.integers(1970, 2069), st.integers(1, 12))

# by hand from the symbology page: canonical, broker's
PAIRS_TEXT = """
6A AD 6B BP 6C CD 6E EC 6J JY 6L BR 6M MP1 6N NE1 6R RU 6S SF 6Z RA ZB US ZN TY ZF FV ZT TU TN TEN
GE ED ZC C ZS S ZW W ZL BO ZM SM ZO O ZR RR KE KW LE LC HE LH GF FC LBS LB DC DA NKD NK RX REI B BRN
QG QN XC YC XW YW XK YK G ULS Z LZ I LT2 R LJ C CC3 ZQ FF ES ES NQ NQ CL CL M2K M2K 2YY 2YY FDAX
FDAX
"""
PAIRS = PAIRS_TEXT.split()


@pytest.mark.parametrize(("ours", "theirs"), list(zip(PAIRS[::2], PAIRS[1::2], strict=True)))
def test_the_root_map_is_the_one_of_the_symbology_page(ours: str, theirs: str) -> None:
    assert SYMBOLS.to_broker_symbol(Contract(ours, 2026, 3)) == f"{theirs}H26"


def test_no_two_roots_share_a_symbol_and_every_instrument_of_ours_has_one() -> None:
    assert len(set(TO_BROKER.values())) == len(TO_BROKER)
    assert set(INSTRUMENTS) <= set(TO_BROKER)


@PATIENT
@given(contracts)
def test_every_contract_comes_back_from_its_symbol_in_any_case(contract: Contract) -> None:
    symbol = SYMBOLS.to_broker_symbol(contract)

    assert SYMBOLS.to_contract(symbol) == SYMBOLS.to_contract(symbol.lower()) == contract
    assert SYMBOLS.to_root_symbol(symbol) == contract.root


@PATIENT
@given(st.sampled_from(sorted(TO_BROKER)))
def test_every_root_comes_back_from_its_continuous_symbol(root: str) -> None:
    assert SYMBOLS.to_root_symbol(SYMBOLS.to_continuous_symbol(root)) == root
    assert SYMBOLS.supports_symbol(root)
    assert SYMBOLS.supports_continuous_contract(root)


@PATIENT
@given(st.text(max_size=12))
def test_any_text_is_a_contract_or_refused_and_stays_visible(text: str) -> None:
    code = contract_code(text)

    if code.startswith("tradestation:"):
        with pytest.raises((BadContract, UnsupportedRoot)):
            SYMBOLS.to_contract(text)
    else:
        assert SYMBOLS.to_contract(text).code == code


@pytest.mark.parametrize("text", ["ESZ26.D", "ES=11INC", "$SPX.X", "AAPL 240510C167.5", "ESA26", "", "@ES"])
def test_what_is_no_contract_is_refused(text: str) -> None:
    with pytest.raises(BadContract):
        SYMBOLS.to_contract(text)


def test_the_yen_is_quoted_at_a_hundred_times_the_exchange() -> None:
    yen = Contract("6J", 2026, 3)

    assert to_wire(Decimal("0.0063055"), yen) == "0.63055"
    assert from_wire(Decimal("0.63055"), yen.code) == Decimal("0.0063055")


@PATIENT
@given(contracts, st.decimals("0.0000001", "99999", places=7))
def test_prices_survive_the_way_to_the_wire_and_back(contract: Contract, price: Decimal) -> None:
    written = to_wire(price, contract)

    assert "E" not in written
    assert from_wire(Decimal(written), contract.code) == price
