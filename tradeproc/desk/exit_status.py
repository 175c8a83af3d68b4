"""Exit codes of the commands, and how an error becomes one line with a remedy.

0 ok    1 refused or failed    2 wrong usage    3 not running or no answer    4 not found    130 Ctrl-C
"""

import shlex
from enum import IntEnum

from tradeproc.domain.texts import shown
from tradeproc.errors import Outage, Refusal, TradeprocError


class ExitStatus(IntEnum):
    """What a command leaves with; these numbers are kept stable."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    NOT_FOUND = 4
    INTERRUPTED = 130


class NotFound(Refusal):
    """The thing that a person named does not exist; ends the command with code 4."""

    def __init__(self, kind: str, name: object, remedy: str) -> None:
        super().__init__(f"there is no {kind} {name}; {remedy}")


class WrongUsage(Refusal):
    """The arguments do not fit together; ends the command with code 2."""


class CommandFailed(Refusal):
    """The command was understood and could not be done; ends the command with code 1."""


class NotRunning(Outage):
    """The desk, or the process that should answer, is not there; ends the command with code 3."""


def supervisorctl(action: str, *programs: str) -> str:
    """Return a command for supervisord as it works when it is pasted in the home folder."""
    return f".venv/bin/supervisorctl -c supervisord.conf {shlex.join((action, *programs))}"


def exit_of(error: BaseException) -> ExitStatus:
    """Return the exit code of an error that a command ended with."""
    if isinstance(error, NotFound):
        return ExitStatus.NOT_FOUND
    if isinstance(error, WrongUsage):
        return ExitStatus.USAGE
    if isinstance(error, Outage):
        return ExitStatus.NOT_RUNNING
    return ExitStatus.FAILED


def one_line(error: BaseException) -> str:
    """Return an error as one line for a person; unexpected ones carry their type."""
    text = shown(" ".join(str(error).split()))
    if isinstance(error, TradeprocError):
        return text or type(error).__name__
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
