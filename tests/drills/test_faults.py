"""Each fault of the wire in mid-session: trading goes on, the books agree to the last order, no order goes twice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drills.desk import Desk
from tests.drills.long_tape import write_tape
from tradeproc.testing.desk import ACCOUNT, wait_for

pytestmark = pytest.mark.drill

FEEDS = {
    "bars_stream": "link-paper.bars-ESH24-1m",
    "orders_stream": f"link-paper.orders-{ACCOUNT}",
    "positions_stream": f"link-paper.positions-{ACCOUNT}",
}


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose session 1 enters, trails its stop and leaves within seconds, again and again."""
    folder: Path = tmp_path_factory.mktemp("desk")
    with Desk(folder, speed=90.0, history_minutes=10, tape=write_tape(folder)) as desk:
        assert desk.begin() == 1
        desk.wait_fills(1)
        yield desk


@pytest.fixture(autouse=True)
def and_then_it_is_well(trading: Desk) -> Iterator[None]:
    """After each fault: it is over, the session trades, and the books agree."""
    yield
    trading.broker.clear_faults()
    trading.wait_ready(1)
    trading.wait_fills(1)
    trading.assert_books_agree(1)
    assert not trading.rows("select * from divergences where kind = 'position'")


def connections(desk: Desk, feed: str) -> int:
    """Return how often a feed has connected, once it is up."""

    def count() -> int:
        numbers = desk.ask(feed, "status", {}, 2.0)["statistics"]
        return int(numbers["connections"]) if numbers["up"] else 0

    return int(wait_for(f"{feed} up", count))


def strike(desk: Desk, name: str, hits: int = 1, **options: Any) -> None:
    """Set a fault and wait until it has hit as often as it may."""
    fault = desk.broker.fault(name, count=hits, **options)["id"]

    def is_spent() -> bool:
        told = {each["id"]: each["hits"] for each in desk.broker.status()["faults"]}
        return bool(told[fault] == hits)

    wait_for(f"{name} {options} hit {hits} times", is_spent)


def strike_answers(desk: Desk, name: str, hits: int = 2, **options: Any) -> None:
    """Spoil the answers to the next questions about orders and position, and make sure that some are asked."""
    fault = desk.broker.fault(name, target="orders,positions", count=hits, **options)["id"]

    def is_spent() -> bool:
        desk.ask("session-1.trader", "reconcile", {})
        told = {each["id"]: each["hits"] for each in desk.broker.status()["faults"]}
        return bool(told[fault] == hits)

    wait_for(f"{name} hit {hits} answers", is_spent)


@pytest.mark.parametrize("stream", FEEDS)
@pytest.mark.parametrize("fault", ["farewell", "cut"])
def test_a_stream_that_ends_is_connected_again(trading: Desk, fault: str, stream: str) -> None:
    feed = FEEDS[stream]
    before = connections(trading, feed)

    strike(trading, fault, target=stream)

    wait_for(f"{feed} connected again", lambda: connections(trading, feed) > before)


def test_streams_that_fall_silent_are_noticed_and_connected_again(trading: Desk) -> None:
    before = {feed: connections(trading, feed) for feed in FEEDS.values()}

    for stream in FEEDS:
        strike(trading, "stall", target=stream)

    for feed, count in before.items():
        wait_for(f"{feed} connected again", lambda: connections(trading, feed) > count)  # noqa: B023


def test_json_split_at_any_byte_is_read_all_the_same(trading: Desk) -> None:
    before = {feed: connections(trading, feed) for feed in FEEDS.values()}

    strike(trading, "split", hits=3)
    trading.wait_fills(1, more=2)

    assert before == {feed: connections(trading, feed) for feed in FEEDS.values()}


def test_a_refused_token_is_renewed_and_the_request_goes_on(trading: Desk) -> None:
    issued = trading.broker.status()["tokens_issued"]

    strike(trading, "401", target="place")

    wait_for("a new token", lambda: trading.broker.status()["tokens_issued"] > issued)


def test_all_tokens_refused_at_once_are_renewed_once_for_all(trading: Desk) -> None:
    issued = trading.broker.status()["tokens_issued"]

    trading.broker.expire_tokens()
    for stream in FEEDS:
        strike(trading, "cut", target=stream)
    trading.wait_fills(1, more=2)

    assert trading.broker.status()["tokens_issued"] == issued + 1


# each on a stream of its own: a feed that is refused again and again waits longer each time
@pytest.mark.parametrize(("fault", "stream"), list(zip(["401", "429", "5xx"], FEEDS, strict=True)))
def test_a_stream_that_is_refused_is_asked_for_again(trading: Desk, fault: str, stream: str) -> None:
    feed = FEEDS[stream]
    before = connections(trading, feed)

    trading.broker.fault(fault, target=stream, count=2)
    strike(trading, "cut", target=stream)

    wait_for(f"{feed} connected again", lambda: connections(trading, feed) > before)


@pytest.mark.parametrize("fault", ["429", "5xx", "html", "empty", "truncated", "cut", "slow"])
def test_an_answer_that_cannot_be_had_is_unknown_and_never_empty(trading: Desk, fault: str) -> None:
    rows = trading.count("divergences", 1)

    strike_answers(trading, fault, seconds=1.0)

    assert trading.count("divergences", 1) == rows


@pytest.mark.parametrize("fault", ["429", "cut", "html", "empty", "truncated", "slow"])
def test_orders_whose_answer_is_spoilt_are_placed_once(trading: Desk, fault: str) -> None:
    strike(trading, fault, hits=2, target="place", seconds=1.0)


def test_an_order_that_is_accepted_but_never_answered_is_found_and_adopted(trading: Desk) -> None:
    strike(trading, "accept_then_time_out", target="place")


def test_an_order_that_a_gateway_turned_away_is_asked_about_until_it_is_given_up(trading: Desk) -> None:
    strike(trading, "5xx", target="place", status=502)


@pytest.mark.parametrize("fault", ["cut", "5xx", "accept_then_time_out"])
@pytest.mark.parametrize("operation", ["replace", "cancel"])
def test_changes_that_are_not_answered_are_asked_about(trading: Desk, operation: str, fault: str) -> None:
    strike(trading, fault, target=operation)


def test_fills_that_the_stream_does_not_tell_are_noticed_by_asking(trading: Desk) -> None:
    strike(trading, "drop_order_frames")
    told = len(trading.broker.ledger()["fills"])

    wait_for("a fill at the broker", lambda: len(trading.broker.ledger()["fills"]) > told)

    wait_for("the fill in the database", lambda: trading.count("fills", 1) > told)


@pytest.mark.parametrize("fault", ["absurd_times", "bad_records"])
def test_values_that_cannot_be_are_said_and_nobody_dies_of_them(trading: Desk, fault: str) -> None:
    processes = [*FEEDS.values(), "link-paper.link", "session-1.account", "session-1.trader"]
    pids = [trading.pid(process) for process in processes]

    strike(trading, fault, hits=2, target="orders_stream,positions_stream", seconds=8.0)
    strike_answers(trading, fault)

    said = "select * from alarms where session = 1 and name = 'broker_unreadable'"
    wait_for("it is said", lambda: trading.rows(said))
    trading.wait_fills(1)
    assert [trading.pid(process) for process in processes] == pids
    trading.broker.clear_faults()
    trading.ask("session-1.trader", "reconcile", {})
    wait_for("it is over", lambda: not trading.rows(f"{said} and cleared_at is null"))


def test_frames_that_come_twice_change_nothing(trading: Desk) -> None:
    strike(trading, "repeat_frames")
    trading.wait_fills(1, more=2)
