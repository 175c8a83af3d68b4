"""The CSV broker through the contract: all that a broker of market data promises, and one thing that only it does."""

from pathlib import Path

import csv_broker
import pytest

from tradeproc.brokers.contract import (
    TOKEN_SECONDS,
    ClientCredentials,
    Environment,
    Login,
    SnapshotEnded,
    StreamedBar,
    StreamEnded,
)
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.instruments import Contract
from tradeproc.domain.units import Price
from tradeproc.testing.contract import BrokerContract
from tradeproc.testing.listening import listening
from tradeproc.testing.under_test import InducedTrouble

FIRST = 1_704_754_800


class NoTokens:
    """A token source for a broker that wants none."""

    def __init__(self) -> None:
        self.refusals: list[str] = []

    def token(self, _seconds: float = TOKEN_SECONDS, /) -> str:
        return ""

    def refused(self, token: str) -> None:
        self.refusals.append(token)


class CsvDesk:
    """The broker on a folder of its own, and what writes the file in it; satisfies `BrokerUnderTest`."""

    broker = csv_broker.BROKER
    client = ClientCredentials("", "", "")
    refresh_token = account = ""
    password = None
    contract = Contract("ES", 2024, 3)

    def __init__(self, folder: Path) -> None:
        self.login = Login("files", "csv", Environment.PAPER, folder.as_uri())
        self.tokens = NoTokens()
        self.file = folder / "ES_2024_03.csv"
        self.file.write_text("opened_at,open,high,low,close,volume\n")
        for minute in range(20):
            self.add(minute)

    def add(self, minute: int) -> None:
        price = 4800 + minute % 5
        with self.file.open("a") as file:
            file.write(f"{FIRST + 60 * minute},{price},{price + 1},{price - 1},{price + 0.5},{minute + 1}\n")

    def last_price(self) -> Price:
        raise AssertionError("only asked of a broker with accounts")

    def make(self, trouble: InducedTrouble) -> None:
        if trouble is InducedTrouble.STREAM_GO_AWAY:
            with self.file.open("a") as file:
                file.write(f"{csv_broker.FAREWELL}\n")
        else:
            self.file.unlink()

    def orders_taken(self) -> int:
        raise AssertionError("only asked of a broker with accounts")


@pytest.fixture
def desk(tmp_path: Path) -> CsvDesk:
    return CsvDesk(tmp_path)


class TestCsvBroker(BrokerContract):
    """The whole contract; `desk` is the fixture above."""


def test_a_row_that_is_added_closes_the_bar_before_it(desk: CsvDesk) -> None:
    with listening(desk.broker.bar_stream(desk.login, desk.tokens, desk.contract, 1, 3)) as heard:
        heard.wait_for(SnapshotEnded)
        desk.add(20)
        heard.wait_for(StreamedBar, lambda told: not told.is_history and not told.candle.is_closed)
        news = [event.candle for event in heard.events if isinstance(event, StreamedBar) and not event.is_history]

    assert [(bar.volume, bar.is_closed) for bar in news] == [(20, True), (21, False)]


@pytest.mark.parametrize(
    "row",
    [
        "1704758400,nan,4801,4799,4800,1",
        "1704758400,4800,inf,4799,4800,1",
        "1704758400,4800,4799,4801,4800,1",
        "1704758400,4800,4801,4799,4800,-1",
        "99999999999999,4800,4801,4799,4800,1",
        "1704758400,4800",
    ],
)
def test_a_row_that_is_no_bar_is_never_one(desk: CsvDesk, row: str) -> None:
    with desk.file.open("a") as file:
        file.write(f"{row}\n")

    answer = desk.broker.data_source(desk.login, desk.tokens).history(desk.contract, 1, 5)
    with listening(desk.broker.bar_stream(desk.login, desk.tokens, desk.contract, 1, 5)) as heard:
        end = heard.wait_for(StreamEnded)

    assert isinstance(answer, Unknown)
    assert end.reason


def test_a_file_that_is_of_no_contract_is_not_the_front_month(desk: CsvDesk) -> None:
    data = desk.broker.data_source(desk.login, desk.tokens)
    desk.file.with_name("ES_notes.csv").touch()
    assert data.front_month("ES") == Known(desk.contract)

    desk.file.with_name("ES_2024_13.csv").touch()

    assert isinstance(data.front_month("ES"), Unknown)
