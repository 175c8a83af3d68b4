"""A real local broker for tests: its own process, a free port, a temporary folder, and gone afterwards.

with running_local_broker(speed=600, accounts=["SIM1F"]) as broker:
httpx.get(f"{broker.url}/v3/brokerage/accounts", headers=broker.headers())
broker.control.fault("429", target="balances")
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.domain.units import Money
from tradeproc.errors import Fault
from tradeproc.exchange.matching import Rules
from tradeproc.localbroker.client import LocalBroker
from tradeproc.localbroker.control_key import key_file
from tradeproc.localbroker.server import ServerSettings
from tradeproc.localbroker.tradestation.oauth import OAuthSettings
from tradeproc.market.tape_files.reading import Wanted

SETTINGS, PORT, LOG = "settings.json", "port", "log"
_START_SECONDS, _STOP_SECONDS = 60.0, 10.0


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
        """Return the process to kill, should a test want to."""
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
        """Kill it as a power cut would."""
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

    `config` are fields of `ServerSettings`, of `Rules` (as `rules={...}`) and of `OAuthSettings` (as `oauth={...}`).

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


def write_settings(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the settings of a broker; numbers and lists only, Decimals as text."""
    (folder / SETTINGS).write_bytes(orjson.dumps(dict(config), default=str))


def settings_from(folder: Path, found: Mapping[str, Any]) -> ServerSettings:
    """Return the settings that were written."""
    values = dict(found) | {"folder": folder}
    if "reading" in values:
        values["reading"] = Wanted(**values["reading"])
    if "accounts" in values:
        values["accounts"] = tuple(values["accounts"])
    if "cash" in values:
        values["cash"] = Money(Decimal(str(values["cash"])))
    if "rules" in values:
        values["rules"] = _rules(values["rules"])
    if "oauth" in values:
        values["oauth"] = OAuthSettings(**values["oauth"])
    return ServerSettings(**values)


def _rules(found: Mapping[str, Any]) -> Rules:
    values = dict(found)
    if "commission" in values:
        values["commission"] = Money(Decimal(str(values["commission"])))
    if "margins" in values:
        values["margins"] = {root: Money(Decimal(str(amount))) for root, amount in values["margins"].items()}
    return Rules(**values)


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    port_file = folder / PORT
    port_file.unlink(missing_ok=True)
    with (folder / LOG).open("ab") as output:
        command = [sys.executable, "-m", "tradeproc.localbroker", str(folder)]
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    deadline = monotonic_ns() + _START_SECONDS * SECOND
    while not port_file.exists():
        if process.poll() is not None or monotonic_ns() > deadline:
            _end(process)
            raise NotStarted((folder / LOG).read_text()[-2000:])
        time.sleep(0.01)
    return process, int(port_file.read_text())


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
