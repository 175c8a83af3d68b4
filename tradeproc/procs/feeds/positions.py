"""`link-<login>.positions-<account>`: one position stream; publishes each position's full present picture."""

from collections.abc import Sequence

from tradeproc.procs.feeds.account_feed import run


def main(arguments: Sequence[str]) -> int:
    """Run the feed: login, account."""
    return run("position", arguments, lambda broker: broker.position_stream)
