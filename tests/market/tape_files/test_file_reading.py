"""Exports of vendors as they come, and what is asked, sorted, dropped and told; any bytes are trades or one error."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.domain.units import SECOND, iso
from tradeproc.market.tape_files.file_reading import Reading, TapeHints, read
from tradeproc.market.tape_files.findings import examine, stamp_contradiction
from tradeproc.market.tape_files.lines import LONGEST_LINE, UnreadableTape

CHICAGO = "America/Chicago"

NINJA_BARS = "20240102 093000;4750.25;4751;4750;4750.5;812\r\n20240102 093100;4750.5;4750.5;4749;4749.25;40\r\n"
NINJA_TICKS = "20240102 093000 0010000;4750.25;4750;4750.25;3\n20240102 093000 5000000;4750.5;4750.25;4750.5;1\n"
TRADESTATION = (
    '"Date","Time","Open","High","Low","Close","Up","Down"\r\n'
    "01/02/2024,08:31,4750.25,4751.00,4750.00,4750.50,500,312\r\n"
    "01/02/2024,08:32,4750.50,4750.50,4749.00,4749.25,20,20\r\n"
)
SIERRA = (
    "Date, Time, Open, High, Low, Last, Volume, NumberOfTrades, BidVolume, AskVolume\n"
    "2024/1/2, 08:30:00.000000, 4750.25, 4751.00, 4750.00, 4750.50, 812, 100, 400, 412\n"
    "2024/1/2, 08:31:00.000000, 4750.50, 4750.50, 4749.00, 4749.25, 40, 9, 20, 20\n"
)
SIERRA_TICKS = (
    "Date, Time, Open, High, Low, Last, Volume, NumberOfTrades, BidVolume, AskVolume\n"
    "2024/1/2, 08:30:00.000001, 0.00, 4750.50, 4750.25, 4750.50, 3, 1, 0, 3\n"
    "2024/1/2, 08:30:00.500000, 0.00, 4750.50, 4750.25, 4750.25, 1, 1, 1, 0\n"
)
DATABENTO_BARS = (
    "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n"
    "1704205800000000000,33,1,5602,4750250000000,4751000000000,4750000000000,4750500000000,812,ESH4\n"
    "1704205860000000000,33,1,5602,4750500000000,4750500000000,4749000000000,4749250000000,40,ESH4\n"
)
DATABENTO_TRADES = (
    "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,size,flags,ts_in_delta,sequence,symbol\n"
    "2024-01-02T14:30:00.000100000Z,2024-01-02T14:30:00.000000000Z,0,1,5602,T,A,0,4750.250000000,3,0,1,1,ESH4\n"
    "2024-01-02T14:30:00.000100000Z,2024-01-02T14:30:00.250000000Z,0,1,5602,A,A,0,9223372036.854775807,3,0,1,2,ESH4\n"
    "2024-01-02T14:30:00.600100000Z,2024-01-02T14:30:00.500000001Z,0,1,5602,T,A,0,4750.500000000,1,0,1,3,ESH4\n"
)
KIBOT = "01/02/2024,08:30,4750.25,4751,4750,4750.5,812\n01/02/2024,08:31,4750.5,4750.5,4749,4749.25,40\n"
FIRST_RATE = (
    "2024-01-02 08:30:00,4750.25,4751.0,4750.0,4750.5,812.0\n2024-01-02 08:31:00,4750.5,4750.5,4749.0,4749.25,40.0\n"
)

VENDORS = (
    *(NINJA_BARS, NINJA_TICKS, TRADESTATION, SIERRA, SIERRA_TICKS),
    *(DATABENTO_BARS, DATABENTO_TRADES, KIBOT, FIRST_RATE),
)

# name, text, how it is to be read, layout, bar's start of the first two, in UTC
BARS = [
    ("ES 03-24.Last.txt", NINJA_BARS, TapeHints("America/New_York", "end"), "NinjaTrader bars", "14:29:00"),
    ("ESH24.txt", TRADESTATION, TapeHints(), "TradeStation bars", "14:30:00"),
    ("ESH24-CME.txt", SIERRA, TapeHints(CHICAGO), "Sierra Chart bars", "14:30:00"),
    ("glbx.csv", DATABENTO_BARS, TapeHints(), "Databento bars", "14:30:00"),
    ("ESH24.txt", KIBOT, TapeHints(CHICAGO, "start"), "Kibot bars", "14:30:00"),
    ("ES_H24.txt", FIRST_RATE, TapeHints(CHICAGO, "start"), "FirstRate bars", "14:30:00"),
]
TRADES = [
    ("ES 03-24.Last.txt", NINJA_TICKS, TapeHints("America/New_York"), "NinjaTrader trades"),
    ("ESH24.txt", SIERRA_TICKS, TapeHints(CHICAGO), "Sierra Chart trades"),
    ("glbx.csv", DATABENTO_TRADES, TapeHints(), "Databento trades"),
    ("ESH24.txt", "01/02/2024,08:30:00,4750.25,4750,4750.25,3\n", TapeHints(CHICAGO), "Kibot trades"),
]


def reading(text: str | bytes, name: str = "ESH24.csv", wanted: TapeHints = TapeHints()) -> Reading:  # noqa: B008 - frozen
    return read([text.encode() if isinstance(text, str) else text], name, wanted)


def refusal(text: str | bytes, wanted: TapeHints = TapeHints()) -> str:  # noqa: B008 - frozen
    with pytest.raises(UnreadableTape) as error:
        reading(text, wanted=wanted)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("name", "text", "wanted", "layout", "first"), BARS, ids=[each[3] for each in BARS])
def test_a_vendors_bars_are_read_as_they_come(
    name: str, text: str, wanted: TapeHints, layout: str, first: str
) -> None:
    found = reading(text, name, wanted)

    trades = found.trades
    assert (found.layout.name, found.questions, trades.contracts) == (layout, [], ("ESH24",))
    assert trades.prices.tolist() == [4750.25, 4750, 4751, 4750.5, 4750.5, 4750.5, 4749, 4749.25]
    assert trades.sizes.tolist() == [203, 203, 203, 203, 10, 10, 10, 10]
    assert iso(int(trades.times[0])) == f"2024-01-02T{first}Z"
    assert int(trades.times[4] - trades.times[0]) == 60 * SECOND


@pytest.mark.parametrize(("name", "text", "wanted", "layout"), TRADES, ids=[each[3] for each in TRADES])
def test_a_vendors_trades_are_read_as_they_come(name: str, text: str, wanted: TapeHints, layout: str) -> None:
    found = reading(text, name, wanted)

    assert (found.layout.name, found.questions, found.trades.contracts) == (layout, [], ("ESH24",))
    assert found.trades.sizes.tolist() == [3, 1][: found.rows]
    assert iso(int(found.trades.times[0])) == "2024-01-02T14:30:00Z"
    assert set(found.trades.prices.tolist()) <= {4750.25, 4750.5}


@pytest.mark.parametrize("text", [TRADESTATION, SIERRA, FIRST_RATE, NINJA_BARS])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("chunk", [7, 1 << 20])
def test_encoding_line_ends_and_the_cut_of_chunks_change_nothing(text: str, encoding: str, chunk: int) -> None:
    wanted = TapeHints(CHICAGO, "start")
    plain = reading(text, wanted=wanted).trades
    for written in (text, text.replace("\r\n", "\n").replace("\n", "\r"), text + "\r\n\r\n\x1a"):
        raw = (f"\ufeff{written}" if encoding == "utf-16-be" else written).encode(encoding)

        found = read([raw[at : at + chunk] for at in range(0, len(raw), chunk)], "ESH24.csv", wanted).trades

        assert np.array_equal(found.times, plain.times)
        assert np.array_equal(found.prices, plain.prices)
        assert np.array_equal(found.sizes, plain.sizes)


def test_what_is_not_said_is_asked_and_never_guessed() -> None:
    found = reading(FIRST_RATE, "export.csv")

    assert [question for question in found.questions if "--contract ESH24" in question]
    assert [question for question in found.questions if "--zone America/Chicago" in question]
    assert [question for question in found.questions if "--stamp start or --stamp end" in question]


def test_of_several_contracts_one_must_be_chosen_by_the_files_name_for_it_or_by_ours() -> None:
    both = DATABENTO_BARS + DATABENTO_BARS.partition("\n")[2].replace("ESH4", "ESM4").replace(",812,", ",820,")

    asked = reading(both)
    code, symbol = (reading(both, wanted=TapeHints(contract=word)) for word in ("ESM24", "ESM4=ESM24"))

    assert asked.questions == ["holds several contracts: ESH4 (2 rows), ESM4 (2 rows); say which with --contract"]
    assert (code.trades.contracts, code.rows, code.questions) == (("ESM24",), 2, [])
    assert code.trades.sizes.tolist() == symbol.trades.sizes.tolist() == [205, 205, 205, 205, 10, 10, 10, 10]
    assert "holds no ESU24; it holds ESH4 (2 rows)" in refusal(both, TapeHints(contract="ESU24"))


def test_a_symbol_that_is_no_contract_is_asked_for() -> None:
    text = DATABENTO_BARS.replace("ESH4", "ES.c.0")

    assert "say which it is, as --contract ES.c.0=ESH24" in reading(text).questions[0]
    assert reading(text, wanted=TapeHints(contract="ES.c.0=ESH24")).trades.contracts == ("ESH24",)


@pytest.mark.parametrize(
    ("contract", "written", "meant"),
    [
        ("ZBH24", "109.2812", 109.28125),
        ("ZBH24", "109.2813", 109.28125),
        ("ZBH24", "109'09", 109.28125),
        ("ZBH24", "109-09", 109.28125),
        ("ZNH24", "109-09.5", 109.296875),
        ("ZNH24", "109'095", 109.296875),
        ("ZNH24", "109-09+", 109.296875),
        ("ZNH24", "109.2969", 109.296875),
        ("ZFH24", "109'0925", None),
        ("ZFH24", "109'092", 109.2890625),
        ("ZTH24", "109'091", 109.28515625),
        ("ZTH24", "109.2852", 109.28515625),
        ("ZCH24", "481'2", 481.25),
        ("6JH24", "6.9335e-03", 0.0069335),
        ("6EH24", "1.10765", 1.10765),
        ("CLK20", "1e-99", 0.0),
        ("ESH24", "4750,25", 4750.25),
        ("ESH24", "4750,250", 4750.25),
        ("CLK20", "4,750", None),
        ("CLK20", "-37.63", -37.63),
        ("CLK20", "0", 0.0),
        ("CLK20", "-0.00", 0.0),
        ("ESH24", "4750.2", None),
        ("ZNH24", "109.28", None),
    ],
)
def test_a_price_is_read_as_vendors_write_it_and_is_on_the_grid(
    contract: str, written: str, meant: float | None
) -> None:
    text = f"time;price;size\n2024-01-02T14:30:00Z;{written};1\n"
    if meant is None:
        assert "line 2: price" in refusal(text, TapeHints(contract=contract))
        return

    found = reading(text, wanted=TapeHints(contract=contract))

    assert found.trades.prices.tolist() == [meant]
    assert not np.signbit(found.trades.prices[0]) or meant < 0


@pytest.mark.parametrize("written", ['"5,300.25"', "5300.25", "+5300.25", "5300.2500000"])
def test_a_quoted_price_with_thousands_is_a_price(written: str) -> None:
    found = reading(f"time,price,size\n2024-01-02T14:30:00Z,{written},'1'\n".replace("'1'", '"1,812.0"'))

    assert (found.trades.prices.tolist(), found.trades.sizes.tolist()) == ([5300.25], [1812])


def test_rows_are_sorted_and_bars_that_come_twice_count_once_and_both_is_told() -> None:
    first, second = KIBOT.splitlines()
    text = "\n".join([second, first, second, second.replace(",40", ",44")])

    found = reading(text, wanted=TapeHints(CHICAGO, "start"))

    assert found.rows == 2
    assert found.trades.sizes.tolist() == [203, 203, 203, 203, 11, 11, 11, 11]
    assert "1 row earlier than the row before: sorted by time" in found.warnings[0]
    assert (
        "2 bars of the same time as another: the later line counts; 1 of these differs, the first in line 4"
        in found.warnings[1]
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sep=;\n" + FIRST_RATE.replace(",", ";"), TapeHints(CHICAGO, "start")),
        (FIRST_RATE.replace("\n", ",\n"), TapeHints(CHICAGO, "start")),
        ("Date;Time;Open;High;Low;Close;Volume;\n" + KIBOT.replace(",", ";"), TapeHints(CHICAGO, "start")),
        (",open,high,low,close,volume\n" + FIRST_RATE, TapeHints(CHICAGO, "start")),
        (
            "02.01.2024;08:30:00;4750,25;4751,0;4750,0;4750,50;812,0\n"
            "02.01.2024;08:31:00;4750,5;4750,5;4749,0;4749,25;40\n",
            TapeHints(CHICAGO, "start"),
        ),
        (
            "1/2/2024 8:30:00 AM\t4750.25\t4751\t4750\t4750.5\t812\n"
            "1/2/2024 8:31:00 AM\t4750.5\t4750.5\t4749\t4749.25\t40\n",
            TapeHints(CHICAGO, "start"),
        ),
        (
            "<TICKER>,<PER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\n"
            "ESH4,1,20240102,083000,4750.25,4751,4750,4750.5,812\nESH4,1,20240102,083100,4750.5,4750.5,4749,4749.25,40\n",
            TapeHints(CHICAGO, "start"),
        ),
        (
            "timestamp,o,h,l,c,v\n1704205800,4750.25,4751,4750,4750.5,812\n1704205860.000,4750.5,4750.5,4749,4749.25,40\n",
            TapeHints(stamp="start"),
        ),
        (
            "time,open,high,low,close,Volume\n2024-01-02T08:30:00-06:00,4750.25,4751,4750,4750.5,812\n"
            "2024-01-02T08:31:00-06:00,4750.5,4750.5,4749,4749.25,40\n",
            TapeHints(stamp="start"),
        ),
        (DATABENTO_BARS.replace("ESH4", "").replace(",symbol", ",nothing"), TapeHints(contract="esh24")),
    ],
    ids=["excel", "trailing", "trailing-header", "pandas", "german", "am-pm", "metastock", "epoch", "offset", "id"],
)
def test_other_exports_are_read_as_they_come(text: str, wanted: TapeHints) -> None:
    found = reading(text, wanted=wanted)

    assert found.questions == []
    assert found.trades.prices.tolist() == [4750.25, 4750, 4751, 4750.5, 4750.5, 4750.5, 4749, 4749.25]
    assert found.trades.sizes.tolist() == [203, 203, 203, 203, 10, 10, 10, 10]
    assert iso(int(found.trades.times[0])) == "2024-01-02T14:30:00Z"
    assert found.trades.contracts == ("ESH24",)


def test_what_a_column_means_here_is_told_where_others_mean_something_else() -> None:
    text = "time,open,high,low,close,volume\n2024-01-02T08:30:00Z,4750.25,4751,4750,4750.5,812\n"

    assert "stamped at their end" in reading(text).warnings[0]
    assert not reading(text, wanted=TapeHints(stamp="end")).warnings


def test_equal_trades_are_kept_because_trades_may_be_equal() -> None:
    found = reading(NINJA_TICKS + NINJA_TICKS.splitlines()[1], wanted=TapeHints(CHICAGO))

    assert (found.rows, examine(found).equal_rows) == (3, 1)


@pytest.mark.parametrize(("said", "other", "shift"), [("end", "start", 0), ("start", "end", 60)])
def test_a_bar_at_the_very_open_or_close_of_a_session_betrays_a_wrong_stamp(
    said: str, other: str, shift: int
) -> None:
    # a whole session of minutes: stamped at their starts it begins at 17:00, at their ends it ends at 16:00
    first = 1704236400 + shift
    rows = [f"{first + 60 * minute}000000000,4750,4751,4749,4750,9" for minute in range(23 * 60)]
    text = "Timestamp,Open,High,Low,Close,Volume\n" + "\n".join(rows)

    wrong, right = (reading(text, wanted=TapeHints(stamp=stamp)) for stamp in (said, other))

    assert f"--stamp {other}" in (stamp_contradiction(wrong) or "")
    assert stamp_contradiction(right) is None
    # what nobody said is not guessed either, but what speaks for it is told
    asked = reading(text)
    assert len(asked.questions) == 1 and f"(--stamp {other})" in examine(asked).warnings[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("\0\0\0", "line 1: holds a NUL byte"),
        ("2024-01-02 08:30:00,4750,4751,4749,4750,9\n2024\0,1,1,1,1,1\n", "line 2: holds a NUL byte"),
        (
            FIRST_RATE + "9999-12-31 08:30:00,1,1,1,1,1\n",
            "line 3: moment (field 1) must be a date and time that exist",
        ),
        (
            FIRST_RATE + "2024-02-30 08:30:00,1,1,1,1,1\n",
            "line 3: moment (field 1) must be a date and time that exist",
        ),
        (FIRST_RATE + "2024-01-02 08:32:00,1,1,1\n", "line 3: has 4 fields where 6 are expected"),
        (FIRST_RATE + "2024-01-02 08:32:00,1,1,1,1,1.5\n", "line 3: volume (field 6) must be a whole number"),
        (FIRST_RATE + "2024-01-02 08:32:00,1,1,1,1,-1\n", "line 3: volume (field 6) must be a whole number"),
        (
            FIRST_RATE + "2024-01-02 08:32:00,x,1,1,1,1\n",
            "line 3: open (field 2) must be a number as 4750.25, not 'x'",
        ),
        (FIRST_RATE + "2024-01-02 08:32:00,1e999,1,1,1,1\n", "line 3: open (field 2) must be a number"),
        (FIRST_RATE + f"2024-01-02 08:32:00,{'9' * 200},1,1,1,1\n", "line 3: field 2 is 200 bytes wide"),
        (FIRST_RATE + "x" * (LONGEST_LINE + 1), "line 3: is longer than 65536 bytes"),
        ("2024-01-02,4750,4751,4749,4750,9\n", "a date without a time of day"),
        ("30/02/2024,08:30,1,1,1,1,1\n", "date (field 1) must be a date and time that exist"),
        ("02/30/2024,08:30,1,1,1,1,1\n", "date (field 1) must be a date and time that exist"),
        ("a;b;c\n1;2;3\n", "line 1: has no time"),
        ("hello world\n", "line 1: has no fields"),
        ("ts_event,price,size\n9223372036854775807,1,1\n", "line 2: ts_event must be a time since 1970"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_number_and_field(text: str, said: str) -> None:
    assert said in refusal(text, TapeHints(CHICAGO, "start", "ESH24"))


def test_a_zone_that_is_none_and_a_stamp_that_is_none_are_refused() -> None:
    assert "zone 'Chicago' is not known" in refusal(FIRST_RATE, TapeHints("Chicago", "start"))
    assert "stamp must be start or end, not 'middle'" in refusal(FIRST_RATE, TapeHints(CHICAGO, "middle"))


def test_a_busy_day_costs_few_bytes_a_trade() -> None:
    rows, a_block = 200_000, 25_000_000
    lines = (f"{1704205800000000000 + at},{4700 + at % 99}.25,{1 + at % 9},ESH4\n" for at in range(rows))
    raw = b"ts_event,price,size,symbol\n" + "".join(lines).encode()
    chunks = [raw[at : at + 1_000_000] for at in range(0, len(raw), 1_000_000)]

    tracemalloc.start()
    try:
        found = read(chunks, "ESH24.csv", TapeHints())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found.rows == rows
    assert peak < a_block + 150 * rows


def test_memory_and_progress_go_with_the_blocks_not_with_the_file() -> None:
    lines = (f"{1704205800 + index}000000000,4750.25,1\n".encode() for index in range(2_000))

    def chunks() -> Iterator[bytes]:
        yield b"ts_event_ns,price,size\n"
        for line in lines:
            yield line * 20

    heard: list[int] = []

    found = read(chunks(), "ESH24.csv", TapeHints(), heard.append)

    assert found.rows == 40_000
    assert heard[-1] == found.rows
    assert len(heard) >= 2_000


PIECES = st.sampled_from(
    [
        *("Date,Time,Open,High,Low,Close,Up,Down\n", "ts_event", "\ufeff", "é", "NaN", "inf", "1e400", "9" * 70),
        *"0123456789.,;-+:'\"/ \t\r\n\0eZT",
        "2024-01-02 08:30:00",
        "1704205800000000000",
        "4750.25",
        "time,price,size\n",
    ]
)


@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode()),
        st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode("utf-16")),
        st.tuples(st.sampled_from([FIRST_RATE, SIERRA, DATABENTO_TRADES, NINJA_TICKS]), st.binary(max_size=40)).map(
            lambda pair: pair[0].encode() + pair[1]
        ),
    ),
    st.sampled_from([TapeHints(), TapeHints(CHICAGO, "start", "ESH24"), TapeHints("UTC", "end", "ESH4=CLK20")]),
)
def test_any_bytes_are_trades_or_the_one_error(raw: bytes, wanted: TapeHints) -> None:
    try:
        found = read([raw[:50], raw[50:]], "ESH24.csv", wanted)
    except UnreadableTape:
        return
    trades = found.trades
    assert len(trades.times) == len(trades.prices) == len(trades.sizes) == len(trades.which) > 0
    assert bool((np.diff(trades.times) >= 0).all())
    examine(found)
