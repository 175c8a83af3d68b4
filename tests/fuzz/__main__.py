"""Runs targets for as long as is asked: scripts/fuzz [TARGET ...] --count N --seed S [--from K]."""

import argparse
import sys

from tests.fuzz.harness import run
from tests.fuzz.targets import TARGETS
from tradeproc.cli import reader


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Random inputs for every parser.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default all: {', '.join(TARGETS)}")
    parser.add_argument("--count", type=int, default=100_000, metavar="N", help="inputs a target (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="another seed, other inputs (%(default)s)")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="K", help="number of the first input")
    options = parser.parse_args()
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    found = 0
    for name in options.targets or TARGETS:
        report = run(TARGETS[name], seed=options.seed, first=options.first, count=options.count)
        print(report.line(), flush=True)
        if report.findings:
            print(report.story(), flush=True)
        found += len(report.findings)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(reader.run(main))
