"""A trader between its database and its account manager: written first, sent once, and never waiting in silence."""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.engine.desk import Plan
from tests.procs.shut import away, end_connections, hanging
from tests.procs.stage import Stage
from tests.procs.trading_desk import BARS, TradingDesk
from tradeproc.bus.codec import Body
from tradeproc.bus.requests import RequestRefused
from tradeproc.domain.orders import OrderRole, OrderState, Side
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.engine.events import Event
from tradeproc.engine.state import EngineTiming
from tradeproc.procs.follower import FollowerTiming
from tradeproc.procs.trader.timing import USUAL, TraderTiming
from tradeproc.store.journal import Journal
from tradeproc.strategies.contract import NOTHING, Decision, SubmitBracket, SubmitOrder, View
from tradeproc.testing.waiting import wait_until

ENTER = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4790.0)
LEAVE = SubmitOrder(Side.SELL, Contracts(1), role=OrderRole.EXIT)
QUICK = TraderTiming(again=0.3, silence=1.5)
Make = Callable[..., TradingDesk]


@pytest.fixture
def make(on_stage: Stage, book_url: str, tmp_path: Path) -> Iterator[Make]:
    made: list[TradingDesk] = []

    def desk(
        *plans: Plan | Decision,
        timing: TraderTiming = QUICK,
        engine: EngineTiming | None = None,
        **changes: Any,
    ) -> TradingDesk:
        made.append(TradingDesk(on_stage, book_url, tmp_path, *plans, timing=timing, engine=engine, **changes))
        return made[-1]

    yield desk
    for each in made:
        each.store.close()


def test_an_entry_is_in_the_database_before_anybody_is_asked_to_send_it(make: Make) -> None:
    desk = make(ENTER)
    seen: list[list[tuple[OrderState, OrderRole]]] = []
    submit = desk.answers["submit"]

    def look(body: Body) -> Any:
        seen.append([(order.state, order.role) for order in desk.store.orders(desk.session)])
        return submit(body)

    desk.answers["submit"] = look
    desk.ready().bar()

    wait_until("the position", lambda: desk.state()["position"] == 1)
    assert seen == [[(OrderState.PRE_SENT, OrderRole.ENTRY), (OrderState.PRE_SENT, OrderRole.STOP_LOSS)]]
    wait_until("the fill is booked", lambda: len(desk.store.fills(desk.session)) == 1)
    assert desk.count("submit") == 1


def test_an_entry_goes_out_before_the_engine_hears_how_long_its_bar_took(make: Make) -> None:
    desk = make(ENTER).ready()
    told: list[str] = []
    note = desk.trader.recorder.note

    def listen(event: Event, *rest: Any) -> None:
        told.append(type(event).__name__)
        note(event, *rest)

    vars(desk.trader.recorder)["note"] = listen
    desk.bar()

    wait_until("the bar is timed", lambda: "BarTimed" in told)
    words = [each for each in list(told) if each in ("CandleReceived", "Persisted", "BarTimed")]
    assert words == ["CandleReceived", "Persisted", "BarTimed"]


def test_a_reply_that_never_comes_is_asked_about_and_the_order_is_not_sent_again(
    make: Make,
) -> None:
    desk = make(ENTER, timing=replace(QUICK, order=0.5)).ready()
    held = desk.hold("submit")
    asked = desk.count("orders")
    desk.bar()

    wait_until("the alarm", lambda: "order_unresolved" in desk.alarms())
    wait_until("the broker is asked", lambda: desk.count("orders") > asked)
    desk.account.do(lambda: held[0].answer({"outcome": "accepted", "broker_ids": {}}))  # far too late
    seen = len(desk.strategy.seen)
    desk.bar()
    wait_until("the strategy has decided on the bar", lambda: len(desk.strategy.seen) > seen)
    # A question that the trader asks after an order it sent reaches the account manager after that order. The first
    # of the two may have been on its way already.
    for number in (1, 2):
        asked = desk.count("orders")
        desk.stage.ask(desk.me, "reconcile", by="test")
        wait_until(f"later question {number}", lambda asked=asked: desk.count("orders") > asked)

    assert desk.count("submit") == 1
    assert desk.actor.is_alive


def test_a_reply_that_makes_no_sense_means_that_nobody_knows(make: Make) -> None:
    desk = make(ENTER).ready()
    desk.answers["submit"] = lambda _: {"outcome": "perhaps"}
    desk.bar()

    wait_until("the alarm", lambda: "order_unresolved" in desk.alarms())
    assert desk.count("submit") == 1


def test_history_that_cannot_be_read_is_asked_for_until_it_can(make: Make) -> None:
    desk = make()
    good, desk.history = desk.history, lambda _: {"known": [{"close": "high"}]}
    desk.begin()
    wait_until("asked again", lambda: desk.history_asked >= 3)
    desk.history = lambda _: {"what": "nonsense"}
    asked = desk.history_asked
    wait_until("asked again", lambda: desk.history_asked > asked)

    desk.history = good

    wait_until("ready", lambda: desk.status()["state"] == "ready")


def test_a_trader_that_cannot_begin_says_so_with_an_alarm(make: Make) -> None:
    desk = make(engine=EngineTiming(not_ready_after=Nanos(500_000_000)))
    desk.answers["orders"] = lambda _: {"unknown": "one record cannot be read"}
    desk.begin()
    wait_until("the alarm", lambda: "not_ready" in desk.alarms())
    assert "orders" in desk.state()["alarms"]["not_ready"]

    desk.answers["orders"] = lambda _: {"known": []}

    wait_until("ready", lambda: desk.status()["state"] == "ready")
    wait_until("cleared", lambda: "not_ready" not in desk.alarms())


def test_an_account_manager_that_does_not_know_its_streams_yet_is_asked_until_it_does(make: Make) -> None:
    desk = make()
    desk.account.stop()
    desk.account = desk.enter_account("orders", "position")
    desk.begin()
    wait_until("reconciled", lambda: desk.state()["reconciled"])
    assert desk.state()["streams"]["orders"] != "up"

    desk.account.do(lambda: desk.account.node.handle("streams", desk.answers["streams"]))

    wait_until("up", lambda: desk.state()["streams"]["orders"] == "up")


def test_an_answer_that_a_newer_message_has_overtaken_is_not_believed(make: Make) -> None:
    desk = make()
    good = desk.answers["streams"]
    held = desk.hold("streams")
    desk.begin()
    wait_until("asked", lambda: bool(held))
    desk.publish("stream", {"orders": "up", "positions": "up", "reason": "", "as_of": 2})
    wait_until("up", lambda: desk.state()["streams"]["positions"] == "up")
    desk.answers["streams"] = good
    asked = desk.count("streams")

    old = {"orders": "up", "positions": "down", "reason": "not asked for yet", "as_of": 1}
    desk.account.do(lambda: held[-1].answer(old))

    wait_until("asked again", lambda: desk.count("streams") > asked)
    assert desk.state()["streams"]["positions"] == "up"


def test_streams_of_a_silent_account_manager_are_not_believed(make: Make) -> None:
    desk = make().ready()
    go_on = desk.account.hold()
    wait_until("noticed", lambda: "silent" in desk.state()["streams"]["orders"])
    assert "silent" in desk.state()["streams"]["positions"]
    asked = desk.count("orders")

    go_on.set()

    wait_until("up again", lambda: desk.state()["streams"]["orders"] == "up")
    wait_until("the broker was asked what was missed", lambda: desk.count("orders") > asked)


def test_a_lost_order_message_makes_the_trader_ask_the_broker(make: Make) -> None:
    desk = make().ready()
    desk.publish("order", {"what": "the first, so that a hole can follow"})
    asked = desk.count("orders")

    def lose_one() -> None:
        sequences = desk.account.node._publisher._sequences
        sequences["order"] += 1

    desk.account.do(lose_one)

    wait_until("asked", lambda: desk.count("orders") > asked)


@pytest.mark.parametrize("topic", ["order", "position", "balance", "stream", "resync"])
@pytest.mark.parametrize("body", [{}, {"feed": 7}, {"orders": None, "broker_id": [], "quantity": "x"}])
def test_garbage_from_the_account_manager_kills_nobody(make: Make, topic: str, body: Body) -> None:
    desk = make().ready()

    desk.publish(topic, body)
    desk.publish("stream", {"orders": "down", "positions": "down", "reason": "seen"})

    wait_until("the next message is heard", lambda: desk.state()["streams"]["orders"] == "seen")
    assert desk.actor.is_alive


def test_garbage_from_the_bars_kills_nobody_and_the_next_candle_counts(make: Make) -> None:
    desk = make(ENTER).ready()
    for body in ({}, {"history": 1}, {"opened_at": "now"}):
        desk.bars.do(lambda body=body: desk.bars.node.publish("candle", body))  # type: ignore[misc]
    desk.bar()

    wait_until("the strategy ran", lambda: desk.strategy.seen)


def test_a_stop_while_an_order_is_under_way_ends_at_once_and_leaves_the_row(make: Make) -> None:
    desk = make(ENTER).ready()
    held = desk.hold("submit")
    desk.bar()
    wait_until("it is being sent", lambda: held)
    began = time.monotonic()

    desk.actor.stop()

    assert time.monotonic() - began < USUAL.order / 2
    assert desk.actor.node.exit_status == 0
    desk.account.do(lambda: held[0].answer({"outcome": "accepted", "broker_ids": {}}))
    (entry,) = [order for order in desk.store.orders(desk.session) if order.role is OrderRole.ENTRY]
    assert entry.state is OrderState.PRE_SENT, "nobody knows, and the next life asks"


def test_while_the_database_is_away_no_entry_is_sent_and_an_exit_is(make: Make) -> None:
    desk = make(ENTER, LEAVE, ENTER).ready()
    desk.bar()
    wait_until("the position", lambda: desk.state()["position"] == 1)
    with away(desk.url):
        desk.bar()
        wait_until("flat", lambda: desk.state()["position"] == 0)
        sent = desk.count("submit")
        desk.bar()
        wait_until("the strategy ran", lambda: len(desk.strategy.seen) == 3)
        wait_until("the alarm", lambda: "database_down" in desk.alarms())
        assert desk.count("submit") == sent
        orjson.dumps(desk.state())

    wait_until("all is well again", lambda: not desk.alarms() & {"database_down", "lease_lost"})
    wait_until("both fills are there", lambda: len(desk.store.fills(desk.session)) == 2)


def test_a_trader_that_has_nothing_to_write_notices_that_its_database_hangs(make: Make) -> None:
    desk = make().ready()
    ear = desk.ear("alarm")

    def told() -> list[bool]:
        return [not body["cleared"] for body in ear.bodies("alarm") if body["name"] == "database_down"]

    read_latches(desk)  # connects
    with hanging(desk.url):
        read_latches(desk)
        # new connections are answered, so it is over as soon as it is looked after
        wait_until("the alarm", lambda: told() == [True, False])


def test_a_word_of_the_broker_that_no_database_can_hold_costs_no_row(make: Make) -> None:
    desk = make(ENTER).ready()
    desk.answers["submit"] = lambda _: {"outcome": "refused", "reason": "no \x00 money"}
    desk.bar()

    wait_until("the row", lambda: "no \ufffd money" in [order.reason for order in desk.store.orders(desk.session)])
    assert "row_refused" not in desk.alarms()


def test_orders_of_a_lease_that_was_taken_again_carry_its_fence(make: Make) -> None:
    desk = make(ENTER).ready()
    fence = desk.state()["fence"]
    end_connections(desk.url)
    wait_until("a new fence", lambda: desk.state()["fence"] > fence)
    wait_until("all is well", lambda: desk.state()["lease"] and not desk.alarms())

    desk.bar()

    wait_until("the position", lambda: desk.state()["position"] == 1)
    assert {order.fence for order in desk.store.orders(desk.session)} == {desk.state()["fence"]}


def read_latches(desk: TradingDesk) -> None:
    desk.actor.do(desk.trader._read_latches)


def test_a_stored_halt_counts_whatever_the_clock_said_when_it_was_stored(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make().ready()
    desk.stage.ask(desk.me, "resume", scope="host")
    monkeypatch.setattr("tradeproc.store.store.wall_ns", lambda: 1_000)
    desk.store.set_latch("host", "halted", "operator", "the clock was set back")

    read_latches(desk)
    assert desk.state()["trading_state"] == "halted"

    desk.stage.ask(desk.me, "resume", scope="host")
    read_latches(desk)
    assert desk.state()["trading_state"] == "active", "the same row does not count a second time"


def test_an_older_stored_permission_undoes_no_halt(make: Make) -> None:
    desk = make().ready()
    desk.store.set_latch("host", "active", "operator", "")
    desk.stage.ask(desk.me, "halt", scope="host")

    read_latches(desk)

    assert desk.state()["trading_state"] == "halted"


def test_a_stored_permission_that_is_newer_counts(make: Make) -> None:
    desk = make().ready()
    desk.stage.ask(desk.me, "halt", scope="host")
    desk.store.set_latch("host", "active", "operator", "")

    read_latches(desk)

    assert desk.state()["trading_state"] == "active"


def test_no_request_kills_the_trader_whatever_it_holds(make: Make) -> None:
    desk = make().ready()
    bodies: list[Body] = [{}, {"state": {}}, {"scope": [], "by": {}, "reason": 5}, {"topic": 7}, {"flatten": "no"}]
    for method in sorted(desk.actor.node._server._handlers.keys() - {"stop"}):
        for body in bodies:
            with contextlib.suppress(RequestRefused):
                desk.stage.client.call(desk.me, method, body, 5.0)

    assert desk.actor.is_alive
    orjson.dumps(desk.state())


@pytest.mark.parametrize("body", [{}, {"state": "perhaps"}, {"state": 5}])
def test_a_command_that_makes_no_sense_is_refused(make: Make, body: Body) -> None:
    desk = make().ready()
    with pytest.raises(RequestRefused):
        desk.stage.ask(desk.me, "set_trading_state", **body)


def test_the_summary_and_every_snapshot_are_json_with_orders_a_position_and_alarms(make: Make) -> None:
    desk = make(ENTER, SubmitBracket(Side.BUY, Contracts(1), stop_loss=4790.0)).ready()
    ear = desk.ear("state", "order", "fill", "position", "decision", "candle", "alarm")
    desk.bar()
    wait_until("the position", lambda: desk.state()["position"] == 1)
    with away(desk.url):
        wait_until("an alarm", lambda: desk.alarms())
        found = desk.state()

    orjson.dumps(found)
    assert found["average"] == "4800"
    assert float(found["unrealized"]) == float(found["realized"]) == 0
    assert [order["role"] for order in found["orders"]] == ["stop_loss"]
    for topic in ("state", "candle", "order", "position", "fill"):
        assert desk.stage.ask(desk.me, "snapshot", topic=topic)
    wait_until("all topics", lambda: {each.topic for each in ear.heard} >= {"state", "order", "fill", "alarm"})


def test_a_stop_without_flattening_ends_the_trader_and_leaves_the_position(make: Make) -> None:
    desk = make(ENTER).ready()
    desk.bar()
    wait_until("the position", lambda: desk.state()["position"] == 1)

    desk.stage.ask(desk.me, "stop", by="test")

    desk.actor.join()
    assert desk.actor.node.exit_status == 0
    assert desk.broker.position == 1


def test_a_stop_that_waited_for_the_life_before_does_not_end_this_one(make: Make) -> None:
    desk = make(ENTER).ready()

    with pytest.raises(RequestRefused, match="process 1 was to stop; this is its successor"):
        desk.stage.ask(desk.me, "stop", flatten=True, pid=1)

    desk.bar()
    wait_until("it trades on", lambda: desk.state()["position"] == 1)
    desk.stage.ask(desk.me, "stop", pid=os.getpid())
    desk.actor.join()


def test_flatten_is_answered_at_once_and_ends_flat_with_nothing_working(make: Make) -> None:
    desk = make(ENTER).ready()
    desk.bar()
    wait_until("the position", lambda: desk.state()["position"] == 1)

    desk.stage.ask(desk.me, "flatten", by="test", seconds=3.0)

    wait_until("flat", lambda: desk.broker.position == 0 and not desk.state()["orders"])


def test_bars_that_went_silent_close_the_gate_and_come_back(make: Make) -> None:
    desk = make(timing=replace(QUICK, follower=FollowerTiming(silence=1.0))).ready()
    go_on = desk.bars.hold()
    wait_until("noticed", lambda: desk.state()["streams"]["market"] == f"{BARS} is silent")
    go_on.set()
    wait_until("up again", lambda: desk.state()["streams"]["market"] == "up")


def test_a_slow_strategy_is_alarmed_by_name_until_it_is_quick_again(
    make: Make,
) -> None:

    def dawdle(_view: View) -> Decision:
        time.sleep(0.3)
        return NOTHING

    desk = make(dawdle, engine=EngineTiming(bar_budget=Nanos(200_000_000))).ready()
    desk.bar()
    wait_until("the alarm", lambda: "strategy_overran" in desk.alarms())
    assert "strategy scripted took" in desk.state()["alarms"]["strategy_overran"]
    wait_until("its row", lambda: [row.name for row in desk.store.alarms(desk.session, only_standing=True)])

    def quick() -> bool:
        seen = len(desk.strategy.seen)
        desk.bar()
        wait_until("the bar is seen", lambda: len(desk.strategy.seen) > seen)
        return "strategy_overran" not in desk.alarms()

    wait_until("a bar within the budget", quick)


def fail(view: View) -> Decision:
    raise ZeroDivisionError("x")


def test_a_strategy_that_fails_each_bar_is_latched_in_the_database_and_the_trader_lives_on(make: Make) -> None:
    desk = make(*[fail] * 3, ENTER).ready()

    for _ in range(4):
        desk.bar()

    wait_until("the latch is stored", lambda: desk.store.latch(f"session:{desk.session}").state == "reducing")
    latch = desk.store.latch(f"session:{desk.session}")
    assert latch.by == "strategy"
    assert "it failed on 3 bars in a row: ZeroDivisionError: x" in latch.reason
    assert {"strategy_failed", "strategy_off"} <= desk.alarms()
    assert desk.state()["trading_state"] == "reducing"
    assert desk.actor.is_alive
    assert desk.count("submit") == 0


def test_a_resume_forgives_a_strategy_that_failed_once_though_nothing_was_latched(make: Make) -> None:
    desk = make(fail, ENTER).ready()
    desk.bar()
    wait_until("the alarm", lambda: "strategy_failed" in desk.alarms())

    desk.stage.client.call(desk.me, "resume", {"by": "me"}, 2.0)

    assert desk.alarms() == set()


def test_refused_decisions_are_counted_and_written_after_the_hot_path(make: Make) -> None:
    too_many = SubmitOrder(Side.BUY, Contracts(9))
    desk = make(too_many, too_many, fail, ENTER).ready()
    for _ in range(3):
        desk.bar()

    wait_until("the rows", lambda: len(desk.store.decisions(desk.session)) == 2)
    refused, failed = desk.store.decisions(desk.session)
    assert (refused.times, refused.refusal) == (2, "9 contracts are more than max_order 3")
    assert (failed.decision, failed.times) == ("failed", 1)
    assert "ZeroDivisionError: x" in failed.refusal
    told = desk.state()
    assert (told["decisions"]["refused"], told["decisions"]["failed"]) == (2, 1)
    assert told["why"].startswith("the strategy failed on the newest bar: ZeroDivisionError")


def test_rows_that_a_full_disk_kept_in_memory_are_an_alarm_only_until_they_are_stored(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make(ENTER).ready()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        # before the database goes: the rows that say so are the first that the journal cannot take
        disk.setattr(Journal, "append", full)
        with away(desk.url):
            desk.bar()
            wait_until("the alarm", lambda: "row_refused" in desk.alarms())

    wait_until("it is well again", lambda: desk.alarms() == set())


def test_a_latch_of_either_login_counts_and_that_of_another_one_does_not(make: Make) -> None:
    desk = make(data_login="data").ready()
    told = {login: desk.stage.ask(desk.me, "halt", scope=f"login:{login}") for login in ("other", "data")}

    assert told == {
        "other": {"trading_state": "active", "is_concerned": False},
        "data": {"trading_state": "halted", "is_concerned": True},
    }
    assert desk.state()["entries"] == "trading is halted by login:data, the session's data login"
    desk.stage.ask(desk.me, "resume", scope="login:data")
    for login in ("other", "paper"):
        desk.store.set_latch(f"login:{login}", "halted", "operator", "")

    read_latches(desk)

    assert desk.state()["entries"] == "trading is halted by login:paper"
