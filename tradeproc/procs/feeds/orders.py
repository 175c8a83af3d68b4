"""`link-<login>.orders-<account>`: one order stream; publishes each order's full present picture."""

from collections.abc import Sequence

from tradeproc.procs.feeds.account_feed import run


def main(arguments: Sequence[str]) -> int:
    """Run the feed: login, account."""
    return run("order", arguments, lambda broker: broker.order_stream)
