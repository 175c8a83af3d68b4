"""Which feeds of a link run: a full disk or an absent supervisor never leaves a link that neither serves nor ends."""

import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from tests.actor import Actor
from tests.brokers.toys import DATA_ONLY
from tests.procs.stage import Stage
from tradeproc.brokers.contract import lacks
from tradeproc.bus.requests import RequestRefused
from tradeproc.procs.link.feed_keeper import BadRequest, FeedKeeper, _feed_key
from tradeproc.procs.needs import Needs
from tradeproc.protocol.link_messages import Need
from tradeproc.supervision.client import ProgramState, SupervisorAway
from tradeproc.testing.waiting import wait_until

LINK = "link-paper.link"
BARS: dict[str, Any] = {"feed": "bars", "contract": "ESH24", "minutes": 1, "who": "session-1.trader"}


class Programs:
    """The supervisor's side: a set of names, and what goes wrong with it."""

    def __init__(self, *up: str, ended: Sequence[str] = ()) -> None:
        self.names = set(up) | set(ended)
        self.ended = set(ended)
        self.error: Exception | None = None
        self.slow: threading.Event | None = None

    def ensure(self, program: str, arguments: Sequence[str]) -> bool:
        if self.slow is not None:
            self.slow.wait(10)
        if self.error is not None:
            raise self.error
        self.names.add(program)
        return True

    def states(self) -> dict[str, ProgramState]:
        if self.error is not None:
            raise self.error
        return {
            name: ProgramState.EXITED if name in self.ended else ProgramState.RUNNING for name in sorted(self.names)
        }

    def remove(self, program: str) -> bool:
        if self.error is not None:
            raise self.error
        self.names.discard(program)
        return True


def keep(stage: Stage, programs: Programs, need: float = 0.6, idle: float = 60.0) -> Actor:
    needs = Needs(need, idle, time.monotonic())
    return stage.enter(LINK, lambda node: FeedKeeper(node, "paper", needs, programs))  # type: ignore[arg-type]


def test_a_need_starts_a_feed_and_its_end_prunes_it(on_stage: Stage) -> None:
    programs = Programs("orders-OLD")
    keep(on_stage, programs)

    assert on_stage.ask(LINK, "need", **BARS)["process"] == "link-paper.bars-ESH24-1m"
    assert "bars-ESH24-1m" in programs.names
    wait_until("both are pruned, what a crashed link left as well", lambda: not programs.names)


def test_a_feed_that_the_broker_declares_not_to_have_is_never_started(on_stage: Stage) -> None:
    programs, needs = Programs(), Needs(0.6, 60.0, time.monotonic())
    keeper: Any = partial(FeedKeeper, login="paper", needs=needs, programs=programs)
    on_stage.enter(LINK, lambda node: keeper(node, lacking=lambda kind: lacks(DATA_ONLY, kind)))  # type: ignore[arg-type]

    told = on_stage.ask(LINK, "need", feed="orders", account="SIM1", who="session-1.account")

    assert told == {"never": "login 'paper': Toy Data manages no accounts"}
    assert not programs.names
    assert on_stage.ask(LINK, "need", **BARS)["process"] == "link-paper.bars-ESH24-1m"


def test_a_feed_that_ended_is_pruned_as_one_that_is_up_and_stays_while_somebody_needs_it(on_stage: Stage) -> None:
    programs = Programs("orders-OLD", ended=["bars-ESM24-1m", "bars-ESH24-1m"])
    keep(on_stage, programs)

    def is_pruned() -> bool:
        on_stage.ask(LINK, "need", **BARS)
        return programs.names == {"bars-ESH24-1m"}

    wait_until("what nobody needs is pruned", is_pruned)
    assert on_stage.ask(LINK, "status")["statistics"]["feeds"] == [], "what ended is not told as running"


def test_a_link_that_ends_because_nobody_needs_it_leaves_no_feed_that_ended(on_stage: Stage) -> None:
    programs = Programs("orders-OLD", ended=["bars-ESM24-1m"])

    link = keep(on_stage, programs, need=60.0, idle=0.3)

    link.join()
    assert (link.node.exit_status, programs.names) == (0, set())


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SupervisorAway("away")])
def test_a_feed_that_cannot_be_started_is_refused_and_may_be_asked_for_again(
    on_stage: Stage, error: Exception
) -> None:
    programs = Programs()
    keep(on_stage, programs)
    programs.error = error
    with pytest.raises(RequestRefused, match="cannot be started"):
        on_stage.ask(LINK, "need", **BARS)

    programs.error = None

    assert on_stage.ask(LINK, "need", **BARS)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SupervisorAway("away")])
def test_a_link_that_nobody_needs_ends_whatever_is_wrong_with_its_feeds(on_stage: Stage, error: Exception) -> None:
    """One that stayed, ending for ever, would refuse every need and leave its sessions without data."""
    programs = Programs("bars-ESH24-1m")
    programs.error = error

    link = keep(on_stage, programs, need=0.3, idle=0.3)

    link.join()
    assert link.node.exit_status == 0


@pytest.mark.parametrize(
    "changes",
    [{"minutes": "many"}, {"minutes": 0}, {"minutes": 1.5}, {"contract": "what"}, {"feed": "news"}, {"who": ""}],
)
def test_a_need_that_makes_no_sense_is_refused_and_kills_nobody(on_stage: Stage, changes: dict[str, Any]) -> None:
    link = keep(on_stage, Programs())

    with pytest.raises(RequestRefused):
        on_stage.ask(LINK, "need", **(BARS | changes))
    assert link.is_alive


def test_a_supervisor_that_hangs_does_not_keep_the_link_from_ending(on_stage: Stage) -> None:
    programs = Programs()
    programs.slow = threading.Event()
    link = keep(on_stage, programs)
    asker = on_stage.enter("test.asker")
    asker.do(lambda: asker.node.request(LINK, "need", BARS, seconds=5.0, on_reply=lambda _: None))
    on_stage.ask(LINK, "ping")
    began = time.monotonic()

    link.stop()

    assert time.monotonic() - began < 8.0
    programs.slow.set()


@pytest.mark.parametrize("account", ["%d", "SIM1\n[program:evil]\ncommand=/bin/true", "a;b", "[x]", "", "A" * 17])
def test_an_account_that_no_session_may_have_is_refused_before_a_feed_of_it_is_written(account: str) -> None:
    with pytest.raises(BadRequest, match="account"):
        _feed_key(Need("orders", "me", account=account))
