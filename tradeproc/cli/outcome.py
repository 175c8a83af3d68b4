"""What a command found: a value for programs and something to look at for people."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from rich.console import RenderableType

from tradeproc.desk.exit_status import ExitStatus
from tradeproc.desk.installation import Desk


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a command: `value` is printed with `--json`, `shown` without; None prints nothing."""

    value: Any
    shown: RenderableType | None = None
    exit: ExitStatus = ExitStatus.OK


Command = Callable[[Desk, Namespace], Outcome]
SubParsers: TypeAlias = "_SubParsersAction[ArgumentParser]"


def positive(word: str) -> int:
    """Return a whole number above 0 that a person typed.

    Raises:
        ArgumentTypeError: it is something else; argparse tells it and ends with code 2.
    """
    if not word.isdecimal() or int(word) < 1:
        raise ArgumentTypeError(f"must be a whole number above 0, not {word!r}")
    return int(word)
