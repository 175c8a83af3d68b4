"""Is the server deaf? A server that was stopped, or hangs, refuses nothing: it says nothing at all."""

import threading
import time

import psycopg

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.store.database import DatabaseDown, connect
from tradeproc.store.statements import statements

_ASK_SECONDS, _ANSWER_SECONDS = 3.0, 3.0


class ServerProbe:
    """Asks the server again and again, on a thread of its own; any answer counts, a refusal too."""

    def __init__(self, url: str, seconds: float) -> None:
        """Begin to ask; a server that says nothing for `seconds` is deaf."""
        self._url, self._nanos = url, int(seconds * SECOND)
        self._answered_at = monotonic_ns()
        threading.Thread(target=self._ask_for_ever, name="deafness", daemon=True).start()

    def is_deaf(self) -> bool:
        """Tell whether the server has not answered for long."""
        return monotonic_ns() - self._answered_at > self._nanos

    def _ask_for_ever(self) -> None:
        while True:
            began = monotonic_ns()
            self._ask()
            # a refusal comes at once; silence takes as long as we wait
            if monotonic_ns() - began < int((_ANSWER_SECONDS - 0.5) * SECOND):
                self._answered_at = monotonic_ns()
            time.sleep(_ASK_SECONDS)

    def _ask(self) -> None:
        """Connect and ask: with a frozen postmaster, old connections go on and new ones do not come."""
        try:
            with connect(self._url, connect_seconds=_ANSWER_SECONDS, answer_seconds=_ANSWER_SECONDS) as connection:
                connection.execute(statements()["is_up"])
        except (psycopg.Error, DatabaseDown):
            return
