"""`python -m tradeproc.procs.keeper.strategy_check REFERENCE FOLDER ARGUMENTS BROKER`: can this strategy trade there?

The keeper asks it before a session is created. Strategies and brokers are somebody's code: they are tried in a
process that nobody misses.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tradeproc.brokers.contract import trading_lacks
from tradeproc.brokers.registry import BadBroker, UnknownBroker, broker
from tradeproc.errors import EXIT_DONE, EXIT_HALT, Halt
from tradeproc.strategies.loading import BadStrategy, begin, build_arguments, load_strategy


class CannotTradeThere(Halt):
    """A broker that declares not to be what a session needs; told to who wants to create one."""

    def __init__(self, lacking: str) -> None:
        super().__init__(f"{lacking}; a session needs both, so name a login at another broker")


def check(arguments: Sequence[str]) -> int:
    """Load the strategy, build its arguments and begin once, load the broker; say in one line why that cannot be."""
    reference, folder, given, key = arguments
    try:
        strategy = load_strategy(reference, Path(folder))
        begin(reference, strategy, build_arguments(strategy, json.loads(given)))
        if lacking := trading_lacks(broker(key)):
            raise CannotTradeThere(lacking)
    except (BadStrategy, UnknownBroker, BadBroker, CannotTradeThere) as bad:
        sys.stderr.write(" ".join(str(bad).split()) + "\n")
        return EXIT_HALT
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(check(sys.argv[1:]))
