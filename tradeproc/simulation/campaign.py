"""Many lives, on some cores; what breaks is shrunk and told."""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context

from tradeproc.simulation.scenario import Scenario, scenario
from tradeproc.simulation.shrinking import shrunk
from tradeproc.simulation.story import Story
from tradeproc.simulation.world import LivedLife, World

_AT_ONCE = 20
_GARBAGE = 200_000


def spare_the_collector() -> None:
    """Let the garbage of some lives gather before it is collected: each life leaves little, and all of it at once."""
    gc.freeze()
    gc.set_threshold(_GARBAGE, 5, 20)


@dataclass(frozen=True, slots=True)
class Campaign:
    """Which lives: `count` of them from `seed` on, each with so many sessions and minutes of trouble (None: drawn).

    `steps` are the price changes of a real tape in ticks; without them the market is a random walk.
    """

    seed: int
    count: int
    sessions: int = 1
    minutes: float | None = None
    steps: Sequence[int] = ()
    jobs: int = 1

    def scenario(self, seed: int) -> Scenario:
        """Return the life of a seed."""
        return scenario(seed, minutes=self.minutes, sessions=self.sessions)

    def live(self, seed: int) -> LivedLife:
        """Live one life."""
        return World(self.scenario(seed), self.steps).run()

    def outcomes(self) -> Iterator[LivedLife]:
        """Live all lives; the order of the outcomes is that of their seeds."""
        seeds = range(self.seed, self.seed + self.count)
        if self.jobs == 1:
            yield from map(self.live, seeds)
            return
        pool = get_context("fork").Pool(self.jobs, spare_the_collector)
        try:
            yield from pool.imap(self.live, seeds, _AT_ONCE)
        finally:
            pool.close()
            pool.join()

    def story(self, seed: int, *, is_shrunk: bool) -> str:
        """Return the life of a seed as a table, with no more troubles than it needs to break what it breaks."""
        whole = self.scenario(seed)
        invariant = self.live(seed).invariant
        if invariant and is_shrunk:
            whole = shrunk(whole, lambda tried: World(tried, self.steps).run().invariant == invariant)
        story = Story(whole, self.steps)
        story.live()
        return story.table()
