"""What a process writes down is what is read back, once, and only with a fresh fence."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from tests.store.book import AT, DIVERGENCE, EVENT, FILL, ORDER, POSITION, SPEC, booked, moved
from tradeproc.domain.book import Balance, DecisionMade
from tradeproc.domain.broker_orders import BrokerAccount
from tradeproc.domain.orders import Order, OrderState
from tradeproc.domain.tally import LossMarks
from tradeproc.domain.units import Contracts, Money, Nanos, Price
from tradeproc.protocol import names
from tradeproc.store import (
    Acknowledgement,
    DatabaseDown,
    LeaseLost,
    StatementRefused,
    Store,
    UnknownSession,
)
from tradeproc.store.migrate import migrate
from tradeproc.store.rows import Latch, PositionRow
from tradeproc.store.statements import statements
from tradeproc.store.writes import (
    balance_write,
    divergence_write,
    divergences_closed_write,
    latch_write,
    loss_marks_write,
    orders_write,
    position_write,
)
from tradeproc.testing.waiting import wait_until

WAITING_FOR_A_LOCK = (
    "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
)


@pytest.fixture
def session(store: Store) -> int:
    session = store.create_session(SPEC)
    assert session == 1
    return session


@pytest.fixture
def direct(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def test_a_session_comes_back_as_it_was_specified(store: Store, session: int) -> None:
    store.set_desired(session, "running")

    kept = store.session(session)

    assert (kept.id, kept.spec, kept.desired, kept.fence) == (1, SPEC, "running", 0)
    assert store.sessions() == [kept]


def test_a_database_without_our_tables_is_not_ready_yet_rather_than_broken(empty_url: str) -> None:
    store = Store(empty_url)
    with pytest.raises(DatabaseDown, match="sessions"):
        store.sessions()

    migrate(empty_url)

    assert store.sessions() == []
    store.close()


def test_creating_a_session_twice_with_one_key_gives_one_session(store: Store) -> None:
    assert store.create_session(SPEC, key="k") == store.create_session(SPEC, key="k")
    assert len(store.sessions()) == 1


def test_a_removed_session_is_unknown_and_its_orders_stay(store: Store, session: int) -> None:
    store.write(orders_write([replace(ORDER, fence=0)], [EVENT], fence=0))
    store.remove_session(session)

    assert store.sessions() == []
    assert len(store.orders(session)) == 1
    for ask in (store.session, store.remove_session):
        with pytest.raises(UnknownSession):
            ask(session)
    with pytest.raises(UnknownSession):
        store.set_desired(session, "running")


def test_the_installation_has_one_prefix_for_ever(store: Store, url: str) -> None:
    first = store.installation()

    other = Store(url)
    assert len(first) == 4
    assert other.installation() == first
    other.close()


def test_an_order_its_events_and_fills_are_written_and_read_back(store: Store, session: int) -> None:
    order = replace(ORDER, fence=0, reason="ünïcode % and 'quotes'")
    filled, event = moved(
        order,
        OrderState.PARTIALLY_FILLED,
        AT + 1,
        filled=Contracts(1),
        average=Price(Decimal("4750.375")),
        broker_id="77",
    )

    store.write(orders_write([order], [EVENT], fence=0))
    store.write(orders_write([filled], [event], fence=0, fills=[FILL]))

    assert store.orders(session) == [filled]
    assert store.open_orders(session) == [filled]
    assert store.order_events(order.id) == [EVENT, event]
    assert store.fills(session) == [FILL]


def test_a_repeated_write_changes_nothing(store: Store, session: int) -> None:
    order = replace(ORDER, fence=0)
    closed, event = moved(order, OrderState.CANCELLED, AT + 1)
    for _ in range(2):
        store.write(orders_write([order], [EVENT], fence=0))
        store.write(orders_write([closed], [event], fence=0, fills=[FILL]))

    assert store.orders(session) == [closed]
    assert store.open_orders(session) == []
    assert len(store.order_events(order.id)) == 2
    assert store.fills(session) == [FILL]


def test_a_fill_told_twice_is_booked_once(store: Store, session: int) -> None:
    store.write(booked(FILL))
    store.write(booked(replace(FILL, price=Price(Decimal(1)))))
    assert store.fills(session) == [FILL]


def test_a_stale_fence_writes_nothing_at_all(store: Store, session: int, direct: psycopg.Connection) -> None:
    direct.execute("update sessions set fence = 2")

    with pytest.raises(LeaseLost):
        store.write(orders_write([ORDER], [EVENT], fence=1, fills=[FILL]))

    assert (store.orders(), store.order_events(ORDER.id), store.fills()) == ([], [], [])


def test_a_refused_order_takes_the_whole_batch_with_it(store: Store, session: int) -> None:
    second = replace(ORDER, id="x" * 23)

    with pytest.raises(StatementRefused):
        store.write(orders_write([replace(ORDER, fence=0), second], [EVENT], fence=0))

    assert store.orders() == []
    store.write(orders_write([replace(ORDER, fence=0)], [EVENT], fence=0))


@pytest.mark.parametrize("table", ["order_events", "fills", "latch_changes"])
def test_history_cannot_be_changed(store: Store, session: int, direct: psycopg.Connection, table: str) -> None:
    store.write(orders_write([replace(ORDER, fence=0)], [EVENT], fence=0, fills=[FILL]))
    store.set_latch("host", "halted", "tests", "drill")

    for statement in (f"update {table} set at = 0", f"delete from {table}"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            direct.execute(statement.encode())
    assert direct.execute(f"select count(*) from {table}".encode()).fetchone() == (1,)


def test_only_changes_of_position_and_balance_are_kept(store: Store, direct: psycopg.Connection) -> None:
    cash, equity, realized, unrealized = (Money(Decimal(amount)) for amount in ("1.10", "2", "-3", "0"))
    balance = Balance("A", "USD", cash, equity, realized, unrealized, Nanos(AT))
    for at, position in ((1, POSITION), (2, POSITION), (3, replace(POSITION, quantity=Contracts(0), average=None))):
        store.write(position_write(PositionRow(1, position, "fills", Nanos(at))))
        store.write(balance_write(replace(balance, at=Nanos(at))))
    for at, position in ((1, POSITION), (3, POSITION)):
        store.write(position_write(PositionRow(1, position, "fills", Nanos(at))))

    assert direct.execute("select quantity, at from positions order by number").fetchall() == [(2, 1), (0, 3)]
    assert [row.position.average for row in store.positions(1)] == [None]
    assert store.balances() == [replace(balance, at=Nanos(1))]


def test_a_latch_is_active_until_it_is_set_and_keeps_its_history(store: Store, direct: psycopg.Connection) -> None:
    assert store.latch("session:1").state == "active"

    store.set_latch("session:1", "halted", "somebody", "too hot")
    store.set_latch("session:1", "active", "somebody", "cooled")

    assert (store.latch("session:1").state, store.latch("host").state) == ("active", "active")
    assert [latch.scope for latch in store.latches()] == ["session:1"]
    changes = direct.execute("select state, reason from latch_changes order by number").fetchall()
    assert changes == [("halted", "too hot"), ("active", "cooled")]


def test_divergences_and_alarms_are_kept_once_and_closed(store: Store, session: int) -> None:
    for _ in range(2):
        store.write(divergence_write(DIVERGENCE))
        store.save_alarm(1, "live_stop_missing", "2 contracts without a stop", Nanos(AT), names.KEEPER)
        store.save_alarm(None, "disk_full", "no room", Nanos(AT), names.KEEPER)
    assert [row.divergence for row in store.divergences(only_open=True)] == [DIVERGENCE]

    store.write(divergences_closed_write(1, "position", None, Nanos(AT + 1)))
    store.clear_alarms(1, None, Nanos(AT + 1))

    assert store.divergences(1, only_open=True) == []
    assert [row.closed_at for row in store.divergences(1)] == [AT + 1]
    assert [row.name for row in store.alarms(only_standing=True)] == ["disk_full"]


def test_what_a_person_has_seen_is_kept_with_who_and_why_and_a_new_one_is_new(store: Store, session: int) -> None:
    store.write(divergence_write(DIVERGENCE))
    store.write(divergence_write(replace(DIVERGENCE, session=2)))
    for each in (1, 2, None):
        store.save_alarm(each, "position_diverged", "look", Nanos(AT), names.KEEPER)
    store.save_alarm(1, "close_stuck", "look", Nanos(AT), names.KEEPER)
    store.save_alarm(1, "order_unknown", "look", Nanos(AT), names.KEEPER)
    store.clear_alarms(1, "order_unknown", Nanos(AT + 1))

    seen = store.acknowledge_divergences(1, "anna", "sold by hand", Nanos(AT + 5))
    assert [(row["session"], row["subject"]) for row in seen] == [(1, DIVERGENCE.subject)]
    assert store.acknowledge_divergences(1, "bert", "again", Nanos(AT + 6)) == []
    found = {row.divergence.session: row.acknowledged for row in store.divergences()}
    assert found == {1: Acknowledgement(Nanos(AT + 5), "anna", "sold by hand"), 2: None}

    assert [row["name"] for row in store.acknowledge_alarms(1, "close_stuck", "anna", "w", Nanos(AT + 7))] == [
        "close_stuck"
    ]
    assert [row["name"] for row in store.acknowledge_alarms(1, None, "anna", "w", Nanos(AT + 7))] == [
        "position_diverged"
    ]
    assert [row["session"] for row in store.acknowledge_alarms(None, None, "anna", "w", Nanos(AT + 7))] == [None]
    everywhere = store.acknowledge_alarms(None, None, "anna", "w", Nanos(AT + 8), everywhere=True)
    assert [row["session"] for row in everywhere] == [2]
    store.save_alarm(1, "close_stuck", "look again", Nanos(AT + 9), names.KEEPER)
    assert [row.detail for row in store.alarms(only_standing=True) if row.acknowledged is None] == ["look again"]


def test_logins_and_their_accounts_are_kept_as_last_told(store: Store) -> None:
    store.save_login("paper", "tradestation", "paper", "")
    account = BrokerAccount("A1", "futures", "USD", True, "active")
    for told in (account, replace(account, is_tradable=False)):
        store.save_accounts("paper", [told])

    assert [(row.name, row.broker) for row in store.logins()] == [("paper", "tradestation")]
    assert [row.account for row in store.accounts("paper")] == [replace(account, is_tradable=False)]


def test_the_newest_rows_come_oldest_first(store: Store, session: int) -> None:
    orders = [replace(ORDER, id=f"abcd{n}", fence=0, created_at=Nanos(AT + n)) for n in range(4)]
    store.write(orders_write(orders, [replace(EVENT, order_id=order.id) for order in orders], fence=0))

    assert store.orders(limit=2) == orders[2:]
    assert store.orders(session, limit=9) == orders


def test_whose_an_order_at_the_broker_is_is_known_of_more_orders_than_are_read(store: Store, session: int) -> None:
    ids = ["900", None, "901", "902"]
    orders = [
        replace(ORDER, id=f"abcd{n}", fence=0, created_at=Nanos(AT + n), broker_id=id_) for n, id_ in enumerate(ids)
    ]
    store.write(orders_write(orders, [replace(EVENT, order_id=order.id) for order in orders], fence=0))

    assert store.claimed(session, limit=2) == {"901": "abcd2", "902": "abcd3"}
    assert list(store.claimed(session, limit=9)) == ["900", "901", "902"]
    assert store.claimed(session + 1, limit=9) == {}


def test_new_orders_are_entered_as_they_would_be_saved(store: Store, session: int) -> None:
    orders = [replace(ORDER, id=f"abcd1.1.{n}", fence=0) for n in range(3)]
    events = [replace(EVENT, order_id=order.id, details={"why": "because"}) for order in orders]

    for _ in range(2):  # the second time by somebody who did not hear the answer
        store.enter_orders(orders, events, fence=0, meanwhile=lambda: None)
    store.write(orders_write(orders[:1], events[:1], fence=0))

    assert store.open_orders(session) == orders
    assert [store.order_events(order.id) for order in orders] == [[event] for event in events]


def test_with_a_stale_fence_no_order_is_entered(store: Store, session: int) -> None:
    with pytest.raises(LeaseLost):
        store.enter_orders([ORDER], [EVENT], fence=1, meanwhile=lambda: None)

    assert (store.orders(session), store.order_events(ORDER.id)) == ([], [])


def test_an_order_is_entered_while_something_else_is_done(
    store: Store, session: int, direct: psycopg.Connection, url: str
) -> None:
    store.get_ready()
    with psycopg.connect(url) as blocker:
        blocker.execute("lock table orders in exclusive mode")

        def meanwhile() -> None:
            assert wait_for_row(direct, WAITING_FOR_A_LOCK)
            assert direct.execute("select from orders").fetchone() is None
            blocker.rollback()

        store.enter_orders([replace(ORDER, fence=0)], [EVENT], fence=0, meanwhile=meanwhile)

    assert len(store.orders(session)) == 1


def test_a_connection_lost_while_an_order_is_entered_is_an_outage(
    store: Store, session: int, direct: psycopg.Connection
) -> None:
    store.get_ready()
    with pytest.raises(DatabaseDown), direct.transaction():
        direct.execute("lock table orders in exclusive mode")
        store.enter_orders([replace(ORDER, fence=0)], [EVENT], fence=0, meanwhile=lambda: kill_backends(direct))

    store.enter_orders([replace(ORDER, fence=0)], [EVENT], fence=0, meanwhile=lambda: None)
    assert len(store.orders(session)) == 1


def test_every_named_statement_is_one_that_the_server_understands(direct: psycopg.Connection) -> None:
    for name, text in statements().items():
        numbered = with_numbers(text)
        direct.execute(
            b"prepare %b as %b" % (name.encode(), numbered) if name != "make_migrations_table" else numbered
        )


def with_numbers(text: bytes) -> bytes:
    """Return a statement with numbers for the names of its parameters, as the server wants it."""
    count = 0
    while b"%(" in text:
        start = text.index(b"%(")
        key = text[start : text.index(b")s", start) + 2]
        count += 1
        text = text.replace(key, b"$%d" % count)
    return text


def test_a_long_history_without_statistics_is_not_read_to_save_an_order(
    store: Store, session: int, direct: psycopg.Connection
) -> None:
    orders = [replace(ORDER, id=f"abcd1.1.{number}", fence=0) for number in range(1000)]
    store.write(orders_write(orders, [replace(EVENT, order_id=order.id) for order in orders], fence=0))

    plan = direct.execute(b"explain (generic_plan) " + with_numbers(statements()["save_orders"])).fetchall()

    assert not [line for (line,) in plan if "Seq Scan on order" in line]


# --- when the database is away


def kill_backends(direct: psycopg.Connection) -> None:
    direct.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
    )


def test_a_lost_connection_is_replaced_without_anybody_noticing(
    store: Store, session: int, direct: psycopg.Connection
) -> None:
    kill_backends(direct)

    store.write(orders_write([replace(ORDER, fence=0)], [EVENT], fence=0))

    assert len(store.orders(session)) == 1


def test_a_connection_lost_in_the_middle_of_a_transaction_leaves_nothing_half_done(
    store: Store, session: int, direct: psycopg.Connection, url: str
) -> None:
    with psycopg.connect(url) as blocker:
        blocker.execute("lock table fills in exclusive mode")
        outcome: list[BaseException] = []

        def write() -> None:
            try:
                store.write(orders_write([replace(ORDER, fence=0)], [EVENT], fence=0, fills=[FILL]))
            except DatabaseDown as down:
                outcome.append(down)

        writer = threading.Thread(target=write)
        writer.start()
        pid = wait_for_row(direct, WAITING_FOR_A_LOCK)
        direct.execute("select pg_terminate_backend(%s, 5000)", [pid])
        writer.join(10)

    assert len(outcome) == 1
    assert (store.orders(), store.order_events(ORDER.id), store.fills()) == ([], [], [])
    store.write(orders_write([replace(ORDER, fence=0)], [EVENT], fence=0, fills=[FILL]))
    assert len(store.orders()) == 1


def wait_for_row(direct: psycopg.Connection, query: str) -> int:
    row = wait_until(query, lambda: direct.execute(query.encode()).fetchone())
    assert row is not None
    return int(row[0])


def test_a_stopped_server_does_not_hold_a_trader_up(url: str, direct: psycopg.Connection) -> None:
    store = Store(url, answer_timeout=0.3)
    assert store.is_up()
    held = "select pid from pg_stat_activity where application_name = 'tradeproc' and datname = current_database()"
    pid = wait_for_row(direct, held)
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(DatabaseDown, match="no answer in time"):
            store.orders()
        assert time.monotonic() - began < 5
    finally:
        os.kill(pid, signal.SIGCONT)
    assert store.is_up()
    store.close()


def test_a_server_that_does_not_greet_holds_a_trader_up_for_a_moment_only(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / ".s.PGSQL.5432"))
        silent.listen(5)
        store = Store(f"postgresql://nobody@/nothing?host={tmp_path}", connect_timeout=0.2)

        began = time.monotonic()
        for _ in range(5):
            with pytest.raises(DatabaseDown):
                store.orders()

        assert time.monotonic() - began < 8  # the least that libpq itself would wait is 2 s, five times
        store.close()


def test_an_absent_server_is_an_outage_at_once() -> None:
    store = Store("postgresql://nobody@/nothing?host=/tmp/tradeproc-nowhere")

    assert not store.is_up()
    with pytest.raises(DatabaseDown):
        store.orders()
    with pytest.raises(DatabaseDown):
        store.migrate()


def test_a_slow_statement_is_an_outage_and_the_store_goes_on(
    url: str, session: int, direct: psycopg.Connection
) -> None:
    store = Store(url, answer_timeout=0.2)
    with direct.transaction():
        direct.execute("lock table orders in access exclusive mode")
        with pytest.raises(DatabaseDown):
            store.orders()
    assert store.orders() == []
    store.close()


def test_orders_in_every_state_can_be_kept(store: Store, session: int) -> None:
    def order(state: OrderState) -> Order:
        return replace(ORDER, id=f"abcd{state.value}", fence=0, state=state)

    orders = [order(state) for state in OrderState]
    store.write(orders_write(orders, [], fence=0))

    assert {kept.state for kept in store.open_orders(session)} == {s for s in OrderState if not s.is_terminal}


def wish(number: int, session: int, **changes: object) -> DecisionMade:
    row = DecisionMade(session, Nanos(number), Nanos(number), 1, Nanos(7), "SubmitOrder", "why", "")
    return replace(row, **changes)  # type: ignore[arg-type]


def test_a_refusal_that_goes_on_is_one_row_that_counts(store: Store, session: int) -> None:
    first = wish(1, session, refusal="halted")
    store.save_decisions(session, [first, wish(2, session)])

    grown = replace(first, times=40, at=Nanos(90))
    store.save_decisions(session, [grown])

    assert store.decisions(session) == [grown, wish(2, session)]
    assert store.decisions(only_refused=True) == [grown]
    assert store.decision_counts(session) == {"wanted": 41, "refused": 40, "failed": 0}


def test_only_the_newest_decisions_of_a_session_are_kept(
    store: Store, session: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradeproc.store.store.KEPT_DECISIONS", 3)
    other = store.create_session(replace(SPEC, name="other"))
    store.save_decisions(other, [wish(1, other, decision="failed", refusal="x")])

    for number in range(1, 9):
        store.save_decisions(session, [wish(number, session)])

    assert [row.began_at for row in store.decisions(session)] in ([5, 6, 7, 8], [6, 7, 8])
    assert [row.began_at for row in store.decisions(session, limit=1)] == [8]
    assert store.decision_counts(other) == {"wanted": 0, "refused": 0, "failed": 1}


def test_loss_marks_that_a_journal_repeats_do_not_bring_an_older_day_or_arming_back(store: Store) -> None:
    day, night = Nanos(AT), Nanos(AT + 1)
    newest = LossMarks(1, night, Money(Decimal(2)), Money(Decimal(3)), day)
    store.write(loss_marks_write(newest))

    store.write(loss_marks_write(replace(newest, day_opened_at=day, peak=Money(Decimal(9)))))
    store.write(loss_marks_write(replace(newest, armed_at=Nanos(0), peak=Money(Decimal(9)))))
    assert store.loss_marks(1) == newest

    higher = replace(newest, peak=Money(Decimal(4)))
    store.write(loss_marks_write(higher))
    assert store.loss_marks(1) == higher
    assert store.loss_marks(2) is None


def test_when_a_latch_of_a_rule_was_lifted_is_known_also_when_a_person_had_closed_it_further(store: Store) -> None:
    scope = "session:1"
    assert store.lifted_at(scope, "rule") == 0
    store.write(latch_write(Latch(scope, "reducing", "rule", "lost", Nanos(1))))
    assert store.lifted_at(scope, "rule") == 0

    store.keep_latch(Latch(scope, "halted", "anna", "lunch", Nanos(2)))
    store.keep_latch(Latch(scope, "active", "anna", "seen", Nanos(3)))
    store.keep_latch(Latch(scope, "active", "anna", "again", Nanos(4)))
    assert store.lifted_at(scope, "rule") == 3

    store.write(latch_write(Latch(scope, "reducing", "rule", "lost", Nanos(5))))
    assert store.lifted_at(scope, "rule") == 0
