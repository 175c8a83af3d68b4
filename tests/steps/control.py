"""The drill's end of the file that tells a process what to do at its steps; `injected/` is the process's end."""

import mmap
import struct

from tests.steps.order_path import OPERATIONS
from tradeproc.home import Home

_CELLS = 8
_NOTE_ALL = -1


class StepControl:
    """Commands one process by the words of its command line, as `account-1-paper-SIM1F`."""

    def __init__(self, home: Home, words: str) -> None:
        folder = home.run / "steps"
        folder.mkdir(exist_ok=True)
        file = folder / words
        self._seen = file.with_suffix(".seen")
        file.write_bytes(bytes(8 * _CELLS))
        with file.open("r+b") as opened:
            self._cells = memoryview(mmap.mmap(opened.fileno(), 0)).cast("q")

    def note_all(self) -> None:
        """Let each step that is reached be noted."""
        self._cells[0] = _NOTE_ALL

    def kill_at(self, step: int, operation: str, victim: int = 0, spared: int = 0) -> None:
        """Let the process kill itself, or `victim`, when it reaches a step for an operation after `spared` times."""
        cells = self._cells
        cells[0] = 0
        cells[1], cells[2], cells[3], cells[4] = OPERATIONS.index(operation), spared, victim, 0
        cells[0] = step

    def disarm(self) -> None:
        """Let nothing happen."""
        self._cells[0] = 0

    @property
    def has_killed(self) -> bool:
        """Tell whether the step was reached, so that the kill was done."""
        return bool(self._cells[4])

    def reached(self) -> set[tuple[int, str]]:
        """Return the steps that were noted, with the operation that each was reached for."""
        if not self._seen.exists():
            return set()
        told = self._seen.read_bytes()
        whole = len(told) - len(told) % 16
        return {(step, OPERATIONS[operation]) for step, operation in struct.iter_unpack("<qq", told[:whole])}
