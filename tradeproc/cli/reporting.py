"""Errors and answers as commands print them."""

import json
import sys
from typing import Any

from tradeproc.desk.exit_status import ExitStatus, exit_of, one_line


def report(error: BaseException, *, as_json: bool) -> ExitStatus:
    """Print an error, for a program on stdout as JSON or for a person on stderr, and return the exit code."""
    code = exit_of(error)
    if as_json:
        print(json.dumps({"error": one_line(error), "exit": int(code)}))
    else:
        print(f"tradectl: {one_line(error)}", file=sys.stderr)
    return code


def print_json(value: Any) -> None:
    """Print an answer for a program: one JSON document on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))
