"""`scripts/tradectl`: ask and command the running desk over ZeroMQ.

Every command takes `--json` (one JSON document on stdout) and leaves with a stable exit code, see `exit_status.py`.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from functools import partial

from rich.console import Console

from tradeproc.cli import reader, reporting
from tradeproc.cli.commands import (
    acknowledge,
    adopting,
    desks,
    explaining,
    localbroker,
    login,
    portfolio,
    records,
    replaying,
    rolling,
    sessions,
    tape,
    trading,
    upgrade,
    watching,
)
from tradeproc.desk.exit_status import ExitStatus
from tradeproc.desk.installation import Desk
from tradeproc.errors import TradeprocError
from tradeproc.folders import keep_to_ourselves
from tradeproc.home import find_home

# a program that reads a pipe gets everything: nothing is cut, wrapped or left out
_PIPE_WIDTH = 10_000
_MODULES = (
    desks,
    upgrade,
    sessions,
    portfolio,
    trading,
    watching,
    records,
    explaining,
    replaying,
    rolling,
    acknowledge,
    adopting,
    login,
    localbroker,
    tape,
)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--json", action="store_true", help="print one JSON document for programs")
    common.add_argument("--home", metavar="FOLDER", help="the folder of supervisord.conf (default: the nearest)")
    parser = argparse.ArgumentParser(
        prog="tradectl",
        description="Ask and command the running desk.",
        epilog="exit codes: 0 ok, 1 refused or failed, 2 wrong usage, 3 not running or no answer, 4 not found",
        parents=[common],
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    for module in _MODULES:
        module.add(commands, [common])
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return reader.run(partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a name with odd bytes is shown with them escaped, and does not end the command
        sys.stdout.reconfigure(errors="backslashreplace")
    keep_to_ourselves()
    arguments = make_parser().parse_args(argv)
    as_json = getattr(arguments, "json", False)
    arguments.json = as_json
    try:
        with Desk(find_home(getattr(arguments, "home", None))) as desk:
            outcome = arguments.command(desk, arguments)
    except TradeprocError as error:
        return reporting.report(error, as_json=as_json)
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    if as_json and outcome.value is not None:
        reporting.print_json(outcome.value)
    elif not as_json and outcome.shown is not None:
        Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(outcome.shown)
    return int(outcome.exit)


if __name__ == "__main__":
    sys.exit(main())
