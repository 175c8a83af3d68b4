"""A real local broker in a process of its own, and any broker that speaks its protocol, ready for the contract suite.

with running_local_broker(speed=600, accounts=["SIM1F"]) as broker:
    httpx.get(f"{broker.url}/v3/brokerage/accounts", headers=broker.headers())
    broker.control.fault("429", target="balances")
"""

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson

from tradeproc.brokers.contract import TOKEN_SECONDS, Broker, ClientCredentials, Environment, Login, UserPassword
from tradeproc.brokers.registry import broker as broker_of
from tradeproc.domain.answers import Known
from tradeproc.domain.instruments import Contract
from tradeproc.domain.units import Price
from tradeproc.errors import Fault
from tradeproc.localbroker.client import LocalBroker
from tradeproc.localbroker.control_key import key_file
from tradeproc.localbroker.written import PORT, SETTINGS, write_settings
from tradeproc.testing.under_test import InducedTrouble
from tradeproc.testing.waiting import Late, wait_until

LOG = "log"
ACCOUNTS = tuple(f"SIM{number:07}F" for number in range(1, 200))
"""Enough accounts for each test of the suite to use a new one."""
_START_SECONDS, _STOP_SECONDS = 60.0, 10.0
_PLACE = "place"
# each trouble with the fault of the local broker that makes it, and the target of that fault
_FAULTS = {
    InducedTrouble.ANSWER_LOST: ("accept_then_time_out", _PLACE),
    InducedTrouble.ANSWER_SPOILED: ("html", _PLACE),
    InducedTrouble.TOKEN_REFUSED: ("401", _PLACE),
    InducedTrouble.BUSY: ("429", "requests"),
    InducedTrouble.DOWN: ("5xx", "requests,stream"),
    InducedTrouble.ANSWER_TORN: ("truncated", "orders,positions,balances,accounts,bars"),
    InducedTrouble.PAGE_LOST: ("lose_page", "orders"),
    InducedTrouble.LIST_CUT: ("cut_list", "orders"),
    InducedTrouble.RECORD_SPOILED: ("bad_records", "orders,positions"),
    InducedTrouble.STREAM_GO_AWAY: ("farewell", "stream"),
    InducedTrouble.STREAM_CUT: ("cut", "stream"),
    InducedTrouble.STREAM_SPLIT: ("split", "stream"),
}


class NotStarted(Fault):
    """The local broker did not come up; its log is in the message."""


@dataclass(slots=True)
class RunningBroker:
    """A running local broker. `url` is without `/v3`; `pid` changes with `restart`."""

    folder: Path
    url: str
    port: int
    control: LocalBroker
    _process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        """Return the process id, for a test that kills the broker."""
        return self._process.pid

    def token(self) -> str:
        """Return a fresh access token of the client `local`."""
        names = ("client_id", "client_secret", "refresh_token")
        form = {"grant_type": "refresh_token", **dict.fromkeys(names, "local")}
        answer = httpx.post(f"{self.url}/oauth/token", data=form, trust_env=False)
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    def headers(self) -> dict[str, str]:
        """Return the headers of an authorised request."""
        return {"Authorization": f"Bearer {self.token()}"}

    def log(self) -> str:
        """Return what it logged."""
        return (self.folder / LOG).read_text()

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """End it with SIGTERM and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(_STOP_SECONDS)

    def restart(self) -> None:
        """Start it again on the same port and folder, after `kill` or `stop`."""
        write_settings(self.folder, orjson.loads((self.folder / SETTINGS).read_bytes()) | {"port": self.port})
        self._process, _ = _start(self.folder)


@contextmanager
def running_local_broker(**config: Any) -> Iterator[RunningBroker]:
    """Run a local broker for the length of the block.

    `config` are fields of `ServerSettings` and of `Rules` (as `rules={...}`); `sign_in={...}` is the dialect's own.

    Raises:
        NotStarted: it did not come up.
    """
    folder = Path(tempfile.mkdtemp(prefix="localbroker-"))
    process: subprocess.Popen[bytes] | None = None
    broker: RunningBroker | None = None
    try:
        write_settings(folder, config)
        process, port = _start(folder)
        url = f"http://127.0.0.1:{port}"
        broker = RunningBroker(folder, url, port, LocalBroker(url, key_file(folder)), process)
        yield broker
    finally:
        if broker is not None:
            process = broker._process
            broker.control.close()
        if process is not None:
            _end(process)
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    port_file = folder / PORT
    port_file.unlink(missing_ok=True)
    with (folder / LOG).open("ab") as output:
        command = [sys.executable, "-m", "tradeproc.localbroker", str(folder)]
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        wait_until("a port", lambda: port_file.exists() or process.poll() is not None, _START_SECONDS, every=0.01)
    except Late:
        _end(process)
    if not port_file.exists():
        raise NotStarted((folder / LOG).read_text()[-2000:])
    return process, int(port_file.read_text())


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class LocalTokens:
    """A token source: tokens straight from the local broker, a new one after each refusal."""

    def __init__(self, running: RunningBroker) -> None:
        self.refusals: list[str] = []
        self._running = running
        self._token = running.token()

    def token(self, _seconds: float = TOKEN_SECONDS, /) -> str:
        """Return the present token."""
        return self._token

    def refused(self, token: str) -> None:
        """Note the refusal and get another token."""
        self.refusals.append(token)
        self._token = self._running.token()


class OverLocalBroker:
    """One account of a running local broker, reached through the adapter of a broker; satisfies `BrokerUnderTest`.

    A subclass names another `broker` that speaks the same protocol, or another `contract` that is on the tape.
    """

    broker: Broker = broker_of("tradestation")
    client = ClientCredentials("local", "local", "http://localhost:31022/")
    refresh_token = "local"  # noqa: S105
    password: UserPassword | None = None
    contract = Contract("ES", 2024, 3)

    def __init__(self, running: RunningBroker, account: str) -> None:
        self.account = account
        self.login = Login("local", "tradestation", Environment.PAPER, f"{running.url}/v3", running.url)
        self.tokens = LocalTokens(running)
        self._running = running
        self._last_price = self._ask_last_price()

    def _ask_last_price(self) -> Price:
        # asked through an adapter with data, because the broker under test may serve none
        source = broker_of("tradestation").data_source(self.login, self.tokens)
        try:
            match source.history(self.contract, 1, 1):
                case Known((*_, newest)):
                    return Price(Decimal(str(newest.close)))
                case other:
                    raise AssertionError(other)
        finally:
            source.shutdown()

    def last_price(self) -> Price:
        """Return the close of the newest bar at the time this object was made; the suite's market stands still."""
        return self._last_price

    def make(self, trouble: InducedTrouble) -> None:
        """Set a trouble that hits only this account."""
        name, target = _FAULTS[trouble]
        self._running.control.fault(name, target=target, account=self.account)

    def orders_taken(self) -> int:
        """Return how many orders of this account are in the books of the local broker."""
        return sum(order["account"] == self.account for order in self._running.control.ledger()["orders"])
