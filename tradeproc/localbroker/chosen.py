"""Which tape is played.

The configured one, or one that was chosen instead and is noted beside the journal of its trades.

The quickstart chooses. What it chose holds until the folder is emptied, or another tape is configured.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from tradeproc.domain.records import BadRecord, read_record
from tradeproc.durable import write_durably
from tradeproc.market.tape_files.file_reading import NOTHING_SAID, TapeHints

_FILE = "tape.json"


@dataclass(frozen=True, slots=True)
class Choice:
    """A tape as `open_tape` wants it, and what it does not say itself."""

    tape: str
    reading: TapeHints = NOTHING_SAID


def choose(folder: Path, choice: Choice, configured: Choice) -> None:
    """Play a tape instead of the configured one from the next start on."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(folder / _FILE, orjson.dumps({"chosen": asdict(choice), "instead_of": asdict(configured)}))


def chosen(folder: Path, configured: Choice) -> Choice:
    """Return what is to be played; a choice that cannot be read, or made when another was configured, is none."""
    try:
        found = orjson.loads((folder / _FILE).read_bytes())
        if found["instead_of"] != asdict(configured):
            return configured
        return Choice(str(found["chosen"]["tape"]), read_record(TapeHints, found["chosen"]["reading"]))
    except (OSError, ValueError, TypeError, KeyError, BadRecord):
        return configured
