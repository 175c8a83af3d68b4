"""The journal: what was confirmed is there after a kill, what was torn was never confirmed."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.exchange.tickets import ACCOUNT, CASH, ES, bracket, one, points, ticket, ticks
from tradeproc.domain.orders import Side
from tradeproc.domain.units import SECOND, Contracts, Nanos
from tradeproc.exchange.orders import Declined, DeclineReason, OrderStatus, Placed, Replacement
from tradeproc.localbroker.journal import BrokenJournal, BrokerJournal
from tradeproc.localbroker.market import Market, MarketSettings
from tradeproc.localbroker.tape import generated

START = 1_703_545_200 * SECOND
TAPE = generated(ES, 5, START, 600)


class Time:
    """A wall and a monotonic clock that a test moves by hand."""

    def __init__(self) -> None:
        self.passed = 0

    def wall(self) -> Nanos:
        return Nanos(1_790_000_000 * SECOND + self.passed)

    def monotonic(self) -> int:
        return 77 + self.passed


def market(path: Path | None, time: Time, *, speed: float = 10.0, seed: int = 5) -> Market:
    tape = TAPE if seed == 5 else generated(ES, seed, START, 600)
    settings = MarketSettings({ACCOUNT: CASH}, speed=speed, history_minutes=1)
    return Market(tape, settings, journal=path, wall=time.wall, monotonic=time.monotonic)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "deep" / "localbroker.journal"


def test_a_market_plays_what_is_due_and_stamps_orders_with_wall_and_ticks_with_market_time() -> None:
    time = Time()
    desk = market(None, time)
    assert desk.last(ES) == TAPE.last(ES, START + 60 * SECOND)
    assert [bar.candle.opened_at for bar in desk.bars(ES, 1, 5) if bar.candle.is_closed] == [START]

    time.passed += 6 * SECOND
    answer = desk.place(ACCOUNT, one(ticket(Side.BUY, 1)))

    assert isinstance(answer, Placed)
    assert desk.last(ES) == TAPE.last(ES, START + 120 * SECOND)
    (fill,) = desk.books.fills()
    assert (fill["at"], fill["market_at"]) == (time.wall(), START + 120 * SECOND)


def test_a_market_can_pause_run_faster_and_end() -> None:
    time = Time()
    desk = market(None, time)
    desk.pause()
    time.passed += 1000 * SECOND
    assert desk.advance() == 0

    desk.resume()
    desk.set_speed(540.0)
    time.passed += SECOND

    assert desk.advance() == len(TAPE) - TAPE.index_after(START + 60 * SECOND)
    assert desk.is_over


def test_a_market_that_was_killed_comes_back_with_all_that_it_confirmed(journal: Path) -> None:
    time = Time()
    old = market(journal, time)
    old.place(ACCOUNT, one(ticket(Side.BUY, 2, client_id="abcd-1")))
    last = Decimal(str(old.last(ES).price))  # type: ignore[union-attr]
    old.place(ACCOUNT, bracket(3, None, str(last - 2), str(last + 2)))
    resting = old.place(ACCOUNT, one(ticket(Side.BUY, 1, limit=str(last - 50))))
    assert isinstance(resting, Placed)
    old.replace(resting.orders[0].id, Replacement(quantity=Contracts(4), limit=ticks(last - 49)))
    old.cancel(resting.orders[0].id)
    for _ in range(20):
        time.passed += SECOND
        old.advance()

    new = market(journal, time)

    assert new.exchange.orders(ACCOUNT) == old.exchange.orders(ACCOUNT)
    assert new.exchange.holdings(ACCOUNT) == old.exchange.holdings(ACCOUNT)
    assert new.exchange.funds(ACCOUNT) == old.exchange.funds(ACCOUNT)
    assert new.books.fills() == old.books.fills()
    assert new.books.requests() == old.books.requests()
    assert new.now().market == old.now().market
    again = new.place(ACCOUNT, one(ticket(Side.BUY, 2, client_id="abcd-1")))
    assert isinstance(again, Declined)
    assert again.why is DeclineReason.DUPLICATE


def test_a_market_that_came_back_goes_on_like_one_that_was_never_killed(journal: Path) -> None:
    time = Time()
    steady, killed = market(None, time), market(journal, time)
    for step in range(50):
        if step % 10 == 3:
            killed = market(journal, time)
        time.passed += SECOND
        if step % 10 == 3:
            last = Decimal(str(steady.last(ES).price))  # type: ignore[union-attr]
            for desk in (steady, killed):
                desk.advance()
                desk.place(ACCOUNT, bracket(2, str(last - 1), str(last - 2), str(last + 1)))
        for desk in (steady, killed):
            desk.advance()

    assert killed.exchange.orders(ACCOUNT)
    assert [(fill["order_id"], fill["price"]) for fill in killed.books.fills()] == [
        (fill["order_id"], fill["price"]) for fill in steady.books.fills()
    ]


def test_the_clock_goes_on_where_it_was_with_the_speed_that_was_set(journal: Path) -> None:
    time = Time()
    old = market(journal, time)
    old.set_speed(20.0)
    time.passed += SECOND
    old.pause()

    new = market(journal, time)
    reconfigured = market(journal, time, speed=5.0)

    assert (new.pace.market, new.pace.speed, new.pace.is_paused) == (START + 80 * SECOND, 20.0, True)
    assert reconfigured.pace.speed == 5.0


def test_a_torn_last_line_is_cut_off_and_the_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "j"
    first = BrokerJournal(path)
    first.write([{"kind": "a"}, {"kind": "b"}])
    first.write([{"kind": "c"}])
    first.close()
    whole = path.read_bytes()
    for torn in (b"", b"[", b'[{"kind":"d"}]', b'[{"ki\n', b"\xff\xfe\x00"):
        path.write_bytes(whole + torn)

        again = BrokerJournal(path)
        again.write([{"kind": "e"}])
        again.close()

        assert path.read_bytes() == whole + b'[{"kind":"e"}]\n'
        assert [record["kind"] for record in BrokerJournal(path).records] == ["a", "b", "c", "e"]


def test_a_journal_that_is_damaged_in_the_middle_or_of_another_tape_is_refused(journal: Path, tmp_path: Path) -> None:
    time = Time()
    market(journal, time).close()
    with pytest.raises(BrokenJournal, match="another tape"):
        market(journal, time, seed=6)
    journal.write_bytes(b"garbage\n" + journal.read_bytes())
    with pytest.raises(BrokenJournal, match="line 1 is damaged; move the file away"):
        market(journal, time)
    with pytest.raises(BrokenJournal, match="cannot be opened"):
        BrokerJournal(tmp_path)


WRITER = """
import sys
from decimal import Decimal
from pathlib import Path
from tests.exchange.tickets import *
from tradeproc.localbroker.market import Market, MarketSettings
from tradeproc.localbroker.tape import generated

desk = Market(generated(ES, 5, 1703545200 * 10**9, 600), MarketSettings({ACCOUNT: CASH}), journal=Path(sys.argv[1]))
for number in range(100_000):
    desk.place(ACCOUNT, one(ticket(Side.BUY, 1, client_id=f"id-{number}")))
    print(number, flush=True)
"""


def test_kill_nine_in_the_middle_of_writing_loses_nothing_that_was_confirmed(journal: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(journal)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert writer.stdout is not None
    try:
        while int(writer.stdout.readline()) < 50:
            pass
        os.kill(writer.pid, signal.SIGKILL)
        confirmed = 51 + len(writer.stdout.read().splitlines())
    finally:
        writer.kill()
        writer.stdout.close()
        writer.wait()

    desk = market(journal, Time())

    found = desk.exchange.orders(ACCOUNT)
    assert len(found) in (confirmed, confirmed + 1)
    assert all(order.status is OrderStatus.FILLED for order in found)
    assert sum(fill["quantity"] for fill in desk.books.fills()) == len(found)


def test_a_torn_line_is_put_aside(journal: Path) -> None:
    books = BrokerJournal(journal)
    books.write([["a", 1]])  # type: ignore[list-item]
    books.close()
    with journal.open("ab") as file:
        file.write(b'[["b", 2')

    again = BrokerJournal(journal)

    assert again.records == [["a", 1]]
    assert journal.with_name("localbroker.journal.torn").read_bytes() == b'[["b", 2\n'
    again.close()


def test_what_a_full_disk_did_not_take_goes_before_the_next_and_leaves_no_half_line(journal: Path) -> None:
    books = BrokerJournal(journal)
    books.write([["a", 1]])  # type: ignore[list-item]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size + 4, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            books.write([["b", 2]])  # type: ignore[list-item]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    books.write([["c", 3]])  # type: ignore[list-item]

    assert BrokerJournal(journal).records == [["a", 1], ["b", 2], ["c", 3]]
    books.close()


@pytest.mark.parametrize("lines", ["[1]\n", "damaged\n[]\n", '[{"kind": "opened", "tape": {}}]\n'])
def test_a_journal_that_is_refused_is_not_left_open(journal: Path, lines: str) -> None:
    journal.parent.mkdir()
    journal.write_text(lines)

    def opened() -> list[str]:
        found = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
        return [path for path in found if path == os.path.realpath(journal)]

    with pytest.raises(BrokenJournal):
        market(journal, Time())

    assert opened() == []


def test_the_books_of_the_version_before_are_read_and_go_on(journal: Path) -> None:
    # written by the last version whose orders had the words of one broker and prices in points
    journal.parent.mkdir()
    journal.write_bytes(Path(__file__).with_name("journal_of_november_2026.txt").read_bytes())

    found = market(journal, Time())

    told = [
        (order.id, order.status.value, order.filled, points(order.average), order.group_kind.name, order.client_id)
        for order in found.exchange.orders(ACCOUNT)
    ]
    tied = ("ONE_REDUCES_OTHER", "ONE_CANCELS_OTHER", "INDEPENDENT")
    assert told == [
        ("1000000001", "filled", 2, Decimal("4798.75"), tied[2], "abcd-1"),
        ("1000000002", "filled", 3, Decimal("4798.75"), tied[2], ""),
        *((order_id, "working", 0, None, tied[0], "") for order_id in ("1000000003", "1000000004")),
        ("1000000005", "working", 0, None, tied[2], "rest-1"),
        *((order_id, "working", 0, None, tied[1], "") for order_id in ("1000000006", "1000000007")),
        ("1000000009", "cancelled", 0, None, tied[2], ""),
    ]
    assert [order.memo for order in found.exchange.orders(ACCOUNT) if order.memo] == ["extended"]
    assert points(found.exchange.orders(ACCOUNT)[4].limit) == Decimal("4749.75")
    (holding,) = found.exchange.holdings(ACCOUNT)
    assert (holding.id, holding.quantity, points(holding.cost)) == ("70000001", 5, Decimal("23993.75"))
    funds = found.exchange.funds(ACCOUNT)
    assert (funds.cash, funds.equity, funds.unrealized) == (100_000, Decimal("99937.50"), Decimal("-62.50"))
    assert [request["client_ids"] for request in found.books.requests()[:3]] == [["abcd-1"], [], ["rest-1"]]
    assert found.books.requests()[1]["details"]["orders"][0]["then"][0]["kind"] == "one_reduces_other"
    next_order = found.place(ACCOUNT, one(ticket(Side.BUY, 1)))
    assert isinstance(next_order, Placed)
    assert next_order.orders[0].id == "1000000010"
    found.close()
    assert len(market(journal, Time()).exchange.orders(ACCOUNT)) == 9


def test_the_money_at_the_start_of_the_day_is_known_after_a_kill(journal: Path) -> None:
    time = Time()
    old = market(journal, time, speed=86_400)
    old.place(ACCOUNT, one(ticket(Side.BUY, 2)))
    time.passed += SECOND
    old.advance()

    new = market(journal, time, speed=86_400)

    start = old.exchange.day_start(ACCOUNT)
    assert start.unrealized == old.exchange.funds(ACCOUNT).unrealized != 0
    assert new.exchange.day_start(ACCOUNT) == start
