"""Tapes: the shipped one, files of trades and of bars, the generator; and the bars made of them."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tradeproc.domain.candles import Tick
from tradeproc.domain.units import Contracts, Ticks, from_iso, iso
from tradeproc.exchange.orders import MarketTrade
from tradeproc.localbroker.tape import Tape, check_tape, generated, open_tape, read_tape, shipped
from tradeproc.localbroker.tape_files import BadTape
from tradeproc.market.tape_files.file_reading import TapeHints


def file(folder: Path, *lines: str, name: str = "ESH24_trades.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_shipped_tape_is_an_hour_of_real_trades() -> None:
    tape = shipped()

    assert (len(tape), tape.contracts) == (2973, ("ESH24",))
    assert (iso(tape.first_at), iso(tape.last_at)) == ("2023-12-25T23:00:00Z", "2023-12-25T23:59:56Z")
    first, second = (tick for _, tick in tape.ticks(0, 2))
    assert first == Tick(from_iso("2023-12-25T23:00:00Z"), 4800.25, 44)  # type: ignore[arg-type]
    assert second.at == 1703545200085275419


def test_the_shipped_tape_says_where_it_comes_from() -> None:
    page = Path(shipped.__code__.co_filename).parent / "tapes" / "PROVENANCE.md"

    assert "ESH24" in page.read_text()


def test_the_exchange_gets_each_trade_in_ticks_of_its_own_contract() -> None:
    times = np.arange(4, dtype=np.int64)
    prices = np.array([4800.25, 0.0000005, -37.5, 0.0068135])
    which = np.array([0, 1, 0, 1], dtype=np.int16)
    tape = Tape(("ESH24", "6JH24"), times, prices, np.array([1, 2, 3, 4]), which)

    assert list(tape.trades(1, 4)) == [
        (1, MarketTrade("6JH24", Ticks(1), Contracts(2))),
        (2, MarketTrade("ESH24", Ticks(-150), Contracts(3))),
        (3, MarketTrade("6JH24", Ticks(13627), Contracts(4))),
    ]
    assert list(tape.trades(4, 4)) == list(tape.trades(4, 9)) == []


def test_trades_are_read_with_zone_contract_column_and_gzip(tmp_path: Path) -> None:
    path = tmp_path / "any.csv.gz"
    rows = "time,contract,price,size\n2024-01-02T00:00:00+01:00,ESH24,4800.25,2\n2024-01-01T23:00:01Z,NQH24,16000,1\n"
    path.write_bytes(gzip.compress(rows.encode()))

    tape = read_tape(path)

    assert tape.contracts == ("ESH24", "NQH24")
    assert [(contract, iso(tick.at), tick.price, tick.size) for contract, tick in tape.ticks(0, 2)] == [
        ("ESH24", "2024-01-01T23:00:00Z", 4800.25, 2),
        ("NQH24", "2024-01-01T23:00:01Z", 16000.0, 1),
    ]
    assert tape.last("NQH24", tape.first_at) is None
    assert [tape.last(code, tape.last_at) for code in tape.contracts] == [tick for _, tick in tape.ticks(0, 2)]


@pytest.mark.parametrize(
    ("name", "contract"),
    [("ESH24_x.csv", "ESH24"), ("6EH4_1min.csv", "6EH24"), ("M2KZ3-x.csv", "M2KZ23"), ("CLF5.csv", "CLF25")],
)
def test_the_contract_is_read_from_the_name_of_the_file(tmp_path: Path, name: str, contract: str) -> None:
    path = file(tmp_path, "timestamp_utc,price,size", "2023-12-25 23:00:00,100,1", name=name)

    assert read_tape(path).contracts == (contract,)


def test_a_bar_becomes_four_trades_that_give_the_same_bar_again(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        "timestamp_utc,open,high,low,close,volume",
        "2024-01-01 23:01:00,4800,4802,4799,4801,10",
        "2024-01-01 23:02:00,4801,4801,4797.5,4798,3",
    )

    tape = read_tape(path)

    assert [tick.price for _, tick in tape.ticks(0, 8)] == [4800, 4799, 4802, 4801, 4801, 4801, 4797.5, 4798]
    bars = [bar.candle for bar in tape.bars("ESH24", 1).until(tape.last_at + 1, 9)]
    assert [(iso(b.opened_at), b.open, b.high, b.low, b.close, b.volume, b.is_closed) for b in bars] == [
        ("2024-01-01T23:00:00Z", 4800, 4802, 4799, 4801, 10, True),
        ("2024-01-01T23:01:00Z", 4801, 4801, 4797.5, 4798, 3, True),
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["price,size", "1,1"], "line 1: has no time; call the column ts_event_ns, timestamp_utc or time"),
        (["ts_event_ns,price", "1703545200000000000,1"], "line 1: needs the columns price, size"),
        (["ts_event_ns,price,size"], "holds no trade"),
        (["ts_event_ns,price,size", "2023,1,1"], "line 2: ts_event_ns must be a time as 2024-01-31 09:30:00"),
        (
            ["ts_event_ns,price,size", "1703545200000000000,nan,1"],
            "line 2: price must be a number as 4750.25, not 'nan'",
        ),
        (["ts_event_ns,price,size", "1703545200000000000,4800,0"], "line 2: size must be a whole number from 1 on"),
        (["ts_event_ns,price,size", "1703545200000000000"], "line 2: has 1 field where 3 are expected"),
        (
            ["ts_event_ns,price,size", "1703545200000000000,4800.1,1"],
            "line 2: price 4800.1 is off the tick grid of 0.25",
        ),
        (["time,price,size", "2024-01-01T23:00:00,4800,1"], "time 2024-01-01T23:00:00 has no zone; add Z"),
        (
            ["time,price,size", "soon,4800,1"],
            "line 2: time must be a time as 2024-01-31 09:30:00, 20240131 093000 or 01/31/2024 09:30, not 'soon'",
        ),
        (["time,contract,price,size", "2024-01-01T23:00:00Z,XYZ,4800,1"], "line 2: 'XYZ' is no contract"),
        (["time,contract,price,size", "2024-01-01T23:00:00Z,XYZH24,4800,1"], "unknown instrument 'XYZ'"),
        (
            ["timestamp_utc,open,high,low,close,volume", "2024-01-01 23:01:00,4800,4801,4799,4802,1"],
            "line 2: open and close must lie between low and high",
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_says_where_and_what_to_do(
    tmp_path: Path, lines: list[str], said: str
) -> None:
    path = file(tmp_path, *lines)

    with pytest.raises(BadTape) as error:
        read_tape(path)

    assert said in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_not_text_or_of_no_known_contract_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ESH24.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "ESH24.csv.gz").write_bytes(gzip.compress(b"time,price,size\n" * 100)[:-9])
    nameless = file(tmp_path, "time,price,size", "2024-01-01T23:00:00Z,1,1", name="trades.csv")

    for path, said in [
        (tmp_path / "missing.csv", "cannot be read"),
        (tmp_path / "ESH24.csv", "damaged UTF-16 text"),
        (tmp_path / "ESH24.csv.gz", "cannot be read"),
        (nameless, "begin its name with one"),
    ]:
        with pytest.raises(BadTape, match=said):
            read_tape(path)


def test_the_generator_gives_the_same_trades_for_the_same_seed_and_stays_on_the_grid() -> None:
    start = from_iso("2024-01-02T15:00:00Z")

    tape, again, other = (
        generated("6EH24", seed, start, 600, first_price=1.1, ticks_per_second=3) for seed in (7, 7, 8)
    )

    assert len(tape) == 1800
    assert tape.times[0] == start
    assert tape.times[-1] < start + 600 * 1_000_000_000
    assert bool((np.diff(tape.times) >= 0).all())
    assert np.array_equal(tape.prices, again.prices)
    assert not np.array_equal(tape.prices, other.prices)
    steps = tape.prices / 0.00005
    assert np.allclose(steps, np.round(steps), atol=1e-6)
    assert set(np.round(np.abs(np.diff(steps)))) <= {0, 1}
    assert 1 <= tape.sizes.min() <= tape.sizes.max() <= 10


def test_a_contract_or_a_trade_that_first_comes_far_below_is_found_before_the_start(tmp_path: Path) -> None:
    header = "ts_event,action,price,size,symbol"
    early = [f"2024-01-02T14:30:00.{number:09d}Z,T,4750.25,1,ESH4" for number in range(30_000)]
    late = "2024-01-02T14:31:00.000000000Z,T,4800.25,1,ESM4"
    quotes = [row.replace(",T,", ",A,") for row in early]
    contracts = file(tmp_path, header, *early, late, name="two.csv")
    trades = file(tmp_path, header, *quotes, late, name="quotes.csv")
    none = file(tmp_path, header, *quotes, name="none.csv")

    assert contracts.stat().st_size > 1 << 20
    check_tape(str(contracts), TapeHints(contract="ESM24"))
    check_tape(str(trades))
    with pytest.raises(BadTape, match="holds no ESU24; it holds ESH4"):
        check_tape(str(contracts), TapeHints(contract="ESU24"))
    with pytest.raises(BadTape, match="holds no trade"):
        check_tape(str(none))


def test_a_random_walk_has_its_next_contract_beside_it_a_spread_above() -> None:
    tape = open_tape("generated:ESH24+ESM24:7")
    first, following = (tape.prices[tape.which == each] for each in (0, 1))

    assert tape.contracts == ("ESH24", "ESM24")
    assert (following - first == 10).all()
    assert (np.diff(tape.times) >= 0).all()
    assert (first == open_tape("generated:ESH24:7").prices).all()


@pytest.mark.parametrize("tape", ["generated:ESH24+NQM24:7", "generated:ESM24+ESH24:7", "generated:ESH24+XXM24:7"])
def test_a_next_contract_that_cannot_be_rolled_into_is_refused(tape: str) -> None:
    with pytest.raises(BadTape):
        check_tape(tape)
    with pytest.raises(BadTape):
        open_tape(tape)
