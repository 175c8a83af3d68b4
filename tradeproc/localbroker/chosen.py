"""Which tape is played: the configured one, or one that was chosen instead.

The quickstart chooses; the choice is a file beside the journal. It holds until the folder is emptied or another tape
is configured.
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
    """A tape as `open_tape` takes it, and the hints for what its file does not say itself."""

    tape: str
    reading: TapeHints = NOTHING_SAID


def choose(folder: Path, choice: Choice, configured: Choice) -> None:
    """Let a tape be played instead of the configured one from the next start on."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(folder / _FILE, orjson.dumps({"chosen": asdict(choice), "instead_of": asdict(configured)}))


def chosen(folder: Path, configured: Choice) -> Choice:
    """Return what is to be played: the choice, unless it cannot be read or another tape was configured since."""
    try:
        found = orjson.loads((folder / _FILE).read_bytes())
        if found["instead_of"] != asdict(configured):
            return configured
        return Choice(str(found["chosen"]["tape"]), read_record(TapeHints, found["chosen"]["reading"]))
    except (OSError, ValueError, TypeError, KeyError, BadRecord):
        return configured
