"""What every process does first and last: logs, a way to look inside, dying with its parent, exit codes.

    0    done, it was asked to stop
    70   a fault or an outage it could not ride out: restart it
    78   only a person can fix it: leave it down

SIGUSR1 writes the stacks of all threads to stderr. The process gets SIGTERM when its parent dies, so that no
process trades on without a supervisor.
"""

import ctypes
import faulthandler
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tradeproc.errors import EXIT_DONE, EXIT_FAULT, EXIT_HALT, Halt, TradeprocError, exit_code

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_TALKATIVE = ("httpx", "httpcore", "requests_oauthlib", "urllib3", "procrastinate")


class Orphaned(TradeprocError):
    """Our supervisor died before we could ask to die with it; the process ends."""

    def __init__(self) -> None:
        super().__init__("the supervisor that started this process is gone")


def run(kind: str, arguments: Sequence[str], main: Callable[[Sequence[str]], int]) -> int:
    """Run a process to its end and return its exit code; the reason of a bad end is one line on stderr."""
    prepare_logs()
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    try:
        die_with_parent()
        return main(arguments)
    except TradeprocError as error:
        event = "process_halted" if isinstance(error, Halt) else "process_failed"
        log.critical("%s kind=%s error=%s: %s", event, kind, type(error).__name__, " ".join(str(error).split()))
        return exit_code(error)
    except SystemExit as end:
        # argparse ends this way: a command line that nobody but a person can mend
        return end.code if end.code in (EXIT_DONE, EXIT_FAULT, EXIT_HALT) else _usage(kind, end)
    except KeyboardInterrupt:
        return EXIT_DONE
    except Exception:
        log.critical("process_crashed kind=%s", kind, exc_info=True)
        return EXIT_FAULT


def prepare_logs() -> None:
    """Send logs to stderr with UTC times; `TRADEPROC_LOG` sets the level (DEBUG, INFO, WARNING, ERROR)."""
    handler = logging.StreamHandler(sys.stderr)
    form = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    handler.setFormatter(form)
    level = logging.getLevelNamesMapping().get(os.environ.get("TRADEPROC_LOG", "INFO"), logging.INFO)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


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
    has_lost_supervisor = parent == 1 and "SUPERVISOR_ENABLED" in os.environ and not _is_supervisor(parent)
    if has_been_adopted or has_lost_supervisor:
        raise Orphaned


def _is_supervisor(pid: int) -> bool:
    # in a container supervisord itself may be process 1
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return True
    program = words[0].rpartition(b"/")[2]
    return b"supervisor" in program or (b"python" in program and any(b"supervisor" in word for word in words[1:3]))


def _usage(kind: str, end: SystemExit) -> int:
    log.critical("process_halted kind=%s error=BadArguments: exit %s", kind, end.code)
    return EXIT_HALT
