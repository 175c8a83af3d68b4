"""Why a session does not trade is one line, whatever the reason."""

from dataclasses import replace

import pytest

from tests.desk.states import state
from tradeproc.cli import why
from tradeproc.cli.why import entries, why_rows
from tradeproc.clock import wall_ns
from tradeproc.desk.listed import SessionListed
from tradeproc.domain.units import SECOND, Nanos, from_iso
from tradeproc.protocol.trader_messages import RefusedDecision, SessionState
from tradeproc.supervision.deaths import Death
from tradeproc.testing.running import INSTALLATION as ROOT

ROW = SessionListed(1, "mine", desired="running", state="running")


STALE = "no market data for 999 s"
CLOSED = "the market is closed until 2026-11-29 23:00:00 UTC"
LINES: list[tuple[SessionState | None, str, str]] = [
    (state(), "", "open"),
    (state(why="it wants nothing: 9 bars in a row"), "", "open: it wants nothing: 9 bars in a row"),
    (state(why="warm-up: 3 of the 22 bars"), "", "open: warm-up: 3 of the 22 bars"),
    (state(entries=STALE, why=STALE), CLOSED, f"closed: {CLOSED}"),
    (state(entries=STALE, why=STALE), "", f"closed: {STALE}"),
    (state(entries="the database is down", why="the database is down"), CLOSED, "closed: the database is down"),
    (state(entries="the lease is lost", why="the lease is lost"), "", "closed: the lease is lost"),
    (state(why="x"), "the tape of the local broker is over", "closed: the tape of the local broker is over"),
    (
        state(entries="trading is reducing by session:1", why="the strategy is not called any more: it failed",
              decisions={"off": "it failed"}), CLOSED, "closed: the strategy is not called any more: it failed",
    ),
    (None, "", "closed: its trader is not running"),
    (None, "its trader is starting: no history", "closed: its trader is starting: no history"),
]  # fmt: skip


@pytest.mark.parametrize(("told", "market", "line"), LINES)
def test_entries_are_open_or_closed_and_why(told: SessionState | None, market: str, line: str) -> None:
    assert entries(ROW, told, market) == line


def test_a_stopped_session_says_how_to_start_it() -> None:
    line = entries(replace(ROW, desired="stopped"), None, "")

    assert line == "closed: the session is stopped; scripts/tradectl session start 1"


def test_a_trader_that_dies_before_each_bar_is_why_no_bar_is_decided() -> None:
    deaths = [Death(wall_ns(), 1, "it left no word", -1), Death(wall_ns() - 60 * SECOND, 1, "it left no word", -1)]

    [(_, line), *_] = why_rows(ROW, state(why="x", decisions={"bars": 0}), "", deaths)
    assert line == "open: no bar was decided since its trader died, 2 times within the hour: it left no word"
    [(_, line), *_] = why_rows(ROW, state(why="x", decisions={"bars": 3}), "", deaths)
    assert line == "open: x"
    # nor is a bar decided while the market is closed, whoever died
    [(_, line), *_] = why_rows(ROW, state(why="x", decisions={"bars": 0}), "the market is closed", deaths)
    assert line.startswith("closed: the market is closed; no bar was decided since its trader died, 2 times")


def test_the_newest_refusals_and_failures_stand_first_in_show() -> None:
    newest = tuple(RefusedDecision(Nanos(10**18), Nanos(0), "SubmitOrder", f"no {n}") for n in range(5))
    told = state(decisions={"wanted": 75, "refused": 75, "failed": 2, "failure": "KeyError", "newest": newest})

    rows = why_rows(ROW, told, "")

    assert [key for key, _ in rows] == ["entries", "strategy", "decisions", "  refused", "  refused", "  refused"]
    assert rows[1][1] == "failed on 2 bars; the newest: KeyError"
    assert rows[2][1] == "75 on 9 bars, 75 of them refused"
    assert rows[3][1].endswith("SubmitOrder: no 4")


def test_a_closed_market_says_until_when() -> None:
    weekend = Nanos(from_iso("2026-11-28T12:00:00Z"))

    assert why._calendar("cme_equity", weekend) == CLOSED
    assert why._calendar("cme_equity", Nanos(from_iso("2026-11-24T15:00:00Z"))) == ""
    assert why._calendar("nowhere", weekend) == ""
    assert ROOT.is_dir()


def test_a_session_needs_the_bars_of_its_data_login_and_the_streams_of_its_other_one() -> None:
    row = SessionListed(1, "mine", login="paper", account="SIM1", contract="ESH24", minutes=1)

    assert why.needed_by(replace(row, data_login="data")) == [
        "session-1.trader",
        "session-1.account",
        "link-paper.link",
        "link-data.link",
        "link-data.bars-ESH24-1m",
        "link-paper.orders-SIM1",
        "link-paper.positions-SIM1",
    ]
    assert why.needed_by(row)[2:4] == ["link-paper.link", "link-paper.bars-ESH24-1m"]
