"""`scripts/chaos --steps`: kill at every step of the order path, and print what came of it."""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.steps.kills import once_each, play_all, stepped_desk
from tests.steps.order_path import STEPPED
from tradeproc.cli import reader


def main() -> int:
    """Play the cases; 1 when anything was violated."""
    parser = argparse.ArgumentParser(
        prog="scripts/chaos --steps", description="Kill at every step of the order path."
    )
    parser.add_argument("--kinds", nargs="+", choices=list(STEPPED), default=list(STEPPED), metavar="KIND")
    parser.add_argument("--each-operation", action="store_true", help="each step for each operation, not for one")
    parser.add_argument("--from", type=int, default=1, dest="first", metavar="K", help="begin with the case number K")
    parser.add_argument("--most", type=int, default=100_000, metavar="N", help="play at most N cases")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steps-") as folder, stepped_desk(Path(folder) / "desk") as stepped:
        cases = [case for case in stepped.cases() if case.kind in options.kinds]
        cases = cases if options.each_operation else once_each(cases)
        begin = options.first - 1
        results = play_all(stepped, cases[begin : begin + options.most], lambda line: print(line, flush=True))
    for kind in options.kinds:
        of_kind = [each for each in results if each.case.kind == kind]
        verdicts = Counter(
            "violated" if each.violations else "not reached again" if each.is_void else "well" for each in of_kind
        )
        print(f"{kind}: {len(of_kind)} cases, {dict(verdicts)}, {sum(each.seconds for each in of_kind):.0f} s")
    return int(any(each.violations for each in results))


if __name__ == "__main__":
    sys.exit(reader.run(main))
