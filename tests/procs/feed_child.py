"""A feed in a process of its own, to be stopped and killed: `python -m tests.procs.feed_child SOCKETS PROCESS`."""

import sys
from pathlib import Path

from tests.procs.stage import Script
from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Node
from tradeproc.procs.feeds.account_feed import AccountFeed

if __name__ == "__main__":
    node = Node(sys.argv[2], Directory(Path(sys.argv[1])))
    AccountFeed(node, "order", Script().connect).feed.start()
    node.run()
