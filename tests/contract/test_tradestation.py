"""TradeStation run through the contract, against the local broker: a real server in a process of its own."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.contract.broker_suite import BrokerSuite
from tests.contract.under_test import Trouble
from tradeproc.brokers.contract import ClientCredentials, Environment, Login
from tradeproc.brokers.registry import broker, broker_keys
from tradeproc.domain.answers import Known
from tradeproc.domain.instruments import Contract
from tradeproc.domain.units import Price
from tradeproc.localbroker.testing import RunningBroker, running_local_broker

ACCOUNTS = [f"SIM{number:07}F" for number in range(1, 100)]
PLACE = "place"
TAKEN: pytest.StashKey[dict[int, int]] = pytest.StashKey()

# a trouble and the local broker's word for it
FAULTS = {
    Trouble.ANSWER_LOST: ("accept_then_time_out", PLACE),
    Trouble.ANSWER_SPOILED: ("html", PLACE),
    Trouble.TOKEN_REFUSED: ("401", PLACE),
    Trouble.BUSY: ("429", "rest"),
    Trouble.DOWN: ("5xx", "rest,stream"),
    Trouble.STREAM_GO_AWAY: ("go_away", "stream"),
    Trouble.STREAM_CUT: ("cut", "stream"),
    Trouble.STREAM_SPLIT: ("split", "stream"),
}


class LocalTokens:
    """Tokens straight from the local broker, a new one after each refusal."""

    def __init__(self, running: RunningBroker) -> None:
        self.refusals: list[str] = []
        self._running = running
        self._token = running.token()

    def token(self) -> str:
        return self._token

    def refused(self, token: str) -> None:
        self.refusals.append(token)
        self._token = self._running.token()


class TradeStationDesk:
    """TradeStation with one account of a running local broker; satisfies `BrokerUnderTest`."""

    broker = data_broker = broker("tradestation")
    client = ClientCredentials("local", "local", "http://localhost:31022/")
    refresh_token = "local"
    contract = Contract("ES", 2024, 3)

    def __init__(self, running: RunningBroker, account: str) -> None:
        self.account = account
        self.login = Login("local", "tradestation", Environment.PAPER, f"{running.url}/v3", running.url)
        self.tokens = LocalTokens(running)
        self._running = running
        self._last_price = self._ask_last_price()

    def _ask_last_price(self) -> Price:
        source = self.data_broker.data_source(self.login, self.tokens)
        try:
            match source.history(self.contract, 1, 1):
                case Known((*_, newest)):
                    return Price(Decimal(str(newest.close)))
                case other:
                    raise AssertionError(other)
        finally:
            source.shutdown()

    def last_price(self) -> Price:
        return self._last_price

    def make(self, trouble: Trouble) -> None:
        name, target = FAULTS[trouble]
        self._running.control.fault(name, target=target, account=self.account)

    def orders_taken(self) -> int:
        return sum(order["account"] == self.account for order in self._running.control.ledger()["orders"])


@pytest.fixture(scope="module")
def running() -> Iterator[RunningBroker]:
    with running_local_broker(paused=True, accounts=ACCOUNTS) as started:
        yield started


@pytest.fixture(scope="module")
def fresh_accounts() -> Iterator[str]:
    return iter(ACCOUNTS)


class TestTradeStation(BrokerSuite):
    @pytest.fixture
    def desk(self, running: RunningBroker, fresh_accounts: Iterator[str]) -> Iterator[TradeStationDesk]:
        yield TradeStationDesk(running, next(fresh_accounts))
        running.control.clear_faults()


class BelowZero(TradeStationDesk):
    """The same broker in a contract that trades at and below zero, as crude oil did on 20 April 2020."""

    contract = Contract("CL", 2020, 5)


def write_tape(folder: Path, last: str) -> str:
    """Write trades of half an hour that fall from a dollar to the last price, and return the file's name."""
    opens = 1_587_405_600  # 2020-04-20 18:00 UTC
    prices = [*("1.00", "0.50", "0.01", "0.00", "-0.01", "-2.00"), *[last] * 24]
    lines = [f"{(opens + 60 * minute) * 10**9 + 1},{price},5" for minute, price in enumerate(prices)]
    (folder / "CLK20_tape.csv").write_text("\n".join(["ts_event_ns,price,size", *lines]) + "\n")
    return str(folder / "CLK20_tape.csv")


@pytest.fixture(scope="module", params=["0.00", "-37.63"])
def below_zero(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    tape = write_tape(tmp_path_factory.mktemp("tape"), request.param)
    with running_local_broker(paused=True, accounts=ACCOUNTS, tape=tape, history_minutes=25) as started:
        yield started


class TestTradeStationBelowZero(BrokerSuite):
    @pytest.fixture
    def desk(self, below_zero: RunningBroker, request: pytest.FixtureRequest) -> Iterator[TradeStationDesk]:
        taken = request.node.session.stash.setdefault(TAKEN, {})
        number = taken[below_zero.pid] = taken.get(below_zero.pid, -1) + 1
        yield BelowZero(below_zero, ACCOUNTS[number])
        below_zero.control.clear_faults()


def test_every_broker_of_this_package_is_run_through_the_suite() -> None:
    assert broker_keys() == [TradeStationDesk.broker.key]
