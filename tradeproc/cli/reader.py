"""Whoever reads our output may stop: `tradectl … | head` ends without a traceback, with the command's own exit code.

What is written after that is dropped, so that a command that acts comes to its end. What prints without an end asks
`is_gone` and stops.
"""

import contextlib
import io
import os
import select
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_COULD_NOT_WRITE = 1


class _Dropping(io.FileIO):
    """A standard stream that drops what nobody reads any more."""

    error: OSError | None = None

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write, or pretend to; what goes wrong otherwise, as a full disk, is remembered."""
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            pass
        except OSError as error:
            self.error = error
        return memoryview(data).nbytes


def run(main: Callable[[], int]) -> int:
    """Run a program and return its exit code, whether or not its output is read to the end.

    Output that cannot be written for another reason, as a full disk, is one line on stderr and code 1.
    """
    before = sys.stdout, sys.stderr
    sys.stdout = _stream(1, sys.stdout, sys.__stdout__)
    sys.stderr = _stream(2, sys.stderr, sys.__stderr__)
    try:
        code = main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
        sys.stdout, sys.stderr = before
    if isinstance(raw, _Dropping) and raw.error is not None:
        with contextlib.suppress(OSError):
            os.write(2, f"the output could not be written: {raw.error.strerror}\n".encode())
        return code or _COULD_NOT_WRITE
    return code


def is_gone() -> bool:
    """Tell whether nobody reads our standard output any more; only a pipe or a socket can tell."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _stream(descriptor: int, present: TextIO | None, original: TextIO | None) -> TextIO:
    """Return what a standard stream is to be; what the terminal's encoding lacks is shown as an escape."""
    if present is None:
        # we were started with it closed
        return open(os.devnull, "w")
    if present is not original:
        # a test has put another in its place
        return present
    raw = _Dropping(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=present.encoding,
        errors="backslashreplace",
        line_buffering=descriptor == 2 or raw.isatty(),
    )
