"""`scripts/chaos --faults N --seed S`: run a campaign in a temporary home and print its table."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import Campaign, chaotic_desk
from tests.chaos.report import table
from tests.chaos.troubles import MAKERS
from tradeproc.cli import reader


def main() -> int:
    """Run a campaign; 1 when anything was violated."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description="Random faults on a desk that trades.")
    parser.add_argument("--faults", type=int, default=50, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="equal seeds draw equal faults")
    parser.add_argument(
        "--only", nargs="+", choices=list(MAKERS), default=list(MAKERS), metavar="KIND", help="%(choices)s"
    )
    parser.add_argument(
        "--from", type=int, default=1, dest="first", metavar="K", help="begin with the fault number K"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="use and keep this folder, with all logs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument(
        "--rolls", action="store_true", help="instead: kill a roll before and after every one of its steps"
    )
    options = parser.parse_args()
    if options.rolls:
        return _all_rolls()
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        folder = options.keep or Path(temporary)
        with chaotic_desk(folder / "desk") as desk:
            campaign = Campaign(desk, options.seed, lambda line: print(line, flush=True), tuple(options.only))
            try:
                campaign.run(options.faults, options.first)
            finally:
                print("\n" + "\n".join(table(campaign.results)), flush=True)
    if options.json:
        rows = [
            {
                "number": each.number,
                "kind": each.kind,
                "subject": each.subject,
                "void": each.is_void,
                "detected_s": each.detected,
                "recovered_s": each.recovered,
                "violations": each.violations,
            }
            for each in campaign.results
        ]
        options.json.write_text(json.dumps(rows, indent=1))
    return int(any(each.violations for each in campaign.results))


def _all_rolls() -> int:
    """Run the whole table of kills in a roll, of which CI runs some."""
    environment = {**os.environ, "TRADEPROC_ALL_ROLLS": "1"}
    drill = Path(__file__).parents[1] / "drills" / "test_roll_steps.py"
    words = [sys.executable, "-m", "pytest", "-n", "0", "-v", "-m", "drill", str(drill)]
    return subprocess.run(words, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(reader.run(main))
