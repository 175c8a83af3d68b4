"""`scripts/chaos --steps`: kill at every step of the order path, and print what came of it."""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.steps.kills import BOTH, DATABASE, ITSELF, Case, CaseResult, SteppedDesk, once_each, play_all, stepped_desk
from tests.steps.order_path import STEPPED
from tradeproc.cli import reader

# the market of a desk begins a while before a weekend, and then nothing is decided
_DESK_SECONDS = 480.0


def main() -> int:
    """Play the cases; 1 when anything was violated."""
    victims = [ITSELF, DATABASE, BOTH]
    parser = argparse.ArgumentParser(
        prog="scripts/chaos --steps", description="Kill at every step of the order path."
    )
    parser.add_argument("--kinds", nargs="+", choices=list(STEPPED), default=list(STEPPED), metavar="KIND")
    parser.add_argument("--victims", nargs="+", choices=victims, default=victims, metavar="VICTIM")
    parser.add_argument("--each-operation", action="store_true", help="each step for each operation, not for one")
    parser.add_argument("--from", type=int, default=1, dest="first", metavar="K", help="begin with the case number K")
    parser.add_argument("--most", type=int, default=100_000, metavar="N", help="play at most N cases")
    options = parser.parse_args()
    cases: list[Case] | None = None
    results: list[CaseResult] = []
    while cases is None or len(results) < len(cases):
        with tempfile.TemporaryDirectory(prefix="steps-") as folder, stepped_desk(Path(folder) / "desk") as stepped:
            if cases is None:
                cases = _chosen(stepped, options)
            played = play_all(stepped, cases[len(results) :], lambda line: print(line, flush=True), _DESK_SECONDS)
            results += played
            print(f"{len(results)} of {len(cases)} cases; orders of this desk: {stepped.ends()}", flush=True)
    _sum_up(results, options.kinds)
    return int(any(each.violations for each in results))


def _chosen(stepped: SteppedDesk, options: argparse.Namespace) -> list[Case]:
    """Return the cases that were asked for, and say how many steps there are."""
    for kind, reached in stepped.reached.items():
        print(f"{kind}: {len(stepped.steps[kind])} steps in the code, {reached} reached by a session that trades")
    cases = [case for case in stepped.cases() if case.kind in options.kinds and case.victim in options.victims]
    cases = cases if options.each_operation else once_each(cases)
    return cases[options.first - 1 :][: options.most]


def _sum_up(results: Sequence[CaseResult], kinds: Sequence[str]) -> None:
    for kind in kinds:
        of_kind = [each for each in results if each.case.kind == kind]
        verdicts = Counter(
            "violated" if each.violations else "not reached again" if each.is_void else "well" for each in of_kind
        )
        print(f"{kind}: {len(of_kind)} cases, {dict(verdicts)}, {sum(each.seconds for each in of_kind):.0f} s")


if __name__ == "__main__":
    sys.exit(reader.run(main))
