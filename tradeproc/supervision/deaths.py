"""The last words of processes: why each died, kept in `run/deaths` for the warden and for people.

A process that ends badly writes its reason itself, before it is gone; for one that could not (killed, hung, crashed
in native code) the warden writes what is known. One file a process, the newest deaths first, replaced as a whole,
mode 0600.
"""

import contextlib
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType

import orjson

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.records import BadRecord, read_record
from tradeproc.domain.texts import one_line
from tradeproc.home import Home
from tradeproc.protocol.names import GroupName, ProcessName

log = logging.getLogger(__name__)

_KEPT = 10
_MOST_BYTES = 100_000
_UNSAFE = re.compile(r"[^\w.@+-]")
_MOST_STACKS = 65_536
# what `faulthandler` writes last: the thread that got the signal, its innermost frame first
_STACK = re.compile(
    r"Current thread 0x[0-9a-f]+ \(most recent call first\):\n"
    r'  File "([^"\n]*)", line (\d+) in (\S+)\n(?:  .*\n|\n|Extension modules: .*\n)*\Z'
)


@dataclass(frozen=True, slots=True)
class Death:
    """One death of a process; `at` is UTC nanoseconds, `reason` one line, `code` the exit code, -1 by a signal."""

    at: int
    pid: int
    reason: str
    code: int


def supervised_name(environment: Mapping[str, str]) -> ProcessName | None:
    """Return the name that supervisord gave a process, None for one that a person started by hand."""
    group, name = environment.get("SUPERVISOR_GROUP_NAME"), environment.get("SUPERVISOR_PROCESS_NAME")
    return GroupName(group).process(name) if group and name else None


def reason_of(error: BaseException) -> str:
    """Return in one line what an error was, and where it was raised."""
    try:
        told = one_line(str(error))
    except Exception:  # noqa: BLE001 - an error whose text is an error
        told = "with a text that cannot be read"
    place = _place(error.__traceback__)
    return one_line(f"{type(error).__name__}: {told or 'without a text'}{f' ({place})' if place else ''}")


def _place(traceback: TracebackType | None) -> str:
    last = None
    while traceback is not None:
        last, traceback = traceback, traceback.tb_next
    if last is None:
        return ""
    code = last.tb_frame.f_code
    return f"{Path(code.co_filename).name}, line {last.tb_lineno}, {code.co_name}"


def write_death(home: Home, process: str, death: Death) -> None:
    """Keep a death; when the disk is full that is only logged."""
    file = _file(home, process)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    kept = [each for each in read_deaths(home, process) if each.pid != death.pid][: _KEPT - 1]
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
            opened.write(orjson.dumps([asdict(each) for each in (death, *kept)]))
        fresh.replace(file)
    except OSError as error:
        log.warning("death_unwritten process=%s reason=%s", process, error)
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def read_deaths(home: Home, process: str) -> list[Death]:
    """Return the deaths of a process that are kept, the newest first; none where nothing can be read."""
    try:
        with _file(home, process).open("rb") as opened:
            found = orjson.loads(opened.read(_MOST_BYTES))
        deaths = [read_record(Death, each) for each in found]
    except (OSError, ValueError, TypeError, BadRecord):
        return []
    return [replace(death, reason=one_line(death.reason)) for death in deaths]


def stood_at(home: Home, process: str) -> str:
    """Return where a process stood when it was killed, from the stacks at the end of its log; empty without any."""
    try:
        with (home.log / f"{process}.log").open("rb") as opened:
            opened.seek(max(0, opened.seek(0, os.SEEK_END) - _MOST_STACKS))
            tail = opened.read().decode(errors="replace")
    except OSError:
        return ""
    found = _STACK.search(tail, max(0, tail.rfind("Current thread 0x")))
    return one_line(f"{Path(found[1]).name}, line {found[2]}, {found[3]}") if found else ""


def _file(home: Home, process: str) -> Path:
    return home.deaths / f"{_UNSAFE.sub('_', process)}.json"
