"""How every process logs: one event a line, whatever texts of others it holds, and no flood rotates the history away.

A name, a reason or a message of a broker may hold anything: a line break would begin a line that looks like one of
ours, and an escape sequence would reach the terminal of whoever reads the log. Both are escaped here, for all logs.
"""

import logging
import sys
import time
from collections.abc import Hashable
from dataclasses import dataclass, field

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.domain.texts import shown

# beyond BURST warnings of one kind within WINDOW_SECONDS, further ones are counted instead of written
BURST, WINDOW_SECONDS = 30, 10.0
_MOST_KINDS = 1000
# a line of a stack begins with this, so that nothing in it looks like a line of ours
_STACK = "  | "


class OneLine(logging.Formatter):
    """UTC time, level, logger, message with everything unprintable escaped; a stack follows, marked line by line."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own spelling
        """Return the line of a record."""
        return shown(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's own spelling
        """Return the stack of an error."""
        return _marked(super().formatException(ei))  # type: ignore[arg-type]

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's own spelling
        """Return the stack of a call."""
        return _marked(super().formatStack(stack_info))


def _marked(text: str) -> str:
    return "\n".join(_STACK + shown(line) for line in text.split("\n"))


@dataclass(slots=True)
class Throttle:
    """Lets through the first `burst` events of a kind in each window, then only their number. Pure.

    At most 1000 kinds are counted at once: events of further kinds are dropped, and not counted either.
    """

    burst: int = BURST
    window: int = int(WINDOW_SECONDS * SECOND)
    _kinds: dict[Hashable, tuple[int, int]] = field(default_factory=dict)

    def take(self, kind: Hashable, now: int) -> bool:
        """Count an event and tell whether it is to be told."""
        began, count = self._kinds.get(kind, (now, 0))
        if kind not in self._kinds and len(self._kinds) >= _MOST_KINDS:
            return False
        self._kinds[kind] = (began, count + 1)
        return count < self.burst

    def ended(self, now: int) -> list[tuple[Hashable, int]]:
        """Forget the windows that are over and return which kinds were held back, and how often."""
        over = [(kind, count) for kind, (began, count) in self._kinds.items() if now - began >= self.window]
        for kind, _ in over:
            del self._kinds[kind]
        return [(kind, count - self.burst) for kind, count in over if count > self.burst]


class Throttled(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to stderr, and only counts the warnings of one kind that come too often.

    A stranger may cause some warnings as often as he likes.
    """

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(OneLine())
        self._throttle = Throttle()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or count it."""
        now = monotonic_ns()
        for kind, count in self._throttle.ended(now):
            name, words = str(kind[0]), str(kind[1])  # type: ignore[index]
            text = "warnings_left_out count=%d seconds=%.0f words=%r"
            given = (count, WINDOW_SECONDS, words)
            super().emit(logging.LogRecord(name, logging.WARNING, "", 0, text, given, None))
        if record.levelno != logging.WARNING or self._throttle.take((record.name, str(record.msg)), now):
            super().emit(record)
