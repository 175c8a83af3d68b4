"""TradeStation run through the contract, against the local broker: a real server in a process of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tradeproc.brokers.registry import broker_keys
from tradeproc.domain.instruments import Contract
from tradeproc.testing.brokers import ACCOUNTS, OverLocalBroker, RunningBroker, running_local_broker
from tradeproc.testing.candles import write_tape
from tradeproc.testing.contract import BrokerContract

TAKEN: pytest.StashKey[dict[int, int]] = pytest.StashKey()


class TestTradeStation(BrokerContract):
    @pytest.fixture
    def desk(self, running: RunningBroker, fresh_accounts: Iterator[str]) -> Iterator[OverLocalBroker]:
        yield OverLocalBroker(running, next(fresh_accounts))
        running.control.clear_faults()


class BelowZero(OverLocalBroker):
    """The same broker in a contract that trades at and below zero, as crude oil did on 20 April 2020."""

    contract = Contract("CL", 2020, 5)


def below_zero_tape(folder: Path, last: str) -> str:
    """Write trades of half an hour that fall from a dollar to the last price, and return the file's name."""
    opens = 1_587_405_600  # 2020-04-20 18:00 UTC
    prices = [*("1.00", "0.50", "0.01", "0.00", "-0.01", "-2.00"), *[last] * 24]
    trades = [((opens + 60 * minute) * 10**9 + 1, price, 5) for minute, price in enumerate(prices)]
    return str(write_tape(folder / "CLK20_tape.csv", trades))


@pytest.fixture(scope="module", params=["0.00", "-37.63"])
def below_zero(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    tape = below_zero_tape(tmp_path_factory.mktemp("tape"), request.param)
    with running_local_broker(paused=True, accounts=ACCOUNTS, tape=tape, history_minutes=25) as started:
        yield started


class TestTradeStationBelowZero(BrokerContract):
    @pytest.fixture
    def desk(self, below_zero: RunningBroker, request: pytest.FixtureRequest) -> Iterator[OverLocalBroker]:
        taken = request.node.session.stash.setdefault(TAKEN, {})
        number = taken[below_zero.pid] = taken.get(below_zero.pid, -1) + 1
        yield BelowZero(below_zero, ACCOUNTS[number])
        below_zero.control.clear_faults()


def test_every_broker_of_this_package_is_run_through_the_suite() -> None:
    assert broker_keys() == [OverLocalBroker.broker.key]
