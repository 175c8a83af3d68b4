"""`scripts/healthcheck` for cron: silent and 0 when well; otherwise one line a problem, exit 1, 2 or 3.

With `--ping` it also tells a service outside that it ran. A ping that nobody takes is a line on standard error, which
cron mails; the exit code stays the desk's own.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from tradeproc.cli import reader
from tradeproc.cli.ping import address, ping
from tradeproc.clock import wall_ns
from tradeproc.desk.collector import Collector
from tradeproc.desk.exit_status import one_line
from tradeproc.desk.health import evaluate, exit_code
from tradeproc.desk.installation import Desk
from tradeproc.domain.calendar_table import CHECKED
from tradeproc.domain.records import BadValue
from tradeproc.domain.texts import shown
from tradeproc.errors import TradeprocError
from tradeproc.folders import keep_to_ourselves
from tradeproc.home import find_home

UNKNOWN = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Look at the desk, print its problems, and return the exit code."""
    return reader.run(partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/healthcheck",
        description="Silent and 0 when well; else one line a problem.",
        epilog="exit codes: 0 well, 1 warning, 2 critical, 3 unknown; of several 2 wins, then 3. "
        "cron: * * * * * /path/to/scripts/healthcheck. "
        f"The exchange calendar was last checked on {CHECKED}.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, also when well")
    parser.add_argument("--home", metavar="FOLDER", help="the folder of supervisord.conf (default: the nearest)")
    pinged = parser.add_mutually_exclusive_group()
    pinged.add_argument("--ping", metavar="URL", help="tell a dead man's switch: POST URL/<exit code> within 5 s")
    pinged.add_argument("--ping-file", metavar="FILE", help="the same; FILE has the URL, yours with mode 0600")
    keep_to_ourselves()
    options = parser.parse_args(argv)
    try:
        url = address(options.ping, options.ping_file, Path.cwd())
    except BadValue as bad:
        parser.error(f"--ping: {bad.problem}")
    code, lines = _look(options)
    if url and (failed := ping(url, code, "\n".join(lines))):
        print(f"healthcheck: the ping was not taken: {failed}", file=sys.stderr)
    return code


def _look(options: argparse.Namespace) -> tuple[int, list[str]]:
    """Print the problems; return the exit code and the problems as lines."""
    try:
        with Desk(find_home(options.home)) as desk, closing(Collector(desk)) as collector:
            problems = evaluate(collector.collect(), collector.thresholds, wall_ns())
    except TradeprocError as error:
        line = f"UNKNOWN {one_line(error)}"
        print(json.dumps({"exit": UNKNOWN, "error": one_line(error)}) if options.json else line)
        return UNKNOWN, [line]
    code, lines = exit_code(problems), [shown(str(problem)) for problem in problems]
    if options.json:
        rows = [{"level": each.level.value, "subject": each.subject, "text": each.text} for each in problems]
        print(json.dumps({"exit": code, "problems": rows, "calendar_checked": CHECKED}, indent=2))
    else:
        for line in lines:
            print(line)
    return code, lines


if __name__ == "__main__":
    sys.exit(main())
