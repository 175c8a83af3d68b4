"""A process of its own for the tests: publishes `count` fast and answers for a snapshot of it.

python desk_process.py <folder> <name>
"""

import sys
from pathlib import Path

from tradeproc.bus.addresses import Directory
from tradeproc.bus.node import Node


def main(folder: str, name: str) -> int:
    """Run until told to stop."""
    node = Node(name, Directory(Path(folder)), heartbeat_seconds=0.05, patience=0.2)
    counted = [0]

    def count() -> None:
        counted[0] += 1
        node.publish("count", {"n": counted[0]})

    node.snapshot("count", lambda topic: {"n": counted[0]})
    node.every(0.005, count)
    node.on_stop(lambda: (Path(folder) / "stopped").touch())
    node.set_state("ready")
    node.run()
    return node.exit_status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
