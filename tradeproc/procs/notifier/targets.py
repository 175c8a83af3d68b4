"""Where alarms go: one thread a target, so that one that hangs holds up no other.

apprise and its services are imported here, by the notifier alone. An address is a secret: it is never logged, and
errors name a target by its number and its service.
"""

import hashlib
import logging
import queue
import re
import threading
import time
from collections.abc import Callable

import apprise

Done = Callable[[str], None]
"""Called once, from another thread: with an empty text when the target has taken it, else why not."""

_ANSWERED = re.compile(r"error=(\d{3})")


class _Reason(logging.Handler):
    """Remembers which status a service answered last; all else that apprise logs may hold the address."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the status."""
        found = _ANSWERED.search(record.getMessage())
        if found:
            self.said = f"answered {found[1]}"


# each of these logs addresses at some level, as urllib3 the whole of one whose answer has headers that it cannot read
_INDISCREET = ("apprise", "urllib3", "requests", "paho", "smtplib", "markdown")


def silence() -> None:
    """Let nothing of what apprise and those that it sends with log into our log: addresses are secrets."""
    for name in _INDISCREET:
        log = logging.getLogger(name)
        log.handlers, log.propagate = [logging.NullHandler()], False


class Target:
    """One target; it takes one message at a time."""

    def __init__(self, number: int, url: str) -> None:
        """Look at the address.

        Raises:
            ValueError: apprise knows no such service, or the address is not complete.
        """
        self.number = number
        self.fingerprint = hashlib.sha256(url.encode()).hexdigest()[:24]
        self._service = apprise.Apprise()
        if not self._service.add(url) or len(self._service) != 1:
            raise ValueError
        if "overflow=" not in url:
            # a text that is longer than a service takes is cut; sent as it is, it would be refused for ever
            self._service[0].overflow_mode = apprise.OverflowMode.TRUNCATE
        # a logger of its own, because apprise may send in yet another thread
        self._reason, own = _Reason(), logging.Logger("target")
        own.addHandler(self._reason)
        self._service[0].logger = own
        self.name = f"target {number} ({self._service[0].service_name})"
        self._waiting: queue.Queue[tuple[str, str, bool, Done]] = queue.Queue(1)
        self._busy_since: float | None = None
        threading.Thread(target=self._send_all, name=f"target-{number}", daemon=True).start()

    def send(self, title: str, body: str, done: Done, *, is_critical: bool) -> bool:
        """Send a message; False when another one is still under way, and then `done` is not called."""
        if self._busy_since is not None:
            return False
        try:
            self._waiting.put_nowait((title, body, is_critical, done))
        except queue.Full:
            return False
        return True

    def is_stuck(self, seconds: float) -> bool:
        """Tell whether a message has been under way for longer than that."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > seconds

    def _send_all(self) -> None:
        while True:
            title, body, is_critical, done = self._waiting.get()
            self._busy_since = time.monotonic()
            reason = self._send(title, body, is_critical=is_critical)
            self._busy_since = None
            done(reason)

    def _send(self, title: str, body: str, *, is_critical: bool) -> str:
        kind = apprise.NotifyType.FAILURE if is_critical else apprise.NotifyType.WARNING
        self._reason.said = ""
        try:
            if self._service.notify(body=body, title=title, notify_type=kind):
                return ""
        except Exception as error:  # noqa: BLE001 - code of a service that we do not know must not end the thread
            return type(error).__name__
        return self._reason.said or "no answer, or not taken"
