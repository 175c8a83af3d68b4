"""A failure with as few troubles as it needs, found by leaving out ever smaller parts of their list."""

from collections.abc import Callable
from dataclasses import replace

from tradeproc.simulation.scenario import Scenario
from tradeproc.simulation.troubles import Blow

Breaks = Callable[[Scenario], bool]
"""Tells whether a life breaks the invariant that is looked for."""


def shrunk(scenario: Scenario, breaks: Breaks) -> Scenario:
    """Return a scenario that still breaks, from which no single trouble can be left out, each as small as it goes."""
    scenario = _fewer(scenario, breaks)
    for at in range(len(scenario.blows)):
        scenario = _smaller(scenario, at, breaks)
    return _fewer(scenario, breaks)


def _fewer(scenario: Scenario, breaks: Breaks) -> Scenario:
    """Leave out halves, then quarters and so on, as long as the rest breaks (delta debugging)."""
    size = max(1, len(scenario.blows) // 2)
    while scenario.blows:
        for start in range(0, len(scenario.blows), size):
            left = scenario.blows[:start] + scenario.blows[start + size :]
            tried = replace(scenario, blows=left)
            if breaks(tried):
                scenario = tried
                size = min(size, max(1, len(left) // 2))
                break
        else:
            if size == 1:
                return scenario
            size = max(1, size // 2)
    return scenario


def _smaller(scenario: Scenario, at: int, breaks: Breaks) -> Scenario:
    """Make one trouble shorter and hit fewer messages, as long as the life still breaks."""
    while True:
        for blow in _lesser(scenario.blows[at]):
            tried = replace(scenario, blows=(*scenario.blows[:at], blow, *scenario.blows[at + 1 :]))
            if breaks(tried):
                scenario = tried
                break
        else:
            return scenario


def _lesser(blow: Blow) -> list[Blow]:
    found = []
    if blow.count > 1:
        found += [replace(blow, count=1), replace(blow, count=blow.count - 1)]
    if blow.seconds >= 1.0:
        found.append(replace(blow, seconds=round(blow.seconds / 2, 3)))
    return found
