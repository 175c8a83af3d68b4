"""The quickstart on a tape of somebody's own: read as a whole before anything starts, and a session that fits it."""

from argparse import Namespace
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tradeproc.cli.commands.tape import said
from tradeproc.config import BadConfig
from tradeproc.desk.exit_status import CommandFailed, WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import MINUTE, SECOND, iso
from tradeproc.localbroker.chosen import Choice
from tradeproc.localbroker.tape_files import BadTape, understand
from tradeproc.market.tape_files.file_reading import Reading, TapeHints
from tradeproc.market.tape_files.findings import examine

_DAY_MINUTES = 1440


@dataclass(frozen=True, slots=True)
class ForeignTape:
    """A file that can be played, as the local broker is to play it, and what is to be said of it."""

    choice: Choice
    contract: str
    bar_minutes: int
    minutes: float
    lines: tuple[str, ...]


def foreign_tape(options: Namespace) -> ForeignTape | None:
    """Return the tape that the options name, None when they name none.

    Raises:
        WrongUsage: an option about a tape without one.
        BadTape: the file cannot be read; says file, line and remedy.
        CommandFailed: the file does not say enough, or cannot be traded by one session; says what to add.
    """
    wanted = said(options)
    if options.tape is None:
        if wanted != TapeHints():
            raise WrongUsage(
                "--zone, --stamp, --contract and --dates say how a file is read; name it with --tape FILE"
            )
        return None
    file = Path(options.tape).expanduser().resolve()
    reading = understand(file, wanted)
    if reading.questions:
        raise CommandFailed(f"{file}: {'; '.join([*reading.questions, *examine(reading).warnings])}")
    contracts = reading.trades.contracts
    if len(contracts) > 1:
        raise CommandFailed(
            f"{file} holds {', '.join(contracts)}; say which is to be traded, as --contract {contracts[0]}"
        )
    times = reading.trades.times
    minutes = int(times[-1] - times[0]) / MINUTE
    told = tuple(_told(reading, options.speed))
    return ForeignTape(Choice(str(file), wanted), contracts[0], _bar_minutes(file, reading), minutes, told)


def fitted(spec: SessionSpec, tape: ForeignTape, desk: Desk) -> SessionSpec:
    """Return a session for the tape's contract, whose bars are no shorter than the tape's.

    Raises:
        CommandFailed: this desk does not allow it, or all of the tape would be history.
    """
    history = desk.config.localbroker.history_minutes
    if tape.minutes <= history:
        raise CommandFailed(
            f"{tape.choice.tape} has {tape.minutes:.0f} minutes, and the first {history:g} of a tape are history; "
            "take a longer one, or set history_minutes in [localbroker] of conf/tradeproc.toml"
        )
    table = spec.to_dict() | {"contract": tape.contract, "minutes": max(spec.minutes, tape.bar_minutes)}
    found = SessionSpec.from_dict(table | {"market_hours": ""})
    try:
        desk.config.check_session(found)
    except BadConfig as bad:
        raise CommandFailed(str(bad)) from None
    return found


def _bar_minutes(file: Path, reading: Reading) -> int:
    """Return how many minutes a bar has at least when it is made of this tape."""
    minutes = 1 if reading.bar is None else -(-reading.bar // MINUTE)
    if minutes > _DAY_MINUTES // 2:
        raise BadTape(file, None, f"has bars of {minutes // 60} hours; give bars of minutes, or trades")
    return minutes


def _told(reading: Reading, speed: float) -> list[str]:
    trades = reading.trades
    first, last = int(trades.times[0]), int(trades.times[-1])
    takes = timedelta(seconds=round((last - first) / SECOND / speed))
    kind = (
        "trades" if reading.bar is None else f"bars of {reading.bar / SECOND:g} s, stamped at their {reading.stamp},"
    )
    lines = [
        f"the tape has {reading.rows:,} {kind} of {trades.contracts[0]} ({reading.layout.name}), "
        f"{iso(first)} to {iso(last)}; played {speed:g} times as fast as the clock it takes {takes}"
    ]
    return [*lines, *(f"warning: {each}" for each in (*reading.warnings, *examine(reading).warnings))]
