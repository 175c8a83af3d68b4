"""Which troubles stand now: windows that are open, and messages that will be hit next."""

from dataclasses import dataclass

from tradeproc.domain.units import SECOND
from tradeproc.simulation.agenda import Agenda
from tradeproc.simulation.troubles import Blow, Mishap

ARMED_FOR = 60 * SECOND
"""How long a trouble waits for the messages that it hits."""


@dataclass(slots=True)
class _Armed:
    left: int
    delay: int
    until: int


class Weather:
    """What stands against one session now, and since when nothing did."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._armed: dict[Mishap, _Armed] = {}
        self._windows: dict[Mishap, tuple[int, int]] = {}
        self.rough_until = 0

    @property
    def fair_for(self) -> int:
        """Return since how many nanoseconds nothing has gone wrong; negative while something does."""
        return self._agenda.now - self.rough_until

    def strike(self, seconds: float = 0.0) -> None:
        """Note that something goes wrong, for so long."""
        self.rough_until = max(self.rough_until, self._agenda.now + int(seconds * SECOND))

    def arm(self, blow: Blow) -> None:
        """Hit the next messages of a kind."""
        self._armed[blow.what] = _Armed(blow.count, int(blow.seconds * SECOND), self._agenda.now + ARMED_FOR)

    def hit(self, what: Mishap) -> int | None:
        """Return the delay in nanoseconds when this message is hit, None when it is not."""
        armed = self._armed.get(what) if self._armed else None
        if armed is None:
            return None
        if armed.until < self._agenda.now:
            del self._armed[what]
            return None
        armed.left -= 1
        if not armed.left:
            del self._armed[what]
        self.strike(armed.delay / SECOND)
        return armed.delay

    def open(self, blow: Blow) -> None:
        """Open a window."""
        until = self._agenda.now + int(blow.seconds * SECOND)
        self._windows[blow.what] = until, blow.amount
        if blow.what is not Mishap.INERT_STOPS:  # the one that has to be found while it lasts
            self.strike(blow.seconds)

    def stands(self, what: Mishap) -> bool:
        """Tell whether a window is open."""
        window = self._windows.get(what) if self._windows else None
        return window is not None and window[0] > self._agenda.now

    def amount(self, what: Mishap) -> int:
        """Return the amount of an open window, 0 when it is closed."""
        return self._windows[what][1] if self.stands(what) else 0

    def clear(self) -> None:
        """End all of it."""
        self._armed.clear()
        self._windows.clear()
        self.rough_until = min(self.rough_until, self._agenda.now)
