"""The table of all targets, by name."""

from tests.fuzz import bus, files, paper, tapes, wire
from tests.fuzz.harness import Target

TARGETS: dict[str, Target] = {
    target.name: target for target in (*wire.TARGETS, *bus.TARGETS, *files.TARGETS, *paper.TARGETS, *tapes.TARGETS)
}
