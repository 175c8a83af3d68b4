"""The tape: trades of the past, in the order of the exchange, as numpy arrays; shipped, generated or from a file.

`tape_files.py` opens files and `tradeproc/market/` reads them; `up_down_bars.py` makes the bars.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tradeproc.domain.candles import Tick
from tradeproc.domain.instruments import Contract, instrument_of
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.roll_rules import check_roll
from tradeproc.domain.units import SECOND, Contracts, Nanos, Ticks, from_iso
from tradeproc.errors import Refusal
from tradeproc.exchange.orders import MarketTrade
from tradeproc.localbroker.tape_files import BadTape, check_answered, check_head, understand
from tradeproc.localbroker.up_down_bars import Bars
from tradeproc.market.bars import TickArrays
from tradeproc.market.tape_files.file_reading import NOTHING_SAID, TapeHints
from tradeproc.market.tape_files.findings import stamp_contradiction

Times = npt.NDArray[np.int64]
Prices = npt.NDArray[np.float64]
Sizes = npt.NDArray[np.int64]

SHIPPED = "shipped"
_SHIPPED_FILE, _SHIPPED_CONTRACT = "ESH4_trades_2023-12-25.csv.gz", "ESH24"
# a random walk: contract, the next one where there is one, and seed; from the open of Sunday 2024-01-07 in Chicago to
# the next day's close
_GENERATED = re.compile(r"generated:([A-Z0-9]+)(?:\+([A-Z0-9]+))?:(\d+)")
_GENERATED_FROM = from_iso("2024-01-07T23:00:00Z")
_GENERATED_SECONDS = 23 * 3600
_LARGEST_SIZE = 10
# the next contract of a random walk trades so many ticks above the first, so long after it
_SPREAD_TICKS, _SPREAD_AFTER = 40, 1_000_000
_LOOK_BACK = 10_000


@dataclass(frozen=True, slots=True)
class Tape:
    """Trades of one or more contracts; all arrays have one entry a trade and are ordered by time.

    `times` are market time in UTC ns, `prices` points on the tick grid, `sizes` contracts (0 where a bar had too few
    for its four trades), `which` the index into `contracts`.
    """

    contracts: tuple[str, ...]
    times: Times
    prices: Prices
    sizes: Sizes
    which: npt.NDArray[np.int16]
    name: str = "tape"
    warnings: tuple[str, ...] = ()
    _bars: dict[tuple[str, int], Bars] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def first_at(self) -> Nanos:
        """Return the time of the first trade."""
        return Nanos(int(self.times[0]))

    @property
    def last_at(self) -> Nanos:
        """Return the time of the last trade."""
        return Nanos(int(self.times[-1]))

    def index_after(self, market: int) -> int:
        """Return how many trades are at or before `market`."""
        return int(np.searchsorted(self.times, market, side="right"))

    def ticks(self, start: int, stop: int) -> Iterator[tuple[str, Tick]]:
        """Yield the trades from index `start` to before `stop`, each with its contract."""
        for index in range(start, min(stop, len(self.times))):
            yield (
                self.contracts[self.which[index]],
                Tick(Nanos(int(self.times[index])), float(self.prices[index]), Contracts(int(self.sizes[index]))),
            )

    def trades(self, start: int, stop: int) -> Iterator[tuple[Nanos, MarketTrade]]:
        """Yield the trades from index `start` to before `stop` as the exchange wants them, each with its time."""
        if start >= stop:
            return
        which = self.which[start:stop]
        steps = np.array([float(instrument_of(contract).tick_size) for contract in self.contracts])
        # put on the grid piece by piece: a column of its own for all of a busy day would take some 80 MB
        grid = np.rint(self.prices[start:stop] / steps[which]).astype(np.int64)
        rows = (column.tolist() for column in (self.times[start:stop], which, grid, self.sizes[start:stop]))
        for at, which, price, size in zip(*rows, strict=True):
            yield Nanos(at), MarketTrade(self.contracts[which], Ticks(price), Contracts(size))

    def last(self, contract: str, market: int) -> Tick | None:
        """Return the newest trade of a contract at or before `market`."""
        wanted, end = self.contracts.index(contract), self.index_after(market)
        while end > 0:
            # searched in parts from the end, because the newest trade of a contract is usually near
            start = max(0, end - _LOOK_BACK)
            found = np.flatnonzero(self.which[start:end] == wanted)
            if len(found):
                newest = start + int(found[-1])
                return next(self.ticks(newest, newest + 1))[1]
            end = start
        return None

    def bars(self, contract: str, minutes: int) -> Bars:
        """Return the bars of a contract; they are made at the first call and kept."""
        key = (contract, minutes)
        if key not in self._bars:
            # a slice does not copy, and with one contract it is enough
            only = slice(None) if len(self.contracts) == 1 else self.which == self.contracts.index(contract)
            hours = market_hours(instrument_of(contract).market_hours)
            self._bars[key] = Bars(TickArrays(self.times[only], self.prices[only], self.sizes[only]), minutes, hours)
        return self._bars[key]


def located(tape: str, root: Path) -> str:
    """Return a configured tape; a relative path of a file is made absolute, from the home `root`."""
    return tape if tape == SHIPPED or _GENERATED.fullmatch(tape) else str(root / tape)


def check_tape(tape: str, wanted: TapeHints = NOTHING_SAID) -> None:
    """Check that a tape can be played by the file's existence, header and first lines, without reading all of it.

    Raises:
        BadTape: it cannot be played; the text has file, line and remedy.
    """
    if tape == SHIPPED:
        return
    if (walk := _GENERATED.fullmatch(tape)) is None:
        check_head(Path(tape), wanted)
        return
    try:
        _check_walk(walk[1], walk[2])
    except Refusal as error:
        raise BadTape(Path(tape), None, str(error)) from error


def _check_walk(contract: str, following: str | None) -> None:
    instrument_of(contract)
    if following is not None:
        check_roll(Contract.parse(contract), Contract.parse(following))


def open_tape(tape: str, wanted: TapeHints = NOTHING_SAID, heard: Callable[[int], None] = lambda rows: None) -> Tape:
    """Return the tape that is shipped, generated, or in a file; `wanted` says how a file is to be read.

    `heard` is called with the number of rows read so far, block by block.

    Raises:
        BadTape: it cannot be read.
    """
    if tape == SHIPPED:
        return shipped()
    if walk := _GENERATED.fullmatch(tape):
        check_tape(tape)
        walked = generated(walk[1], int(walk[3]), _GENERATED_FROM, _GENERATED_SECONDS)
        return walked if walk[2] is None else with_next(walked, walk[2])
    return read_tape(Path(tape), wanted, heard)


def read_tape(path: Path, wanted: TapeHints = NOTHING_SAID, heard: Callable[[int], None] = lambda rows: None) -> Tape:
    """Return the tape of a file of trades or bars, of the forms that `tape_files.py` describes.

    Raises:
        BadTape: the file cannot be read, or a question about it is open; the text has file, line and remedy.
    """
    reading = understand(path, wanted, heard)
    check_answered(path, reading)
    contradiction = stamp_contradiction(reading)
    warnings = (*reading.warnings, contradiction) if contradiction else tuple(reading.warnings)
    trades = reading.trades
    return Tape(trades.contracts, trades.times, trades.prices, trades.sizes, trades.which, path.name, warnings)


def shipped() -> Tape:
    """Return the real ES trades that come with tradeproc: an hour of ESH24, from 2023-12-25 23:00 UTC."""
    with resources.as_file(resources.files("tradeproc.localbroker") / "tapes" / _SHIPPED_FILE) as path:
        return read_tape(path, TapeHints(contract=_SHIPPED_CONTRACT))


def generated(
    contract: str,
    seed: int,
    start: int,
    seconds: float,
    *,
    first_price: float = 4800.0,
    ticks_per_second: float = 1.0,
) -> Tape:
    """Return a random walk: each trade is one tick higher, lower or equal. Equal seeds give equal tapes.

    It begins with a trade at `start` (market ns) at `first_price` rounded to the grid, and never goes below one tick.
    """
    terms = instrument_of(contract)
    chance = np.random.default_rng(seed)
    count = max(1, round(seconds * ticks_per_second))
    offsets = np.sort(chance.integers(0, max(1, int(seconds * SECOND)), count, dtype=np.int64))
    offsets[0] = 0
    steps = chance.integers(-1, 2, count, dtype=np.int64)
    steps[0] = int(terms.nearest(first_price))
    walk = np.maximum(np.cumsum(steps), 1)
    prices = np.round(walk * float(terms.tick_size), 10)
    sizes = chance.integers(1, _LARGEST_SIZE + 1, count, dtype=np.int64)
    which = np.zeros(count, dtype=np.int16)
    return Tape((contract,), start + offsets, prices, sizes, which, f"generated:{seed}")


def with_next(tape: Tape, following: str) -> Tape:
    """Return a tape of one contract with a second beside it, which trades whenever the first does, a spread above.

    So a session can roll at the local broker without tapes of two months.
    """
    step = float(instrument_of(following).tick_size)
    times = np.concatenate([tape.times, tape.times + _SPREAD_AFTER])
    order = np.argsort(times, kind="stable")
    return Tape(
        (*tape.contracts, following),
        times[order],
        np.concatenate([tape.prices, np.round(tape.prices + _SPREAD_TICKS * step, 10)])[order],
        np.concatenate([tape.sizes, tape.sizes])[order],
        np.concatenate([tape.which, np.ones(len(tape), dtype=np.int16)])[order],
        f"{tape.name}+{following}",
    )
