"""How long to wait before something that failed is tried again."""

from tradeproc.domain.frozen import dataclass

_MOST_STEPS = 64  # after so many steps every pause has reached `most`, and the power does not overflow yet


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses in seconds that grow by `factor` from `first` to `most`, changed at random by up to `jitter` of each."""

    first: float
    most: float
    factor: float = 2.0
    jitter: float = 0.0

    def delay(self, attempt: int, chance: float = 0.5) -> float:
        """Return the pause when `attempt` tries failed before the newest; `chance` is a random number from 0 to 1."""
        pause = min(self.first * self.factor ** min(attempt, _MOST_STEPS), self.most)
        return pause * (1.0 + self.jitter * (2.0 * chance - 1.0))
