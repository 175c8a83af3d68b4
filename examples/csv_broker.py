"""A broker that serves data only: bars of a minute from CSV files in a folder, which somebody else goes on writing.

It shows every part that a broker of market data has, and nothing else: symbols, questions, a stream. The address of
a login is its folder (`base_url = "file:///srv/bars"`), and `ES_2024_03.csv` in it holds the bars of ESH24, oldest
first:

    opened_at,open,high,low,close,volume      (UTC seconds, points, contracts; the last row is still forming)

To use it, install it as a package with the entry point `csv = csv_broker:BROKER` in the group `tradeproc.brokers`.
"""

import math
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tradeproc.brokers.contract import (
    ContractDetails,
    CredentialKind,
    Login,
    SnapshotEnded,
    StreamedBar,
    StreamEnded,
    StreamEvent,
    TokenSource,
)
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import INSTRUMENTS, BadContract, Contract, instrument
from tradeproc.domain.units import MINUTE, SECOND, Nanos

LOOK_SECONDS = 0.05
LATEST, MOST = 2**62, 2**31
FAREWELL = "moved"
"""A row that says that the bars go on elsewhere, so that the reader has to connect again."""


class CsvSymbols:
    """Names of contracts are names of files: ES_2024_03, and ES_front for the newest one."""

    def to_broker_symbol(self, contract: Contract) -> str:
        return f"{contract.root}_{contract.year}_{contract.month:02}"

    def to_contract(self, broker_symbol: str) -> Contract:
        try:
            root, year, month = broker_symbol.upper().split("_")
            contract = Contract(root, int(year), int(month))
        except ValueError:
            raise BadContract(broker_symbol) from None
        if not 1 <= contract.month <= 12:
            raise BadContract(broker_symbol)
        return contract

    def to_continuous_symbol(self, root: str) -> str:
        return f"{root}_front"

    def to_root_symbol(self, broker_symbol: str) -> str:
        return broker_symbol.upper().partition("_")[0]

    def supports_continuous_contract(self, root: str) -> bool:
        return self.supports_symbol(root)

    def supports_symbol(self, root: str) -> bool:
        return root in INSTRUMENTS


SYMBOLS = CsvSymbols()


def folder_of(login: Login) -> Path:
    """Return the folder of a login; for an address that is not `file:`, a folder that does not exist."""
    address = urlsplit(login.base_url)
    return Path(address.path) if address.scheme == "file" else Path("/nowhere")


def read_rows(path: Path) -> list[str]:
    """Return the rows of a file without the title; a last line that is still being written is left out.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    return path.read_text().rpartition("\n")[0].splitlines()[1:]


def read_bar(row: str, *, is_closed: bool) -> Candle:
    """Return the bar of a row.

    Raises:
        ValueError: the row is not a bar.
    """
    opened_at, opening, high, low, close, volume = row.split(",")
    at, traded = int(opened_at) * SECOND, int(volume)
    prices = (float(opening), float(high), float(low), float(close))
    # what is no number fails every comparison, and a bar that is none must not reach a strategy
    if not (all(map(math.isfinite, prices)) and prices[2] <= min(prices) and max(prices) <= prices[1]):
        raise ValueError(f"no bar has such prices: {row}")
    if not (0 <= at < LATEST and 0 <= traded < MOST):
        raise ValueError(f"no bar has such a time or volume: {row}")
    return Candle(Nanos(at), Nanos(at + MINUTE), *prices, traded, traded, is_closed)


def newest_bars(path: Path, count: int) -> list[Candle]:
    """Return the newest bars, oldest first; raises what the two functions above raise."""
    rows = [row for row in read_rows(path) if row != FAREWELL]
    return [read_bar(row, is_closed=row is not rows[-1]) for row in rows[-count:]]


class CsvData:
    """Answers of a folder. A file that cannot be read is an unknown answer, and never an error."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def contract_details(self, contract: Contract) -> Answer[ContractDetails]:
        """Return the terms of our own table, because the files hold none; so comparing the two proves nothing."""
        terms = instrument(contract.root)
        return Known(
            ContractDetails(
                contract=contract,
                broker_symbol=SYMBOLS.to_broker_symbol(contract),
                tick_size=terms.tick_size,
                point_value=terms.point_value,
                currency=terms.currency,
                exchange=terms.exchange,
                description=terms.description,
                expires_on=None,
            )
        )

    def front_month(self, root: str) -> Answer[Contract]:
        # other files may lie there: only a year and a month make a name one of a contract
        names = sorted(path.stem for path in self._folder.glob(f"{root}_[0-9][0-9][0-9][0-9]_[0-9][0-9].csv"))
        try:
            return Known(SYMBOLS.to_contract(names[-1])) if names else Unknown(f"no file of {root}: {self._folder}")
        except BadContract as error:
            return Unknown(str(error))

    def history(self, contract: Contract, minutes: int, count: int) -> Answer[Sequence[Candle]]:
        if minutes != 1:
            return Unknown("the files hold bars of one minute")
        try:
            return Known(newest_bars(self._folder / f"{SYMBOLS.to_broker_symbol(contract)}.csv", count))
        except (OSError, ValueError) as error:
            return Unknown(str(error))

    def shutdown(self) -> None:
        """Nothing is open."""


class CsvBars:
    """The stream: the newest bars, then each row that is added, until it is closed or the file is gone."""

    def __init__(self, path: Path, minutes: int, count: int) -> None:
        self._path, self._minutes, self._count = path, minutes, count
        self._is_closed = threading.Event()

    def __iter__(self) -> Iterator[StreamEvent]:
        if self._minutes != 1:
            yield StreamEnded("the files hold bars of one minute", is_fatal=True)
            return
        try:
            told = len(read_rows(self._path))
            for bar in newest_bars(self._path, self._count):
                yield StreamedBar(bar, is_history=True)
            yield SnapshotEnded()
            while not self._is_closed.wait(LOOK_SECONDS):
                rows = read_rows(self._path)
                if FAREWELL in rows:
                    yield StreamEnded("the file goes on elsewhere", is_polite=True)
                    return
                # the row before a new one is closed by it
                for number in range(max(told - 1, 0), len(rows)) if len(rows) > told else ():
                    yield StreamedBar(read_bar(rows[number], is_closed=number < len(rows) - 1), is_history=False)
                told = len(rows)
        except (OSError, ValueError) as error:
            yield StreamEnded(str(error))
            return
        yield StreamEnded("closed by us")

    def close(self) -> None:
        self._is_closed.set()


class CsvBroker:
    """What it is, and the parts of it; it opens nothing."""

    name = "CSV files"
    key = "csv"
    is_data_source = True
    has_account_management = False
    credential_kind = CredentialKind.NONE
    echoes_client_id = False
    adapter = SYMBOLS

    def host(self, login: Login) -> str:
        return login.base_url

    def data_source(self, login: Login, tokens: TokenSource) -> CsvData:
        return CsvData(folder_of(login))

    def bar_stream(self, login: Login, tokens: TokenSource, contract: Contract, minutes: int, count: int) -> CsvBars:
        return CsvBars(folder_of(login) / f"{SYMBOLS.to_broker_symbol(contract)}.csv", minutes, count)


BROKER = CsvBroker()
