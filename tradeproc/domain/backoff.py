"""How long to wait before something that failed is tried again."""

from dataclasses import dataclass

_MOST_STEPS = 64  # by then any pause is at its longest, and the power is still a number


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses in seconds that grow by `factor` from `first` to `most`; chance moves them by a share of `jitter`."""

    first: float
    most: float
    factor: float = 2.0
    jitter: float = 0.0

    def delay(self, attempt: int, chance: float = 0.5) -> float:
        """Return the pause after so many failed tries before this one; `chance` is drawn from 0 to 1."""
        pause = min(self.first * self.factor ** min(attempt, _MOST_STEPS), self.most)
        return pause * (1.0 + self.jitter * (2.0 * chance - 1.0))
