"""`python -m tradeproc.procs <kind> [arguments]`: runs one process and imports only that one's module."""

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from tradeproc.errors import EXIT_HALT
from tradeproc.procs import entry

KINDS = (
    "tokens",
    "portfolio",
    "keeper",
    "jobs",
    "postgres",
    "warden",
    "localbroker",
    "notifier",
    "link",
    "bars",
    "orders",
    "positions",
    "account",
    "trader",
)

# this many new objects may come between two collections while imports run; Python's usual 700 cost time for little
_SELDOM = 5000
_FEEDS = ("bars", "orders", "positions")


def module_of(kind: str) -> str:
    """Return the module whose `main` runs a kind of process; the three feeds share a folder."""
    return f"tradeproc.procs.feeds.{kind}" if kind in _FEEDS else f"tradeproc.procs.{kind}.main"


def main(arguments: Sequence[str]) -> int:
    """Run the process that the first argument names and return its exit code."""
    kind = arguments[0] if arguments else ""
    if kind not in KINDS:
        sys.stderr.write(f"tradeproc.procs: unknown kind {kind!r}; known: {', '.join(KINDS)}\n")
        return EXIT_HALT
    return entry.run(kind, arguments[1:], lambda rest: _start(kind, rest))


def _start(kind: str, arguments: Sequence[str]) -> int:
    # Imports leave little garbage, mostly the first form of each dataclass with slots, so it is looked for seldom. It
    # must be gone before the rest is frozen, because what is frozen as garbage stays for ever.
    usual = gc.get_threshold()
    gc.set_threshold(_SELDOM)
    module = importlib.import_module(module_of(kind))
    gc.collect()
    gc.freeze()
    gc.set_threshold(*usual)
    entry.give_back_free_memory()
    status = module.main(arguments)
    assert isinstance(status, int)
    return status


def leave(status: int) -> NoReturn:
    """End at once, without the interpreter's own shutdown.

    It takes every module apart and waits for threads that are not needed.
    """
    with contextlib.suppress(OSError):  # nobody reads our log any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
