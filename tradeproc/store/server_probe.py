"""Notices a server that hangs or was suspended: unlike one that refuses, it gives no answer at all."""

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
        """Begin to ask; a server that gives no answer for `seconds` counts as deaf."""
        self._url, self._nanos = url, int(seconds * SECOND)
        self._answered_at = monotonic_ns()
        threading.Thread(target=self._ask_for_ever, name="server_probe", daemon=True).start()

    def is_deaf(self) -> bool:
        """Tell whether the server has given no answer for longer than it may."""
        return monotonic_ns() - self._answered_at > self._nanos

    def _ask_for_ever(self) -> None:
        while True:
            began = monotonic_ns()
            self._ask()
            # an answer or a refusal comes at once; without one the attempt lasts as long as we wait
            if monotonic_ns() - began < int((_ANSWER_SECONDS - 0.5) * SECOND):
                self._answered_at = monotonic_ns()
            time.sleep(_ASK_SECONDS)

    def _ask(self) -> None:
        """Ask over a new connection: a suspended postmaster makes none, while old connections go on."""
        try:
            with connect(self._url, connect_seconds=_ANSWER_SECONDS, answer_seconds=_ANSWER_SECONDS) as connection:
                connection.execute(statements()["is_up"])
        except (psycopg.Error, DatabaseDown):
            return
