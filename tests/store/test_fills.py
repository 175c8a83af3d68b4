"""Rows of the books that no order of ours made: external changes, reversals, and the latch that goes with them."""

import zlib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from tests.store.book import AT, EVENT, FILL, ORDER, POSITION, SPEC
from tradeproc.domain.book import FillKind
from tradeproc.domain.fills import standing
from tradeproc.domain.orders import Side
from tradeproc.domain.units import Contracts, Nanos, Price
from tradeproc.store import Store, round_trips
from tradeproc.store.journal import Journal
from tradeproc.store.migrate import MigrationSet, migrate, own_part
from tradeproc.store.rows import Latch, PositionRow
from tradeproc.store.writes import latch_write, orders_write, position_write

UNDONE = replace(
    FILL, side=Side.SELL, cumulative=Contracts(0), kind=FillKind.REVERSAL, revision=1, at=Nanos(FILL.at + 1)
)
AGAIN = replace(FILL, revision=1, price=Price(Decimal("-37.63")), at=Nanos(FILL.at + 2))
BY_HAND = replace(FILL, order_id="x", broker_id="", kind=FillKind.EXTERNAL, price=None, at=Nanos(FILL.at + 3))


@pytest.fixture
def session(store: Store) -> int:
    return store.create_session(SPEC)


def test_a_fill_its_reversal_and_the_fill_after_it_are_three_rows_each_booked_once(
    store: Store, session: int
) -> None:
    rows = [FILL, UNDONE, AGAIN, BY_HAND]
    order = replace(ORDER, fence=0, revision=1)
    for _ in range(2):
        store.write(orders_write([order], [EVENT], fence=0, fills=rows))

    assert store.fills(session) == rows
    assert store.orders(session) == [order]
    assert standing(rows) == [AGAIN, BY_HAND]
    assert store.sessions_with_new_fills() == [session]


def test_a_unit_of_fills_keeps_its_order_whatever_their_names(store: Store, session: int) -> None:
    same = [replace(FILL, order_id=name, at=Nanos(AT)) for name in ("c", "a", "b")]

    store.write(orders_write([], [], fence=0, fills=same))

    assert [fill.order_id for fill in store.fills(session)] == ["c", "a", "b"]


def test_trades_of_unknown_price_and_below_zero_come_back_as_they_are(store: Store, session: int) -> None:
    rows = [
        replace(FILL, order_id="a", price=Price(Decimal(0))),
        replace(FILL, order_id="b", side=Side.SELL, price=Price(Decimal("-37.63"))),
        replace(FILL, order_id="c"),
        replace(BY_HAND, side=Side.SELL),
    ]
    trades = round_trips(rows)

    store.save_trades(session, trades, fills_seen=4)

    assert store.trades(session) == trades
    assert [(trade.entry_price, trade.exit_price, trade.profit) for trade in trades] == [
        (0, Decimal("-37.63"), Decimal("-1881.50")),
        (FILL.price, None, None),
    ]


def test_a_row_of_an_earlier_version_in_a_journal_is_an_own_fill(store: Store, session: int, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(orders_write([replace(ORDER, fence=0)], [EVENT], fence=0, fills=[FILL]))
    journal.close()
    path = tmp_path / "journal.jsonl"
    body = path.read_bytes().partition(b" ")[2]
    for added in (b',\\"kind\\":\\"own\\",\\"revision\\":0', b',\\"revision\\":0'):
        assert added in body
        body = body.replace(added, b"")
    path.write_bytes(b"%08x %b" % (zlib.crc32(body.rstrip(b"\n")), body))
    journal = Journal(path)

    journal.replay(store)

    journal.close()
    assert store.fills(session) == [FILL]


TRIPPED = Latch("session:1", "reducing", "external_policy", "sold by hand", Nanos(AT))


def test_a_latch_is_tripped_once_and_not_again_after_a_person_resumed(store: Store) -> None:
    for _ in range(2):
        store.write(latch_write(TRIPPED))
    assert (store.latch("session:1").state, store.latch("session:1").at) == ("reducing", AT)

    store.set_latch("session:1", "active", "me", "it was me")
    store.write(latch_write(TRIPPED))  # a journal repeats it

    assert store.latch("session:1").state == "active"


def test_what_a_person_closed_is_not_touched(store: Store) -> None:
    store.set_latch("session:1", "halted", "me", "lunch")

    store.write(latch_write(TRIPPED))

    assert (store.latch("session:1").state, store.latch("session:1").by) == ("halted", "me")


def test_a_process_that_closes_more_than_a_person_did_is_heard(store: Store) -> None:
    store.set_latch("login:paper", "reducing", "me", "lunch")

    store.write(latch_write(Latch("login:paper", "halted", "inert_stop_watch", "a stop does nothing", Nanos(AT))))

    assert (store.latch("login:paper").state, store.latch("login:paper").by) == ("halted", "inert_stop_watch")


def test_what_earlier_versions_took_over_without_a_row_is_booked_by_the_migration(empty_url: str) -> None:
    own = own_part()
    older = MigrationSet(own.name, {name: text for name, text in own.files.items() if name < "0004"})
    migrate(empty_url, (older,))
    with psycopg.connect(empty_url) as direct:
        for session, held, average in ((1, 3, "4800.25"), (2, 0, None), (3, -1, "4800")):
            direct.execute(
                "insert into positions (session, account, contract, quantity, average, source, at)"
                " values (%s, 'A', 'ESH24', %s, %s, 'reconciliation', %s)",
                (session, held, average, AT),
            )
        for session in (2, 3):
            direct.execute(
                "insert into fills (order_id, broker_id, session, contract, side, quantity, cumulative, price, at,"
                " market_at) values (%s, '', %s, 'ESH24', 'buy', 1, 1, 4790, %s, %s)",
                (f"o{session}", session, AT, AT),
            )

    migrate(empty_url, (own,))

    store = Store(empty_url)
    found = {
        session: [(each.kind.value, each.quantity * each.side.sign, each.price) for each in store.fills(session)]
        for session in (1, 2, 3)
    }
    store.close()
    assert found == {
        1: [("external", 3, Decimal("4800.25"))],
        2: [("own", 1, 4790), ("external", -1, None)],
        3: [("own", 1, 4790), ("external", -2, None)],
    }


def test_positions_below_zero_are_kept(store: Store, session: int) -> None:
    below = replace(POSITION, average=Price(Decimal("-37.63")))

    store.write(position_write(PositionRow(session, below, "fills", Nanos(AT))))

    assert [row.position for row in store.positions(session)] == [below]
