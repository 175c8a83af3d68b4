"""`link-<login>.positions-<account>`: one position stream; publishes each position's full present picture."""

from collections.abc import Sequence

from tradeproc.bus.node import Node
from tradeproc.procs.account_feed import AccountFeed
from tradeproc.procs.feed import find_place, read_arguments


def main(arguments: Sequence[str]) -> int:
    """Run the feed: login, account."""
    given = read_arguments("positions", arguments)
    place = find_place(given.login)
    node = Node(f"link-{given.login}.positions-{given.account}", place.directory)
    connect = place.broker.position_stream
    AccountFeed(node, "position", lambda: connect(place.login, place.tokens, given.account)).feed.start()
    node.run()
    return node.exit_status
