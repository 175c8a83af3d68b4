"""Runs a target over inputs that follow from a seed. An input is known by target, seed and number, and comes again.

A finding is an exception that is not one of the parser's own, an assertion of the target that does not hold, or an
input that takes more than some seconds of processor time. One place in the code is one finding, however often hit.
"""

import logging
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType, TracebackType
from typing import Any

LONGEST_SECONDS = 5.0
_SHOWN = 2000
_ROOT = str(Path(__file__).parents[2])


class TookTooLong(Exception):
    """An input that keeps its parser busy; counted as a finding."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parser under fire: `make` draws an input, `read` parses it and asserts what must hold of the result."""

    name: str
    make: Callable[[Random], Any]
    read: Callable[[Any], object]
    own: tuple[type[Exception], ...] = ()


@dataclass(slots=True)
class Finding:
    """One fault: where it was raised, how often, and the number of the first input that showed it."""

    what: str
    first: int
    shown: str
    trace: str
    count: int = 1


@dataclass(slots=True)
class Report:
    """What came of a run; `refused` inputs ended in an error of the parser's own."""

    target: str
    seed: int
    inputs: int = 0
    refused: int = 0
    seconds: float = 0.0
    findings: dict[str, Finding] = field(default_factory=dict)

    def line(self) -> str:
        """Return it as one line."""
        rate = self.inputs / self.seconds if self.seconds else 0
        return (
            f"{self.target:14} seed {self.seed}: {self.inputs:>9,} inputs, {self.refused:>9,} refused, "
            f"{len(self.findings)} findings, {self.seconds:.0f} s ({rate:,.0f}/s)"
        )

    def story(self) -> str:
        """Return all findings with their inputs."""
        return "\n".join(
            f"{each.what} ({each.count} times)\n"
            f"  again: scripts/fuzz {self.target} --seed {self.seed} --from {each.first} --count 1\n"
            f"  input: {each.shown}\n{each.trace}"
            for each in self.findings.values()
        )


def run(target: Target, *, seed: int = 1, first: int = 0, count: int) -> Report:
    """Give a target `count` inputs, from number `first` on."""
    report, random, began = Report(target.name, seed), Random(), time.process_time()
    with _quiet(), _limited():
        for number in range(first, first + count):
            random.seed(f"{target.name} {seed} {number}")
            drawn = target.make(random)
            signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_SECONDS)
            try:
                target.read(drawn)
            except target.own:
                report.refused += 1
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                _note(report, number, drawn, error)
            report.inputs += 1
    report.seconds = time.process_time() - began
    return report


def _note(report: Report, number: int, drawn: object, error: Exception) -> None:
    what = f"{type(error).__name__} at {_place(error.__traceback__)}"
    found = report.findings.get(what)
    if found is not None:
        found.count += 1
        return
    trace = "".join(traceback.format_exception(error)[-6:])
    report.findings[what] = Finding(f"{what}: {error}"[:400], number, repr(drawn)[:_SHOWN], trace)


def _place(trace: TracebackType | None) -> str:
    """Return the innermost line of ours that was running."""
    frames = [frame for frame in traceback.extract_tb(trace) if frame.filename.startswith(_ROOT)]
    inner = [frame for frame in frames if ".venv" not in frame.filename]
    return f"{inner[-1].filename.removeprefix(_ROOT + '/')}:{inner[-1].lineno}" if inner else "?"


@contextmanager
def _quiet() -> Iterator[None]:
    """Log nothing meanwhile: a parser that warns of a million inputs would fill the disk."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _limited() -> Iterator[None]:
    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise TookTooLong(f"more than {LONGEST_SECONDS:g} s of processor time")

    former = signal.signal(signal.SIGVTALRM, too_long)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, former)
