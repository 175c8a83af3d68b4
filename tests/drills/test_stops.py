"""A broker that lies about stops, with real processes: found, told to all, and dealt with by each policy.

How fast it is found is measured by `scripts/bench --only stops`, and proven with virtual time in `tests/engine/`.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.drills.desk import Desk
from tradeproc.bench import stops
from tradeproc.bench.stops import FAR, NEAR, Victim
from tradeproc.testing.candles import write_tape
from tradeproc.testing.desk import ACCOUNTS, wait_for
from tradeproc.testing.running import configure

FOURTH = "SIM0000004F"

pytestmark = pytest.mark.drill


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("desk")
    write_tape(folder / stops.TAPE, stops.falling())
    made = Desk(folder, speed=stops.SPEED, history_minutes=10, tape=stops.TAPE)
    configure(made.home, accounts=[*ACCOUNTS, FOURTH])
    with made:
        yield made


@pytest.fixture(scope="module")
def near(desk: Desk) -> Victim:
    """A session whose stop is reached within a second; it flattens when one does nothing."""
    return stops.begin(desk, 0, NEAR, inert_stop_policy="flatten")


@pytest.fixture(scope="module")
def replacing(desk: Desk) -> Victim:
    return stops.begin(desk, 1, FAR, quantity=2, stop_policy="replace")


@pytest.fixture(scope="module")
def flattening(desk: Desk) -> Victim:
    return stops.begin(desk, 2, FAR, quantity=2, stop_policy="flatten")


@pytest.fixture(scope="module")
def alarming(desk: Desk) -> Victim:
    changes = {"name": "stops-alarm", "external_policy": "ignore", "quantity": 2, "stop_policy": "alarm"}
    return Victim(desk, desk.begin(stops.STRATEGY, FOURTH, changes, stop_ticks=FAR), FOURTH)


def works(desk: Desk, victim: Victim) -> list[int]:
    """Return the quantities of its working stops at the broker."""
    return [
        order["quantity"] - order["filled"]
        for order in desk.broker.ledger()["orders"]
        if order["account"] == victim.account and order["status"] == "working" and order["type"] == "stop"
    ]


def held(desk: Desk, victim: Victim) -> int:
    positions = desk.broker.exposure()["positions"]
    return sum(each["quantity"] for each in positions if each["account"] == victim.account)


def is_whole(desk: Desk, victim: Victim) -> bool:
    """Tell whether it holds two contracts and stops of two contracts work."""
    return held(desk, victim) == sum(works(desk, victim)) == 2


@pytest.mark.parametrize("way", ["lose_legs", "reject_stop"])
def test_each_policy_does_what_it_says_when_the_broker_loses_legs_or_rejects_a_stop(
    desk: Desk, alarming: Victim, replacing: Victim, flattening: Victim, way: str
) -> None:
    victims = (alarming, replacing, flattening)
    wait_for("all are protected", lambda: all(is_whole(desk, victim) for victim in victims))
    with ThreadPoolExecutor(len(victims)) as lanes:
        # legs are lost by the next entry, which needs an exit before it
        exits = flattening.exits() + (way == "lose_legs")
        list(lanes.map(lambda victim: victim.exposed(way), victims))

    wait_for("a stop is placed again", lambda: is_whole(desk, replacing))
    wait_for("another has left by an exit", lambda: flattening.exits() > exits)
    assert (held(desk, alarming), works(desk, alarming)) == (2, []), "the policy is to tell"
    alarming.flatten()


def test_protection_that_the_broker_takes_away_is_found_and_each_policy_restores_order(
    desk: Desk, replacing: Victim, flattening: Victim
) -> None:
    wait_for("both are protected", lambda: works(desk, replacing) == works(desk, flattening) == [2])
    exits = flattening.exits()

    with ThreadPoolExecutor(2) as lanes:
        cut = lanes.submit(replacing.exposed, "cut_stop")
        cancelled = lanes.submit(flattening.exposed, "cancel_stop")
        cut.result()
        cancelled.result()

    wait_for("a stop of what was cut off is placed again", lambda: works(desk, replacing) == [1, 1])
    assert held(desk, replacing) == 2
    wait_for("the other has left by an exit", lambda: flattening.exits() > exits)


def test_a_stop_that_does_nothing_is_found_and_halts_every_session_of_the_login(
    desk: Desk, near: Victim, replacing: Victim
) -> None:
    before = near.exits()
    for more in (1, 2):
        wait_for("it holds something again", lambda: held(desk, near))
        near.exposed("inert_stop")

        wait_for("the other session is halted", lambda: desk.state(replacing.session)["trading_state"] == "halted")
        wait_for("the policy has closed it by an exit", lambda: held(desk, near) == 0)
        assert near.exits() == before + more
        assert held(desk, replacing) == 2, "what is protected elsewhere stays"
        (latch,) = desk.rows("select state, by from latches where scope = 'login:paper'")
        assert (latch["state"], latch["by"]) == ("halted", "inert_stop_watch")
        desk.broker.clear_faults()
        wait_for("the login is resumed", lambda: stops.resume(desk))

    assert not desk.rows("select * from alarms where session = %s and name = 'stop_inert'", replacing.session)
