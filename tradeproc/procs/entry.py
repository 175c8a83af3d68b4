"""What every process does at its start and its end: logs, stacks on demand, dying with its parent, exit codes.

    0    done, it was asked to stop
    70   a fault or an outage it could not ride out: restart it
    78   only a person can fix it: leave it down

What it makes is private to the user, and it leaves no core file. SIGUSR1 writes the stacks of all threads to stderr.
The process gets SIGTERM when its parent dies, so that no process trades on without a supervisor.
"""

import ctypes
import faulthandler
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tradeproc.clock import wall_ns
from tradeproc.domain.texts import one_line
from tradeproc.errors import EXIT_DONE, EXIT_FAULT, EXIT_HALT, Halt, Outage, TradeprocError, exit_code
from tradeproc.folders import keep_to_ourselves
from tradeproc.home import NoHome, find_home
from tradeproc.logs import Throttled
from tradeproc.supervision.deaths import Death, reason_of, supervised_name, write_death

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
# processes whose memory has tokens, a client's secret or the addresses of alarms
_HOLD_TOKENS = frozenset({"tokens", "notifier", "link", "bars", "orders", "positions"})
_DESCRIPTORS = 65_536
# After this long a thread of Python lets another one go on that waits. With Python's usual 5 ms an order waited about
# 6 ms whenever a thread beside the loop was busy, for example reading a long list of orders; now it waits 0.3 ms.
_SWITCH_SECONDS = 0.0001
_TALKATIVE = ("httpx", "httpcore", "requests_oauthlib", "urllib3", "procrastinate")


class Orphaned(Outage):
    """Our supervisor died before we could ask to die with it; the process ends."""

    def __init__(self) -> None:
        super().__init__("the supervisor that started this process is gone")


def run(kind: str, arguments: Sequence[str], main: Callable[[Sequence[str]], int]) -> int:
    """Run a process to its end and return its exit code; the reason of a bad end is one line on stderr."""
    keep_to_ourselves()
    sys.setswitchinterval(_SWITCH_SECONDS)
    if kind in _HOLD_TOKENS:
        hide_memory()
    allow_connections()
    prepare_logs()
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    try:
        die_with_parent()
        code = main(arguments)
    except Orphaned as error:
        log.critical("process_failed kind=%s error=Orphaned: %s", kind, error)
        return exit_code(error)
    except TradeprocError as error:
        event = "process_halted" if isinstance(error, Halt) else "process_failed"
        log.critical("%s kind=%s error=%s: %s", event, kind, type(error).__name__, " ".join(str(error).split()))
        return _leave_word(exit_code(error), reason_of(error))
    except SystemExit as end:
        # argparse ends this way: only a person can mend a wrong command line
        return end.code if end.code in (EXIT_DONE, EXIT_FAULT, EXIT_HALT) else _usage(kind, arguments, end)
    except KeyboardInterrupt:
        return EXIT_DONE
    except Exception as error:
        log.critical("process_crashed kind=%s", kind, exc_info=True)
        return _leave_word(EXIT_FAULT, reason_of(error))
    return code if code == EXIT_DONE else _leave_word(code, _LAST.said or "it did not say why")


class _LastError(logging.Handler):
    """Remembers the last error that was logged: it is the reason when a process ends badly without an exception."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.said = record.getMessage()


_LAST = _LastError()


def _leave_word(code: int, reason: str) -> int:
    """Write down why we die, for the warden and for people.

    A process that was started by hand has told its person already, and writes nothing.
    """
    name = supervised_name(os.environ)
    if name is not None:
        try:
            write_death(find_home(), name, Death(wall_ns(), os.getpid(), one_line(reason), code))
        except NoHome:
            log.warning("death_unwritten kind=%s", name)
    return code


def prepare_logs() -> None:
    """Send logs to stderr with UTC times; `TRADEPROC_LOG` sets the level (DEBUG, INFO, WARNING, ERROR)."""
    level = logging.getLevelNamesMapping().get(os.environ.get("TRADEPROC_LOG", "INFO"), logging.INFO)
    logging.basicConfig(level=level, handlers=[Throttled(), _LAST], force=True)
    logging.captureWarnings(True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def hide_memory() -> None:
    """Let no other process of this user read our memory, nor the kernel hand it to a core dump collector; Linux only.

    After this only root can attach a debugger to us; the stacks that SIGUSR1 writes need no such right.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def give_back_free_memory() -> None:
    """Give the kernel the memory that is free within our heap, as after imports; only the GNU library can do this."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def allow_connections() -> None:
    """Raise the limit of file descriptors as far as the system allows: ZeroMQ aborts a process that has none left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies; Linux only.

    The kernel means the parent's thread that started us, so a parent must start us from a thread that stays.

    Raises:
        Orphaned: the parent is gone already.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    has_been_adopted = os.getppid() != parent
    # a process that lost its parent belongs to process 1; in a container that may be supervisord itself
    has_lost_supervisor = parent == 1 and "SUPERVISOR_ENABLED" in os.environ and not is_supervisor(_words(1))
    if has_been_adopted or has_lost_supervisor:
        raise Orphaned


def is_supervisor(words: Sequence[str]) -> bool:
    """Tell whether a command line is supervisord's own, not one that only starts it."""
    program = words[0].rpartition("/")[2]
    return "supervisor" in program or ("python" in program and any("supervisor" in word for word in words[1:3]))


def _words(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")


def _usage(kind: str, arguments: Sequence[str], end: SystemExit) -> int:
    log.critical("process_halted kind=%s error=BadArguments: exit %s", kind, end.code)
    return _leave_word(EXIT_HALT, f"BadArguments: {kind} {' '.join(arguments)}")
