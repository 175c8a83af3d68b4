"""Tables fit where they are printed, and every text is shown as it is."""

import io
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from tests.desk.states import state
from tradeproc.cli import tables, words
from tradeproc.cli.commands import localbroker, records, sessions
from tradeproc.cli.layout import Column, Listing, pairs
from tradeproc.cli.screen import Screen
from tradeproc.cli.view import render
from tradeproc.clock import wall_ns
from tradeproc.desk.listed import SessionListed
from tradeproc.domain.units import SECOND

TABLES = {
    "status": tables.PROCESSES, "sessions": tables.SESSIONS, "orders": tables.ORDERS, "positions": tables.POSITIONS,
    "trades": tables.TRADES, "fills": tables.FILLS, "divergences": tables.DIVERGENCES, "alarms": tables.ALARMS,
    "decisions": tables.DECISIONS,
}  # fmt: skip
LONG = "a strategy's own long word about what happened to it, which nobody could foresee"
NOW = wall_ns()
DAY = 86_400 * SECOND
VALUES: dict[str, Any] = {
    "id": "7xkq-1-123-e", "order_id": "7xkq-1-123-e", "session": 12, "contract": "ESH24", "name": LONG, "bar": "1m",
    "strategy": "strategies/mine.py:ThreeInARow", "login": "paper", "account": "SIM0000001F", "environment": "paper",
    "desired": "running", "state": "partially_filled", "trading_state": "reducing", "role": "profit_target",
    "side": "sell", "quantity": 2, "filled": 1, "price": "4800.25", "average": "4800.25", "reason": LONG,
    "source": "reconcile", "process": "link-paper.positions-SIM0000001F", "supervisor": "RUNNING", "age": 1.0,
    "lag_ns": 10**6, "pid": 1234567, "detail": LONG, "kind": "order_unknown", "subject": LONG, "ours": LONG,
    "brokers": LONG, "refusal": LONG, "decision": "SubmitBracket", "times": 75, "data_login": "data",
    "cause": LONG, "profit": "-1137.50", "entry_price": "4800.25", "exit_price": "4800.25",
}  # fmt: skip
TIMES = ("at", "created_at", "market_at", "entered_market_at", "exited_market_at", "cleared_at", "acknowledged_at")
# what is never wrapped nor cut: ids, times, states
WHOLE = ("id", "order_id", "process", "desired", "state", "trading_state", "contract", "account", "kind")


def row_of(name: str, at: int = NOW) -> dict[str, Any]:
    row = VALUES | dict.fromkeys(TIMES, at)
    return row | ({"state": "running", "id": 12} if name == "sessions" else {"name": "position_uncovered"})


def printed(shown: RenderableType, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None, legacy_windows=False).print(shown)
    return file.getvalue()


@pytest.mark.parametrize("at", [NOW, NOW - 400 * DAY], ids=["today", "long ago"])
@pytest.mark.parametrize("width", [80, 100, 132, 200])
@pytest.mark.parametrize("name", TABLES)
def test_every_table_fits_its_terminal_in_one_line_a_row_and_tells_what_it_leaves_out(
    name: str, width: int, at: int
) -> None:
    row = row_of(name, at)

    text = printed(tables.build(TABLES[name], [row, row]), width)

    lines = [line for line in text.splitlines() if line.strip()]
    body = [line for line in lines if not line.startswith("wider terminal")]
    assert all(len(line) <= width for line in body)
    assert len(body) == 4, "headings, a line, two rows"
    left_out = " ".join(text.partition("--json shows: ")[2].split())
    for column in TABLES[name]:
        shown = column.show(row).plain
        if column.heading not in body[0]:
            assert column.heading in left_out
            assert column.drop
        elif column.key in WHOLE + TIMES:
            assert shown in body[2], column.heading
    if at == NOW and tables.when(wall_ns())[:10] == tables.when(NOW)[:10]:
        assert tables.when(NOW)[:10] not in text, "a time of today needs no date"


@pytest.mark.parametrize("name", TABLES)
def test_what_reads_a_pipe_gets_everything(name: str) -> None:
    text = printed(tables.build(TABLES[name], [row_of(name)]), 10_000)

    assert "wider terminal" not in text
    assert "…" not in text
    for column in TABLES[name]:
        assert column.show(row_of(name)).plain in text


def test_columns_go_in_their_order_and_texts_are_cut_before_a_row_wraps() -> None:
    columns = (Column("a", "a"), Column("b", "b", drop=1), Column("c", "c", drop=2), Column("d", "d", cut=4))
    row = dict.fromkeys("abcd", "x" * 10)

    assert "shows" not in printed(tables.build(columns, [row]), 48)
    assert "xxxxxx…" in printed(tables.build(columns, [row]), 46)
    assert printed(tables.build(columns, [row]), 40).rstrip().endswith("--json shows: c")
    assert " ".join(printed(tables.build(columns, [row]), 26).split()).endswith("--json shows: b, c")


def test_a_text_of_a_megabyte_is_cut_at_once() -> None:
    columns = [Column("A", "a", cut=8), Column("B", "b", cut=8), Column("C", "c")]

    told = printed(Listing(columns, [{"a": "x" * 1_000_000, "b": "[red]" * 10_000, "c": 1}]), 80)

    assert max(map(len, told.splitlines())) <= 80
    assert "x…" in told
    assert "[red]" in told


def test_a_time_has_its_date_when_it_is_not_of_today() -> None:
    assert tables.moment(NOW) in (tables.clock(NOW), tables.when(NOW))
    assert tables.moment(NOW - 3 * DAY) == tables.when(NOW - 3 * DAY)
    assert tables.moment(0) == "–"


# --- texts from outside

MARKUP = st.one_of(
    st.sampled_from(
        ["[/a]", "[/b]", "[bold]x", "\\[a", "[logins.paper.client_id]", ":smile:", "\x1b[31mred", "a\nb"]
    ),
    st.text(min_size=1, max_size=30),
)


def escaped(text: str) -> str:
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


@given(MARKUP)
@settings(max_examples=150, deadline=None)
def test_any_text_survives_every_table_and_grid(text: str) -> None:
    wide = 10_000
    everything = dict.fromkeys(
        ("name", "strategy", "detail", "reason", "cause", "desired", "subject", "contract"), text
    )

    for columns in TABLES.values():
        shown = [column for column in columns if column.key in everything]
        assert escaped(text) in printed(tables.build(shown, [everything]), wide)
    assert escaped(text.partition("\n")[0]) in printed(pairs([("notes", text)]), wide)
    row = SessionListed.of({"id": 1, "name": "mine", "notes": text})
    assert escaped(text.partition("\n")[0]) in printed(sessions._shown(row, None), wide)
    assert escaped(text.partition("\n")[0]) in printed(localbroker._lines({"tape": {"name": text}}), wide)


@given(MARKUP)
@settings(max_examples=60, deadline=None)
def test_any_text_survives_the_live_view(text: str) -> None:
    words: Any = {"trading_state": text, "currency": text, "alarms": {"x": text}, "streams": {text: "cut"}}
    screen = Screen(title=text, account=text, programs={"core.x": "RUNNING"}).with_summary(state(**words))

    shown = printed(render(screen, 0, width=400, height=40), 400)

    assert escaped(text) in shown
    assert "\x1b" not in shown


# --- what commands say


def test_a_list_in_a_message_is_told_by_its_length_in_words() -> None:
    told = {"missing": [], "orders": [{}], "fills": [{}, {}], "limits": {"a": 1}, "name": string.ascii_letters}

    assert [words.pair(key, value) for key, value in told.items()] == [
        "missing=[]", "orders=1 item", "fills=2 items", "limits={…}", f"name={string.ascii_letters}"
    ]  # fmt: skip


def test_the_sum_of_trades_says_of_which() -> None:
    rows = [{"profit": "100", "side": "buy"}, {"profit": "-50", "side": "sell"}]

    assert "total of the 2 shown +50.00" in printed(
        records.render("trades", tables.TRADES, rows, records.name_of_total(rows, 2)), 80
    )
    assert "\ntotal +50.00" in printed(
        records.render("trades", tables.TRADES, rows, records.name_of_total(rows, 50)), 80
    )


def test_a_price_that_nobody_knows_is_called_so_and_is_no_zero_of_a_sum() -> None:
    row = {"session": 1, "contract": "CLK20", "side": "buy", "quantity": 1}
    known = {**row, "entry_price": "0", "exit_price": "-37.63", "profit": "-37630"}
    unknown = {**row, "entry_price": "5.25", "exit_price": None, "profit": None}

    trades = printed(records.render("trades", tables.TRADES, [known, unknown]), 200)
    fills = [{**row, "price": None, "kind": "external"}, {**row, "price": "0", "kind": "own"}]

    assert "-37,630.00 before fees; the profit of 1 is unknown" in trades
    assert trades.count("unknown") == 3
    assert "external" in printed(records.render("fills", tables.FILLS, fills), 200)
    assert "own" not in printed(records.render("fills", tables.FILLS, fills[1:]), 200).replace("unknown", "")


def test_a_position_that_nobody_knows_is_not_read_as_none() -> None:
    rows = [
        {
            "session": 1,
            "contract": "ESH24",
            "quantity": None,
            "average": None,
            "reason": "the broker does not answer",
        },
        {"session": 2, "contract": "ESH24", "quantity": 0, "average": None},
    ]

    text = printed(records.render("positions", tables.POSITIONS, rows), 80)

    assert "unknown" in text
    assert "the broker does not answer" in text


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"name": "stall"}, "stall is armed: it hits the next stream; "),
        ({"name": "stall", "seconds": 20.0, "left": 2}, "stall is armed: it hits the next 2 streams for 20 s; "),
        ({"name": "429", "target": "balances", "left": 2}, "429 is armed: it hits the next 2 requests to balances; "),
        ({"name": "401", "account": "SIM1", "left": None}, "401 is armed: it hits every call of SIM1; "),
        (
            {"name": "cut", "left": 0, "state": "used up", "hit": [{"where": "orders_stream SIM1F", "at": 1}]},
            "cut hit orders_stream SIM1F; it is used up",
        ),
        (
            {"name": "cut", "left": 2, "state": "armed", "hit": [{"where": "orders_stream SIM1F", "at": 1}]},
            "cut hit orders_stream SIM1F; it is armed and also hits the next 2 streams; ",
        ),
        ({"name": "slow", "seconds": 3.0}, "slow is armed: it hits the next request, 3 s late; "),
    ],
)
def test_a_fault_is_told_in_one_sentence(fault: dict[str, Any], said: str) -> None:
    assert localbroker.sentence({"target": "", "account": "", "left": 1, "seconds": None, **fault}).startswith(said)
