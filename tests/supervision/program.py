"""A tiny real program that stands where `python -m tradeproc.procs <kind> ...` would: it waits, or does as told.

It is told by the file `behave/<kind>` in the home, read at each start: `exit N`, `stubborn`, or `mute`.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path


def main() -> int:
    kind = sys.argv[3]
    behaviour = ""
    with contextlib.suppress(FileNotFoundError):
        behaviour = (Path(os.environ["TRADEPROC_HOME"]) / "behave" / kind).read_text().strip()
    if behaviour.startswith("exit "):
        return int(behaviour.removeprefix("exit "))
    signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else lambda *_: sys.exit(0))
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
