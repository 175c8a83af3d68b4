"""The table of all targets, by name."""

from tests.fuzz import bus, files, http, paper, tapes, wire
from tests.fuzz.harness import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (*wire.TARGETS, *http.TARGETS, *bus.TARGETS, *files.TARGETS, *paper.TARGETS, *tapes.TARGETS)
}
