"""Brokers that are only half of one, run through the contract: what they declare not to be is not asked of them."""

from collections.abc import Iterator

import pytest

from tests.brokers import toys
from tradeproc.brokers.contract import lacks, trading_lacks
from tradeproc.brokers.registry import BadBroker, broker, check_broker
from tradeproc.testing.brokers import OverLocalBroker, RunningBroker
from tradeproc.testing.contract import BrokerContract


class DataDesk(OverLocalBroker):
    broker = toys.DATA_ONLY  # type: ignore[assignment]  # half of the protocol, which is the point
    password = toys.PASSWORD


class AccountsDesk(OverLocalBroker):
    broker = toys.ACCOUNTS_ONLY  # type: ignore[assignment]  # half of the protocol, which is the point


class TestDataOnly(BrokerContract):
    @pytest.fixture
    def desk(self, running: RunningBroker, fresh_accounts: Iterator[str]) -> Iterator[OverLocalBroker]:
        yield DataDesk(running, next(fresh_accounts))
        running.control.clear_faults()


class TestAccountsOnly(BrokerContract):
    @pytest.fixture
    def desk(self, running: RunningBroker, fresh_accounts: Iterator[str]) -> Iterator[OverLocalBroker]:
        yield AccountsDesk(running, next(fresh_accounts))
        running.control.clear_faults()


def test_what_a_session_would_miss_is_said_in_one_line() -> None:
    assert trading_lacks(broker("tradestation")) == ""
    assert trading_lacks(toys.DATA_ONLY) == "Toy Data manages no accounts"  # type: ignore[arg-type]
    assert trading_lacks(toys.ACCOUNTS_ONLY) == "Toy Accounts serves no market data"  # type: ignore[arg-type]
    assert not lacks(toys.DATA_ONLY, "bars")  # type: ignore[arg-type]
    assert lacks(toys.DATA_ONLY, "orders") == lacks(toys.DATA_ONLY, "positions") != ""  # type: ignore[arg-type]


def test_a_broker_that_declares_to_be_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toys.DataOnly, "is_data_source", False)

    with pytest.raises(BadBroker, match="neither market data nor accounts"):
        check_broker("toy_data", toys.DATA_ONLY)
