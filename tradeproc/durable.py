"""Files that outlive a loss of power: nothing counts as written before the disk has the file and its name.

Without it, a file that was written under another name and moved into place may be empty after a loss of power.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path


def write_durably(path: Path, content: bytes, set_aside: Callable[[], None] = lambda: None) -> None:
    """Replace a file as a whole, private to the user; the disk has the new content when this returns.

    The file may have one writer only: the new content is written under a fixed name first, so that what a killed
    writer left half written is overwritten. `set_aside` is called when the disk has the new content and the old one
    is still in place, so that it can be saved.

    Raises:
        OSError: the disk is full or broken. The old content is still in place, or the new one where only its folder
            could not be synced.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        set_aside()
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    sync_folder(path.parent)


def append_durably(path: Path, content: bytes) -> None:
    """Append to a file, private to the user; the disk has it when this returns.

    Raises:
        OSError: the disk is full or broken; a part may be there.
    """
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_folder(path.parent)


def remove_durably(path: Path) -> None:
    """Remove a file, if it is there, so that it does not come back with the power.

    Raises:
        OSError: it cannot be removed.
    """
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk.

    Raises:
        OSError: the disk is broken.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
