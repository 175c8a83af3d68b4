"""Sessions without a trader, got flat through a link that the test plays, over a real database and journal."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.actor import Actor, acting
from tests.databases import forget_everything, fresh_database, server
from tests.desk.states import told
from tests.store.book import SPEC
from tradeproc.bus.addresses import Directory
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Deferred, Node
from tradeproc.clock import wall_ns
from tradeproc.desk import kill_switch, liquidator
from tradeproc.desk.claim import Claim
from tradeproc.desk.confirmation import Confirmed
from tradeproc.desk.exit_status import NotFound
from tradeproc.desk.installation import Desk
from tradeproc.desk.kill_switch import KillReport, Wanted, what_stays
from tradeproc.desk.known_sessions import KnownSession
from tradeproc.desk.liquidator import Liquidated, LiquidatorTiming
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import FillKind, Position
from tradeproc.domain.broker_orders import (
    Accepted,
    BrokerOrder,
    ListedOrder,
    ListedPosition,
    OrderRequest,
    Outcome,
    Refused,
)
from tradeproc.domain.orders import Order, OrderEvent, OrderRole, OrderSource, OrderState, OrderType, Side
from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.units import SECOND, Contracts, Nanos, Price, Ticks
from tradeproc.engine import liquidation
from tradeproc.engine.events import TimePassed, TradingState
from tradeproc.engine.liquidation import LiquidationPatience
from tradeproc.engine.recording import Header
from tradeproc.home import Home
from tradeproc.procs.trader.recorder import Recorder
from tradeproc.protocol import link_messages, names, scopes
from tradeproc.protocol.link_messages import (
    AccountQuestion,
    CancelOrder,
    OrdersQuestion,
    PlaceOrder,
    PositionQuestion,
)
from tradeproc.store.database import StatementRefused
from tradeproc.store.journal import Journal, journal_path
from tradeproc.store.lease import Lease, LeaseTaken
from tradeproc.store.migrate import migrate
from tradeproc.store.store import Store
from tradeproc.store.writes import Write, orders_write, roll_write
from tradeproc.testing.waiting import wait_until

ACCOUNT, CONTRACT = SPEC.account, SPEC.contract
KNOWN = KnownSession(1, SPEC.login, SPEC.login, ACCOUNT, CONTRACT)
QUICK = LiquidatorTiming(
    operation=2.0, pause=0.05, patience=LiquidationPatience(Nanos(3 * SECOND), Nanos(SECOND))
)  # fmt: skip


class Broker:
    """A broker behind a link: market orders fill at once, unless told otherwise; `sent` are the orders that came."""

    def __init__(self, held: int = 2) -> None:
        self.held = held
        self.orders: dict[str, BrokerOrder] = {}
        self.sent: list[OrderRequest] = []
        self.refusal = ""
        self.fills_at_most = 100
        self.is_mute = False
        self.silence = ""
        self.on_submit: Callable[[], None] = lambda: None

    def add(self, broker_id: str, **changes: object) -> BrokerOrder:
        """Let a stop of two contracts work."""
        stop = BrokerOrder(
            broker_id, ACCOUNT, CONTRACT, Side.SELL, OrderType.STOP, Contracts(2), Contracts(0),
            OrderState.SUBMITTED, "", wall_ns(), stop=Price(Decimal(4700)),
        )  # fmt: skip
        self.orders[broker_id] = replace(stop, **changes)  # type: ignore[arg-type]
        return self.orders[broker_id]

    def serve(self, node: Node) -> None:
        node.handle(link_messages.ORDERS, self._orders)
        node.handle(link_messages.POSITION, self._position)
        node.handle(link_messages.POSITIONS, self._positions)
        node.handle(link_messages.CANCEL, self._cancel)
        node.handle(link_messages.SUBMIT, self._submit)
        node.set_state("ready")

    def _orders(self, _: OrdersQuestion) -> Answer[tuple[ListedOrder, ...]]:
        return Unknown(self.silence) if self.silence else Known(tuple(self.orders.values()))

    def _position(self, _: PositionQuestion) -> Answer[Position]:
        return Known(Position(ACCOUNT, CONTRACT, Contracts(self.held), None))

    def _positions(self, _: AccountQuestion) -> Answer[tuple[ListedPosition, ...]]:
        if self.silence:
            return Unknown(self.silence)
        return Known((Position(ACCOUNT, CONTRACT, Contracts(self.held), None),) if self.held else ())

    def _cancel(self, asked: CancelOrder) -> Outcome:
        at = self.orders[asked.broker_id]
        self.orders[asked.broker_id] = replace(at, state=OrderState.CANCELLED, closed_at=wall_ns())
        return Accepted()

    def _submit(self, asked: PlaceOrder) -> Outcome | Deferred[Outcome]:
        request = asked.request
        assert isinstance(request, OrderRequest)
        self.sent.append(request)
        if self.refusal:
            return Refused(self.refusal)
        filled = Contracts(min(self.fills_at_most, request.quantity))
        self.held += request.side.sign * filled
        broker_id = f"m{len(self.sent)}"
        is_all = filled == request.quantity
        self.orders[broker_id] = BrokerOrder(
            broker_id, ACCOUNT, CONTRACT, request.side, request.type, request.quantity, filled,
            OrderState.FILLED if is_all else OrderState.CANCELLED, "", wall_ns(),
            average=Price(Decimal("4750.25")), closed_at=wall_ns(),
        )  # fmt: skip
        return Deferred[Outcome]() if self.is_mute else Accepted({request.id: broker_id})


@pytest.fixture(scope="module")
def migrated() -> Iterator[str]:
    with server() as running, fresh_database(running) as url:
        migrate(url)
        yield url


@pytest.fixture
def store(migrated: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The database of the desk, with session 1, which is to run, and whose stop b1 works."""
    forget_everything(migrated)
    monkeypatch.setenv("TRADEPROC_DATABASE_URL", migrated)
    made = Store(migrated)
    made.installation()
    made.create_session(SPEC)
    made.set_desired(1, "running")
    Lease.acquire(migrated, 1, "a trader that died").release()
    stop = row(1, broker_id="b1")
    made.write(orders_write((stop,), (created(stop),), fence=1))
    yield made
    made.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    home = Home(tmp_path)
    home.make_folders()
    with Desk(home) as desk:
        yield desk


@pytest.fixture
def broker(desk: Desk) -> Iterator[Broker]:
    """A broker that holds two contracts and their stop b1."""
    made = Broker()
    made.add("b1")
    actor = Actor(Node(names.link(SPEC.login), Directory(desk.home.sockets)))
    made.serve(actor.node)
    actor.start()
    yield made
    actor.stop()


def row(number: int, **changes: object) -> Order:
    """A stop of two contracts in the rows of session 1."""
    made = Order(
        f"abcd1-1-{number}", 1, 1, CONTRACT, Side.SELL, Contracts(2), OrderType.STOP, OrderRole.STOP_LOSS,
        Nanos(wall_ns() - 60 * SECOND), Nanos(1), stop=Ticks(18800), state=OrderState.SUBMITTED,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def created(order: Order) -> OrderEvent:
    return OrderEvent(order.id, order.created_at, OrderSource.STRATEGY, None, order.state, "created")


def get_flat(desk: Desk, seconds: float = 30.0, *, is_foreign: bool = False) -> KillReport:
    return kill_switch.get_flat(desk, Wanted(scopes.HOST, "drill", seconds, is_foreign, timing=QUICK), ())


def only(report: KillReport) -> Confirmed:
    (confirmed,) = report.confirmed
    return confirmed


def closes(broker: Broker) -> list[tuple[Side, int]]:
    return [(each.side, each.quantity) for each in broker.sent]


def test_a_session_whose_trader_is_gone_is_flat_and_its_rows_say_who_did_it(
    desk: Desk, store: Store, broker: Broker
) -> None:
    report = get_flat(desk)

    assert report.is_flat
    assert only(report).in_words == f"session 1: flat, confirmed by the broker: ESH24 in account {ACCOUNT}"
    assert closes(broker) == [(Side.SELL, 2)]
    stop, close = store.orders(1)
    assert (stop.state, close.state, close.broker_id) == (OrderState.CANCELLED, OrderState.FILLED, "m1")
    assert (close.fence, close.role, close.id) == (2, OrderRole.EXIT, broker.sent[0].id)
    first = store.order_events(close.id)[0]
    assert (first.source, first.what, first.details) == (
        OrderSource.OPERATOR, "created", {"reason": "kill switch: drill"},
    )  # fmt: skip
    (fill,) = store.fills(1)
    assert (fill.kind, fill.side, fill.quantity, fill.price) == (FillKind.OWN, Side.SELL, 2, Decimal("4750.25"))
    assert [each.position.quantity for each in store.positions(1)] == [0]
    assert store.latch("session:1").state == "halted"
    # the trader may come now
    Lease.acquire(store.url, 1, "a trader").release()


def test_typed_twice_at_once_it_closes_once(desk: Desk, store: Store, broker: Broker) -> None:
    with ThreadPoolExecutor(2) as lanes:
        both = list(lanes.map(lambda _: get_flat(desk), range(2)))

    assert [each.is_flat for each in both] == [True, True]
    assert closes(broker) == [(Side.SELL, 2)]


class Killed(BaseException):
    """Stands for kill -9 at a point, which nothing catches."""


def killed(*_: object) -> None:
    raise Killed


@pytest.mark.parametrize("point", ["before it is sent", "after it is sent", "after the reply"])
def test_killed_in_the_middle_and_typed_again_it_closes_once(
    desk: Desk, store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    where: tuple[object, str] = {
        "before it is sent": (liquidator._Liquidator, "_submit"),
        "after it is sent": (liquidation.Liquidation, "close_answered"),
        "after the reply": (liquidator._Liquidator, "_book_absent"),
    }[point]
    with monkeypatch.context() as patch:
        if point == "after the reply":
            patch.setattr(liquidator._Liquidator, "_book_absent", lambda self: killed() if broker.sent else None)
        else:
            patch.setattr(*where, killed)
        with pytest.raises(Killed):
            get_flat(desk)
    assert len(broker.sent) == (0 if point == "before it is sent" else 1)

    report = get_flat(desk)

    assert report.is_flat
    assert closes(broker) == [(Side.SELL, 2)]
    assert sum(fill.quantity for fill in store.fills(1)) == 2
    never = [each for each in store.orders(1) if each.state is OrderState.REJECTED]
    assert len(never) == (1 if point == "before it is sent" else 0)


def test_a_reply_that_never_comes_is_looked_for_and_not_sent_again(desk: Desk, store: Store, broker: Broker) -> None:
    broker.is_mute = True

    assert get_flat(desk).is_flat
    assert closes(broker) == [(Side.SELL, 2)]
    assert [each.broker_id for each in store.orders(1)] == ["b1", "m1"]


def test_a_close_that_fills_in_parts_is_followed_by_one_for_the_rest(
    desk: Desk, store: Store, broker: Broker
) -> None:
    broker.fills_at_most = 1

    assert get_flat(desk).is_flat
    assert closes(broker) == [(Side.SELL, 2), (Side.SELL, 1)]
    assert sum(fill.quantity for fill in store.fills(1)) == 2


def test_a_broker_that_refuses_the_close_is_told_with_what_is_open(desk: Desk, store: Store, broker: Broker) -> None:
    broker.refusal = "no margin"

    report = get_flat(desk, seconds=5.0)

    said = only(report)
    assert (report.is_flat, said.positions, said.working) == (False, {"ESH24": 2}, ())
    assert f"NOT flat: ESH24 in account {ACCOUNT}: +2 ESH24; the close was not taken: no margin" in said.in_words
    assert {each.state for each in store.orders(1)} == {OrderState.CANCELLED, OrderState.REJECTED}


def test_what_others_placed_is_told_and_left_unless_it_is_wanted(desk: Desk, store: Store, broker: Broker) -> None:
    broker.add("x9")

    said = only(get_flat(desk))
    left = broker.orders["x9"].state
    again = get_flat(desk, is_foreign=True)

    assert (said.is_flat, said.foreign, said.positions, said.working) == (False, ("x9",), {}, ())
    assert "orders x9 that are not ours (--foreign cancels them)" in said.in_words
    assert (left, broker.orders["x9"].state) == (OrderState.SUBMITTED, OrderState.CANCELLED)
    assert again.is_flat


def test_what_the_account_of_a_stopped_and_flat_session_holds_is_told_and_left_unless_it_is_wanted(
    desk: Desk, store: Store, broker: Broker
) -> None:
    stop = row(1, broker_id="b1", state=OrderState.CANCELLED)
    event = OrderEvent(
        stop.id, wall_ns(), OrderSource.BROKER_STREAM, OrderState.SUBMITTED, stop.state, "told_cancelled"
    )
    store.write(orders_write((stop,), (event,), fence=1))
    broker.orders.clear()
    store.set_desired(1, "stopped")

    said = only(get_flat(desk))

    assert (said.is_flat, said.positions, broker.sent) == (False, {"ESH24": 2}, [])
    assert get_flat(desk, is_foreign=True).is_flat
    assert closes(broker) == [(Side.SELL, 2)]


def test_a_session_that_a_trader_elsewhere_holds_is_left_to_it(desk: Desk, store: Store, broker: Broker) -> None:
    lease = Lease.acquire(store.url, 1, "other-host:7:abcd")
    try:
        said = only(get_flat(desk, seconds=2.0))
    finally:
        lease.release()

    assert (said.is_flat, broker.sent, said.working) == (False, [], ("b1",))
    assert "session 1 is held by other-host:7:abcd" in said.why


def test_a_link_that_is_down_is_told_with_what_the_database_knew_last(desk: Desk, store: Store) -> None:
    report = get_flat(desk, seconds=2.0)

    said = only(report)
    assert (report.is_flat, said.is_known) == (False, False)
    assert "link-paper.link does not run, so nothing can be asked or sent" in said.why
    assert "the database knew last: order b1 submitted" in said.in_words


def test_a_halt_without_a_closing_tells_what_stays_and_touches_nothing(
    desk: Desk, store: Store, broker: Broker
) -> None:
    stays = only(what_stays(desk, scopes.of_session(1)))

    assert (stays.positions, stays.working, broker.sent) == ({"ESH24": 2}, ("b1",), [])
    assert broker.orders["b1"].state is OrderState.SUBMITTED


def test_a_session_that_does_not_exist_is_not_called_flat(desk: Desk, store: Store, broker: Broker) -> None:
    with pytest.raises(NotFound):
        kill_switch.get_flat(desk, Wanted(scopes.of_session(2), ""), ())


def test_a_session_whose_account_another_one_looks_after_is_passed_over(
    desk: Desk, store: Store, broker: Broker
) -> None:
    store.create_session(replace(SPEC, name="twin"))

    report = kill_switch.get_flat(desk, Wanted(scopes.of_session(2), "", timing=QUICK), ())

    assert (report.confirmed, report.passed_over, broker.sent) == ((), ((2, 1),), [])


def test_a_halt_that_is_stored_needs_no_latch_of_the_session(desk: Desk, store: Store, broker: Broker) -> None:
    report = kill_switch.get_flat(desk, Wanted(scopes.HOST, "", is_latched=True, timing=QUICK), ())

    assert (report.is_flat, store.latch("session:1").state) == (True, "active")


def test_a_broker_that_does_not_answer_is_told_with_what_was_known_last_and_nothing_is_sent(
    desk: Desk, store: Store, broker: Broker
) -> None:
    broker.silence = "no connection"

    said = only(get_flat(desk, seconds=2.0))

    assert (said.is_flat, said.is_known, broker.sent) == (False, False, [])
    assert "not known to be flat: ESH24 in account" in said.in_words
    assert "no connection; the database knew last: order b1 submitted; look at the broker" in said.in_words


@pytest.mark.parametrize("scope", [scopes.of_login("other"), scopes.of_account("other"), scopes.of_portfolio("P")])
def test_sessions_outside_the_scope_are_left(desk: Desk, store: Store, broker: Broker, scope: scopes.Scope) -> None:
    report = kill_switch.get_flat(desk, Wanted(scope, ""), ())

    assert (report.confirmed, broker.sent) == ((), [])


def test_what_others_placed_beside_a_trader_that_lives_is_cancelled_when_it_is_wanted(
    desk: Desk, store: Store, broker: Broker
) -> None:
    heard: list[str] = []

    def hear(name: str, answer: Body) -> Callable[[Body], Body]:
        return lambda _: (heard.append(name), answer)[1]

    broker.held, broker.orders = 0, {}
    broker.add("x9")
    halted = {"trading_state": "halted"}
    handlers = {"halt": hear("halt", halted), "flatten": hear("flatten", halted), "state": hear("state", told())}
    with acting(desk.home.sockets, "session-1.trader", handlers):
        left = only(get_flat(desk))
        report = get_flat(desk, is_foreign=True)

    assert (left.is_flat, left.foreign) == (False, ("x9",))
    assert (report.is_flat, broker.orders["x9"].state, broker.sent) == (True, OrderState.CANCELLED, [])
    assert heard[:3] == ["halt", "flatten", "state"]


# --- the database away


def record(desk: Desk) -> None:
    """Leave what a trader that has run leaves: the recording of its life, under lease 1."""
    header = Header(1, 1, "abcd", SPEC.to_dict(), {"host": TradingState.ACTIVE}, wall_ns(), "test")
    recorder = Recorder(desk.home.recordings, header)
    recorder.note(TimePassed(), wall_ns(), ())
    recorder.close()


def test_without_a_database_it_works_from_the_recordings_and_the_journal_and_not_twice(
    desk: Desk, store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(desk)
    nowhere = store.url.replace("host=", "host=/nowhere")
    with monkeypatch.context() as patch:
        patch.setenv("TRADEPROC_DATABASE_URL", nowhere)
        with patch.context() as killing:
            killing.setattr(liquidation.Liquidation, "close_answered", killed)
            with pytest.raises(Killed):
                get_flat(desk)
        report = get_flat(desk)

    assert only(report).is_flat
    assert (report.is_flat, report.is_all) == (False, False), "there may be sessions that nothing tells of"
    assert closes(broker) == [(Side.SELL, 2)]
    assert broker.orders["b1"].state is OrderState.CANCELLED
    journal = Journal(journal_path(desk.home.journal, 1))
    journal.replay(store)
    journal.close()
    (close,) = [each for each in store.orders(1) if each.role is OrderRole.EXIT]
    assert (close.id, close.state, close.broker_id) == (broker.sent[0].id, OrderState.FILLED, "m1")
    assert len(close.id) <= 22
    assert [fill.kind for fill in store.fills(1)] == [FillKind.OWN]
    assert store.latch("session:1").state == "halted"


def test_without_database_and_disk_the_close_goes_out_all_the_same_and_the_missing_rows_are_told(
    desk: Desk, store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    record(desk)
    monkeypatch.setenv("TRADEPROC_DATABASE_URL", store.url.replace("host=", "host=/nowhere"))
    monkeypatch.setattr(Journal, "append", full)

    report = get_flat(desk)

    assert only(report).is_flat
    assert closes(broker) == [(Side.SELL, 2)]
    assert "session 1: rows are missing" in report.notes[0]
    assert "No space left on device" in report.notes[0]


def test_without_a_database_nobody_claims_to_know_who_is_in_a_portfolio(
    desk: Desk, store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(desk)
    monkeypatch.setenv("TRADEPROC_DATABASE_URL", store.url.replace("host=", "host=/nowhere"))

    report = kill_switch.get_flat(desk, Wanted(scopes.of_portfolio("P"), ""), ())

    assert (report.confirmed, report.is_flat) == ((), False)


def test_without_a_database_a_trader_of_this_host_that_lives_keeps_its_session(
    desk: Desk, store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(desk)
    monkeypatch.setenv("TRADEPROC_DATABASE_URL", store.url.replace("host=", "host=/nowhere"))
    trader = Journal(journal_path(desk.home.journal, 1))
    try:
        said = only(get_flat(desk, seconds=1.0))
    finally:
        trader.close()

    assert (said.is_flat, broker.sent) == (False, [])
    assert "a process of this host that has its journal open" in said.why


def test_a_trader_that_comes_back_meanwhile_waits_for_the_lease(
    desk: Desk, store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    come, may_go = threading.Event(), threading.Event()
    original = liquidator._Liquidator._submit

    def slow(self: liquidator._Liquidator, order: Order) -> Outcome:
        come.set()
        may_go.wait(20.0)
        return original(self, order)

    monkeypatch.setattr(liquidator._Liquidator, "_submit", slow)
    with ThreadPoolExecutor(1) as lane:
        flat = lane.submit(get_flat, desk)
        wait_until("the close", come.is_set)
        with pytest.raises(LeaseTaken):
            Lease.acquire(store.url, 1, "a trader")
        may_go.set()

        assert flat.result(60.0).is_flat
    assert closes(broker) == [(Side.SELL, 2)]


# --- what is odd ends no kill switch


def test_a_journal_line_of_another_version_is_told_and_the_session_is_flat(
    desk: Desk, store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(desk)
    monkeypatch.setenv("TRADEPROC_DATABASE_URL", store.url.replace("host=", "host=/nowhere"))
    journal = Journal(journal_path(desk.home.journal, 1))
    journal.append(Write("save_orders", {"session": 1, "orders": '[{"id": "abcd1-1-9", "way": "sideways"}]'}))
    journal.close()

    report = get_flat(desk)

    assert only(report).is_flat
    assert closes(broker) == [(Side.SELL, 2)]
    assert "session 1: 1 lines of its journal cannot be read" in report.notes[0]


def test_a_bug_in_one_session_hides_nothing_of_the_others(
    desk: Desk, store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create_session(replace(SPEC, name="other", contract="NQH24"))
    store.set_desired(2, "running")
    original = kill_switch.liquidate

    def broken(desk: Desk, claim: Claim, *rest: Any, **options: Any) -> Liquidated:
        if claim.known.id == 2:
            raise KeyError("a bug")
        return original(desk, claim, *rest, **options)

    monkeypatch.setattr(kill_switch, "liquidate", broken)

    one, two = get_flat(desk).confirmed

    assert (one.session, one.is_flat, closes(broker)) == (1, True, [(Side.SELL, 2)])
    assert "the kill switch itself failed here, KeyError: 'a bug'" in two.why


@pytest.mark.parametrize("refuses", ["open_orders", "claimed", "lease"])
def test_a_database_that_refuses_a_statement_keeps_no_position_open(
    desk: Desk, store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch, refuses: str
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise StatementRefused(refuses, "no such column")

    monkeypatch.setattr(*(Lease, "acquire") if refuses == "lease" else (Store, refuses), refused)

    report = get_flat(desk)

    assert only(report).positions == {}
    assert closes(broker) == [(Side.SELL, 2)]


@pytest.mark.parametrize("step", [RollStep.CLOSING, RollStep.FLAT, RollStep.REOPENING])
def test_a_roll_under_way_opens_nothing_again_also_when_somebody_resumes_before_its_trader_is_back(
    desk: Desk, store: Store, broker: Broker, step: RollStep
) -> None:
    nobody, entries = (None, None, None, None), "e1" if step is RollStep.REOPENING else ""
    two = (Contracts(2), Contracts(2))
    roll = Roll("r1", 1, CONTRACT, "ESM24", step, "anna", "", *two, *nobody, "c1", entries, *(wall_ns(),) * 3)
    store.write(roll_write(roll))

    report = get_flat(desk)

    (left,) = store.rolls(1)
    assert (report.is_flat, left.step, left.reopen) == (True, step, 0)
    assert left.reason.startswith("kill switch")
    assert f"session 1: its roll from {CONTRACT} into ESM24 opens nothing again" in report.notes


def test_what_the_database_refuses_to_tell_ends_no_confirmation(
    desk: Desk, store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.silence = "no connection"

    def refused(*_: object, **__: object) -> None:
        raise StatementRefused("positions", "no such column")

    monkeypatch.setattr(Store, "positions", refused)

    said = only(get_flat(desk, seconds=2.0))

    assert (said.is_known, "no connection" in said.in_words) == (False, True)


def test_no_cancel_is_sent_after_the_time_is_over(
    desk: Desk, store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(number, broker_id=f"b{number}") for number in (1, 2, 3)]
    for each in rows[1:]:
        store.write(orders_write((each,), (created(each),), fence=1))
        broker.add(str(each.broker_id))
    asked: list[str] = []

    def cancel(self: liquidation.Liquidation, broker_id: str, _: Outcome) -> None:
        asked.append(broker_id)
        monkeypatch.setattr(liquidator.time, "monotonic", lambda: float("inf"))

    monkeypatch.setattr(liquidation.Liquidation, "cancel_answered", cancel)
    with Claim.take(desk.home, KNOWN, store.url) as claim:
        done = liquidator.liquidate(desk, claim, "drill", time.monotonic() + 600.0, timing=QUICK)

    assert (len(asked), done.why != "", broker.sent) == (1, True, [])


def test_what_others_have_in_another_contract_of_the_product_is_closed_when_it_is_wanted(
    desk: Desk, store: Store, broker: Broker
) -> None:
    broker.add("x9", contract="ESM24")

    left = only(get_flat(desk))
    report = get_flat(desk, is_foreign=True)

    assert left.foreign == ("x9",)
    assert (report.is_flat, broker.orders["x9"].state) == (True, OrderState.CANCELLED)


def test_a_trader_that_was_stopped_as_hung_is_named_with_what_starts_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.supervisor, "stop", lambda *_: None)
    switch = kill_switch._KillSwitch(desk, Wanted(scopes.HOST, ""), "", 0.0)

    assert switch._stop_hung(1)
    assert switch.notes == [
        "session 1: its trader did not answer and was stopped; it stays down until "
        ".venv/bin/supervisorctl -c supervisord.conf start session-1:trader"
    ]
