"""Follows `conf/market_hours.toml` while a process runs: a person may learn of an early close on the day itself."""

import logging

from tradeproc.bus.node import Node
from tradeproc.config import BadConfig, apply_market_hours
from tradeproc.config.market_hours import file_of
from tradeproc.home import Home

log = logging.getLogger(__name__)

_SECONDS = 5.0


class MarketHoursFile:
    """Puts the file in force when it changes; one that is wrong changes nothing and is one line of the log."""

    def __init__(self, home: Home) -> None:
        self._home = home
        # the first look reads the file without logging a change: config.load has read it a moment before
        self._seen: tuple[int, int] | None = None
        self._is_first = True

    def look(self) -> None:
        """Look at the file, and read it when it is another than last time."""
        try:
            found = file_of(self._home).stat()
            seen: tuple[int, int] | None = (found.st_mtime_ns, found.st_size)
        except OSError:
            seen = None
        if seen == self._seen and not self._is_first:
            return
        is_news, self._seen, self._is_first = not self._is_first, seen, False
        try:
            apply_market_hours(self._home)
        except BadConfig as bad:
            log.warning("market_hours_refused reason=%s: the hours before stay in force", bad)
        else:
            if is_news:
                log.info("market_hours_changed file=%s", file_of(self._home))


def follow_market_hours(node: Node, home: Home) -> None:
    """Let a process follow the file."""
    file = MarketHoursFile(home)
    node.after(0.0, file.look)
    node.every(_SECONDS, file.look)
