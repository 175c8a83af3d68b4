"""`python -m tradeproc.procs.strategy_check REFERENCE FOLDER ARGUMENTS`: can this strategy be loaded?

The keeper asks it before a session is created. A strategy is somebody's code: it is tried in a process that nobody
misses.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tradeproc.errors import EXIT_DONE, EXIT_HALT
from tradeproc.strategies.loading import BadStrategy, begin, build_arguments, load_strategy


def check(arguments: Sequence[str]) -> int:
    """Load the strategy, build its arguments and begin once; say in one line on stderr why it cannot be."""
    reference, folder, given = arguments
    try:
        strategy = load_strategy(reference, Path(folder))
        begin(reference, strategy, build_arguments(strategy, json.loads(given)))
    except BadStrategy as bad:
        sys.stderr.write(" ".join(str(bad).split()) + "\n")
        return EXIT_HALT
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(check(sys.argv[1:]))
