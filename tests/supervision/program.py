"""A tiny real program that stands where `python -m tradeproc.procs <kind> ...` would: it waits, or does as told.

It is told by the file `behave/<kind>` in the home, read at each start: `exit N`, `stubborn` (ignores SIGTERM), `beat`
(a node of the bus that does nothing else), `spin` (the same, and its loop is stuck after a second) or `fail WORD`
(the same, and it raises after a moment).
"""

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path


def beat(kind: str, *, is_spinning: bool, fails_with: str = "") -> int:
    from tradeproc.bus.addresses import Directory
    from tradeproc.bus.node import Node
    from tradeproc.home import find_home
    from tradeproc.procs import entry

    def strategy_that_never_ends() -> None:
        while True:
            pass

    def fail() -> None:
        raise KeyError(fails_with)

    def live(_: Sequence[str]) -> int:
        node = Node(os.environ["SUPERVISOR_GROUP_NAME"] + "." + kind, Directory(find_home().sockets))
        if is_spinning:
            node.after(1.0, strategy_that_never_ends)
        if fails_with:
            node.after(0.3, fail)
        node.run()
        return node.exit_status

    return entry.run(kind, [], live)


def main() -> int:
    kind = sys.argv[3]
    behaviour = ""
    with contextlib.suppress(FileNotFoundError):
        behaviour = (Path(os.environ["TRADEPROC_HOME"]) / "behave" / kind).read_text().strip()
    if behaviour.startswith("exit "):
        return int(behaviour.removeprefix("exit "))
    if behaviour in ("beat", "spin"):
        return beat(kind, is_spinning=behaviour == "spin")
    if behaviour.startswith("fail "):
        return beat(kind, is_spinning=False, fails_with=behaviour.removeprefix("fail "))
    signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else lambda *_: sys.exit(0))
    (Path(os.environ["TRADEPROC_HOME"]) / "behave" / f"ready-{os.getpid()}").touch()
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
