"""The local broker as a process of a desk: its settings, its heartbeat, its end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.codec import Body
from tradeproc.config import load
from tradeproc.home import Home
from tradeproc.localbroker.chosen import Choice, choose, chosen
from tradeproc.localbroker.client import LocalBroker
from tradeproc.localbroker.control_key import key_file_of
from tradeproc.market.tape_files.file_reading import TapeHints
from tradeproc.procs.localbroker.main import HeartbeatThread, configured_tape, folder_of
from tradeproc.protocol.names import LOCAL_BROKER
from tradeproc.testing.running import Child, free_port
from tradeproc.testing.waiting import wait_until

CONFIG = """
[desk]
name = "test"
[limits]
max_order = 1
max_position = 1
[logins.paper]
broker = "tradestation"
environment = "paper"
base_url = "http://127.0.0.1:{port}/v3"
auth_url = "http://127.0.0.1:{port}"
client_id = {{ public = "mine" }}
client_secret = {{ public = "my secret" }}
[localbroker]
enabled = {enabled}
port = {port}
accounts = ["SIM7F"]
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path)
    found.conf.mkdir()
    (tmp_path / "supervisord.conf").touch()
    found.make_folders()
    return found


def configure(home: Home, *, enabled: bool = True) -> int:
    port = free_port()
    (home.conf / "tradeproc.toml").write_text(CONFIG.format(port=port, enabled=str(enabled).lower()))
    return port


@contextmanager
def running(home: Home, port: int) -> Iterator[tuple[Child, LocalBroker]]:
    """Run the process until it answers; whatever happens, it is gone afterwards."""
    control = LocalBroker(f"http://127.0.0.1:{port}", key_file_of(home))
    with Child(home, "localbroker") as process, control:

        def is_up() -> bool:
            assert process.is_alive, process.said()
            return bool(control.status()["accounts"])

        wait_until("the local broker", is_up, 60.0)
        yield process, control


def test_it_serves_the_configured_accounts_to_the_configured_client(home: Home) -> None:
    port = configure(home)
    form = {"grant_type": "refresh_token", "client_id": "mine", "client_secret": "my secret", "refresh_token": "mine"}

    with running(home, port) as (_, control):
        answer = httpx.post(f"http://127.0.0.1:{port}/oauth/token", data=form, trust_env=False)
        accounts = control.status()["accounts"]

    assert (answer.status_code, accounts) == (200, ["SIM7F"])
    assert (home.run / "localbroker" / "journal").exists()


def test_it_beats_on_the_bus_and_leaves_in_order_with_open_streams(home: Home) -> None:
    port = configure(home)

    with running(home, port) as (process, control), Client(Directory(home.sockets)) as bus:
        headers = {"Authorization": f"Bearer {access_token(port)}"}
        path = f"http://127.0.0.1:{port}/v3/brokerage/stream/accounts/SIM7F/orders"
        with httpx.stream("GET", path, headers=headers, trust_env=False) as stream:
            lines = stream.iter_lines()
            next(lines)
            beat = bus.call(LOCAL_BROKER, "status", {}, seconds=5)
            streams = len(control.status()["streams"])
            process.popen.send_signal(signal.SIGTERM)
            farewell = [line for line in lines if "GoAway" in line]
        code = process.wait()

    assert (beat["state"], beat["kind"], streams) == ("ready", "localbroker", 1)
    assert (len(farewell), code) == (1, 0)
    assert list(home.sockets.glob("*.pub")) == []


def test_a_second_one_finds_the_port_taken_and_stays_down(home: Home) -> None:
    port = configure(home)

    with running(home, port):
        second = Child(home, "localbroker")
        code = second.wait()

    assert code == 78
    assert f"port {port} on 127.0.0.1 is taken" in second.said().splitlines()[-1]


def test_disabled_it_ends_at_once_and_well(home: Home) -> None:
    configure(home, enabled=False)

    assert Child(home, "localbroker").wait() == 0


def says(bus: Client, detail: str) -> Body | None:
    """Return what the local broker says of itself, once the detail is in it."""
    told = bus.call(LOCAL_BROKER, "status", {}, seconds=5)
    return told if detail in told["detail"] else None


def access_token(port: int) -> str:
    form = {"grant_type": "refresh_token"} | dict.fromkeys(("client_id", "client_secret", "refresh_token"), "local")
    token: str = httpx.post(f"http://127.0.0.1:{port}/oauth/token", data=form, trust_env=False).json()["access_token"]
    return token


def test_it_beats_and_says_how_far_it_is_while_a_large_tape_is_read(home: Home) -> None:
    pulse = HeartbeatThread(home)
    try:
        pulse.hear(0)
        pulse.hear(1_234_567)
        with Client(Directory(home.sockets)) as bus:
            told = wait_until("the count", lambda: says(bus, "1,234,567 rows"))
    finally:
        pulse.end()

    assert (told["state"], told["statistics"]["tape_rows"]) == ("starting", 1_234_567)


def test_the_end_of_the_tape_is_said_and_a_chosen_tape_is_played_until_another_is_configured(home: Home) -> None:
    port = configure(home)
    tape = home.root / "ESH24_two.csv"
    tape.write_text("20240102 093000;4750.25;3\n20240102 093001;4750.5;1\n")
    choose(folder_of(home), Choice(str(tape), TapeHints("America/New_York")), configured_tape(home, load(home)))

    with running(home, port) as (_, control), Client(Directory(home.sockets)) as bus:
        told = wait_until("the end of the tape", lambda: says(bus, "the tape is over"))
        name = control.status()["tape"]["name"]

    assert (name, told["statistics"]["tape_is_over"]) == ("ESH24_two.csv", True)
    config = home.conf / "tradeproc.toml"
    config.write_text(config.read_text() + 'tape = "generated:ESH24:7"\n')
    assert chosen(folder_of(home), configured_tape(home, load(home))).tape == "generated:ESH24:7"
