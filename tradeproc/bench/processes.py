"""What the kernel says about a process: private memory, and when it began."""

import os
import time
from pathlib import Path

_MILLION = 1_000_000


def private_mb(pid: int) -> float:
    """Return the private memory of a process in MB: what would become free if it ended.

    Only root may read this of a process that holds tokens; for others it is the resident memory less the shared.

    Raises:
        OSError: there is no such process.
    """
    kilobytes = 0
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except PermissionError:
        resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / _MILLION
    for line in told.splitlines():
        name, _, rest = line.partition(":")
        if name in ("Private_Clean", "Private_Dirty"):
            kilobytes += int(rest.split()[0])
    return kilobytes * 1024 / _MILLION


def began_at(pid: int) -> float:
    """Return when a process was started, in seconds since the epoch; exact to 10 ms.

    Raises:
        OSError: there is no such process.
    """
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    since_boot = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
