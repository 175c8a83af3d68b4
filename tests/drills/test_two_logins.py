"""A session that orders at one broker and takes its bars of another: each side is killed, and each is taken away.

The bars come from a toy broker that has data and no accounts and is signed in to with a password, the orders go to
the paper login; both are served by the same local broker.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import toys
from tests.drills.desk import Desk, is_over
from tests.drills.long_tape import write_tape
from tradeproc.supervision.client import Supervisor
from tradeproc.testing.desk import ACCOUNT, wait_for

pytestmark = pytest.mark.drill

DATA, ORDERS = "link-data", "link-paper"
BARS = f"{DATA}.bars-ESH24-1m"


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose session 1 trades all the time on the bars of a login of its own."""
    folder: Path = tmp_path_factory.mktemp("desk")
    desk = Desk(folder, speed=15.0, history_minutes=5, tape=write_tape(folder))
    desk.environment["PYTHONPATH"] = toys.install(folder / "site")
    add_data_login(desk)
    with desk:
        # the login of the orders is the witness of the bars: both have one tape, so they agree however far apart
        witness = {"witness_login": "paper", "witness_ticks": 10_000}
        assert desk.begin(changes={"data_login": "data", **witness}) == 1
        desk.wait_fills(1)
        yield desk


def add_data_login(desk: Desk) -> None:
    """Let the configuration have a login at the toy broker, with its password in a file."""
    secret = desk.home.root / "password"
    secret.touch(mode=0o600)
    secret.write_text(toys.PASSWORD.password)
    url = f"http://127.0.0.1:{desk.port}"
    table = f"""
[logins.data]
broker = "toy_data"
environment = "paper"
base_url = "{url}/v3"
auth_url = "{url}"
user = "{toys.PASSWORD.user}"
password = {{ file = "password" }}
"""
    file = desk.home.conf / "tradeproc.toml"
    file.write_text(file.read_text() + table)


def programs(desk: Desk, group: str) -> set[str]:
    """Return what supervisord runs of a group."""
    return {program.name for program in desk.programs() if program.group == group and program.state.is_up}


def entries(desk: Desk) -> str:
    return str(desk.state(1)["entries"])


def test_each_login_has_the_feeds_it_serves_and_no_others(trading: Desk) -> None:
    wait_for("the feeds", lambda: len(programs(trading, ORDERS)) == 4)

    assert programs(trading, DATA) == {"link", "bars-ESH24-1m"}
    assert programs(trading, ORDERS) == {"link", f"orders-{ACCOUNT}", f"positions-{ACCOUNT}", "bars-ESH24-1m"}
    wait_for("the witness is heard", lambda: float(trading.state(1)["witness"] or 0) > 4000)
    (shown,) = trading.tradectl("sessions")["sessions"]
    assert (shown["login"], shown["data_login"]) == ("paper", "data")
    rows = {row["login"]: row["state"] for row in trading.tradectl("logins")["logins"]}
    assert rows == {"paper": "ok", "data": "ok"}


@pytest.mark.parametrize(
    "process",
    [f"{DATA}.link", BARS, f"{ORDERS}.link", f"{ORDERS}.orders-{ACCOUNT}", "core.tokens", "session-1.trader"],
)
def test_a_killed_process_of_either_side_comes_back_and_the_books_agree(trading: Desk, process: str) -> None:
    killed = trading.kill(process)

    wait_for(f"{process} back", lambda: trading.pid(process) not in (0, killed))
    wait_for(f"{process} well", lambda: trading.ask(process, "status", {}, 2.0)["state"] == "ready")
    trading.wait_ready(1)
    trading.wait_fills(1)
    trading.assert_books_agree(1)


def test_without_its_data_login_entries_wait_the_stop_stays_and_exits_go_on(trading: Desk) -> None:
    def stops() -> list[str]:
        return [order["broker_id"] for order in trading.state(1)["orders"] if order["role"] == "stop_loss"]

    wait_for("a position with a stop", lambda: trading.state(1)["position"] and stops())
    trading.broker.pause()
    held = stops()
    Supervisor(trading.home).stop_group(DATA)
    wait_for("entries wait", lambda: "market stream" in entries(trading) or "no market data" in entries(trading))

    assert programs(trading, ORDERS) >= {"link", f"orders-{ACCOUNT}"}
    assert stops() == held
    working = {order["id"] for order in trading.broker.ledger()["orders"] if not is_over(order["status"])}
    assert set(held) <= working
    states = {each.state.value for each in trading.programs() if each.group == DATA}
    assert states == {"STOPPED"}, "the keeper does not start what a person stopped"
    trading.flatten(1)

    Supervisor(trading.home).start_group(DATA)
    trading.broker.resume()
    trading.tradectl("resume", "--session", "1", "--reason", "the drill is over")
    trading.wait_ready(1)
    trading.wait_fills(1)
    trading.assert_books_agree(1)


def test_without_the_login_of_its_orders_nothing_is_entered_while_bars_come(trading: Desk) -> None:
    Supervisor(trading.home).stop_group(ORDERS)
    wait_for("its streams are down", lambda: trading.state(1)["streams"]["orders"] != "up")
    assert entries(trading) != "allowed"
    before = trading.state(1)["market_at"]
    wait_for("bars come", lambda: trading.state(1)["market_at"] > before)

    Supervisor(trading.home).start_group(ORDERS)
    trading.wait_ready(1)
    trading.wait_fills(1)
    trading.assert_books_agree(1)
