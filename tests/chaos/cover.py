"""Watches from outside what the broker holds: every open contract under a stop, never more than is allowed."""

import threading
import time

from tests.drills.desk import Desk
from tradeproc.errors import TradeprocError

COVER_SECONDS = 10.0


class CoverWatch:
    """Looks four times a second whether open contracts are covered by working stops, and are no more than may be."""

    def __init__(self, desk: Desk, most: int = 1, seconds: float = COVER_SECONDS) -> None:
        self._desk, self._most, self._seconds = desk, most, seconds
        self._naked_since: dict[str, float] = {}
        self._found: list[str] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "CoverWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def take(self) -> list[str]:
        """Return what was violated since the last call."""
        found, self._found = self._found, []
        return list(dict.fromkeys(found))

    def _run(self) -> None:
        while not self._is_over.wait(0.25):
            try:
                positions = self._desk.broker.exposure()["positions"]
            except TradeprocError:
                continue  # the broker itself is down; nothing fills meanwhile
            now = time.monotonic()
            naked = {row["account"]: row for row in positions if abs(row["quantity"]) > row["stopped"]}
            self._naked_since = {account: self._naked_since.get(account, now) for account in naked}
            for account, since in self._naked_since.items():
                if now - since > self._seconds:
                    self._found.append(f"{account}: {naked[account]} uncovered for {now - since:.1f} s")
                    self._naked_since[account] = now
            self._found += [
                f"{row['account']}: holds {row['quantity']}, at most {self._most} allowed"
                for row in positions
                if abs(row["quantity"]) > self._most
            ]
