"""`… -m ….strategy_check REFERENCE FOLDER ARGUMENTS ROOT BROKER DATA_BROKER`: can it trade there?

The keeper runs it before a session is created. Strategies and brokers are code of others, so they are tried in a
process whose crash harms nothing. ROOT is the instrument, BROKER takes the orders, DATA_BROKER serves the bars; the
two may be one.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tradeproc.brokers.contract import Broker, trading_lacks
from tradeproc.brokers.registry import BadBroker, UnknownBroker, broker
from tradeproc.errors import EXIT_DONE, EXIT_HALT, Halt
from tradeproc.strategies.loading import BadStrategy, begin, build_arguments, load_strategy


class CannotTradeThere(Halt):
    """A broker that declares not to be what a session needs; told to who wants to create one."""

    def __init__(self, lacking: str) -> None:
        super().__init__(f"{lacking}; name a login (orders) or data_login (bars) at another broker")


def check(arguments: Sequence[str]) -> int:
    """Load the strategy, build its arguments and begin once, load the broker; say in one line why that cannot be."""
    reference, folder, given, root, key, data_key = arguments
    try:
        strategy = load_strategy(reference, Path(folder))
        begin(reference, strategy, build_arguments(strategy, json.loads(given)))
        its_broker = broker(key)
        data_broker = its_broker if data_key == key else broker(data_key)
        if lacking := trading_lacks(its_broker, data_broker) or _unsupported(root, its_broker, data_broker):
            raise CannotTradeThere(lacking)
    except (BadStrategy, UnknownBroker, BadBroker, CannotTradeThere) as bad:
        sys.stderr.write(" ".join(str(bad).split()) + "\n")
        return EXIT_HALT
    return EXIT_DONE


def _unsupported(root: str, its_broker: Broker, data_broker: Broker) -> str:
    """Return in one line which broker does not have the instrument; empty when both have."""
    if not data_broker.adapter.supports_symbol(root):
        return f"{data_broker.name} serves no bars of {root}"
    return "" if its_broker.adapter.supports_symbol(root) else f"{its_broker.name} takes no orders for {root}"


if __name__ == "__main__":
    sys.exit(check(sys.argv[1:]))
