"""Folders and files that are ours alone, whatever the umask, and short names for folders of sockets.

Everything under `run` is executed or believed by the trading user, so a file that another user could have put there
is refused, with one line that says what to do. What is ours and only readable by others is closed to them.
"""

import contextlib
import grp
import hashlib
import os
import pwd
import resource
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tradeproc.errors import Halt

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class UnsafeFolder(Halt):
    """A folder or file that other users own or could write; caught by the entry points."""

    def __init__(self, path: Path, trouble: str) -> None:
        self.path = path
        super().__init__(f"{path}: {trouble}")


def keep_to_ourselves() -> None:
    """Let whatever this process makes from now on be private to the user; each entry point calls it first.

    Its memory, which may hold passwords and tokens, is never written to a core file.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def make_private(folder: Path, *but: Path) -> None:
    """Make a folder if there is none; it and all in it are private to the user afterwards, except the paths in `but`.

    Raises:
        UnsafeFolder: something in it is a link, belongs to somebody else, or could be written by others.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    _close(folder, True, but)


def _close(path: Path, could_reach: bool, but: tuple[Path, ...]) -> None:
    """Close a file or a folder to others; `could_reach` tells whether they could reach it until now."""
    found = path.lstat()
    mode = found.st_mode
    if stat.S_ISLNK(mode):
        raise UnsafeFolder(path, "must not be a link; remove it")
    _check_owner(path, found)
    can_be_written = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    if could_reach and can_be_written and _others_write(found):
        raise UnsafeFolder(path, f"other users may write it; look at what they left, then: chmod -R go= {path}")
    if mode & _OTHERS:
        path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
    if stat.S_ISDIR(mode):
        could_enter = could_reach and bool(mode & (stat.S_IXGRP | stat.S_IXOTH))
        for inside in sorted(set(path.iterdir()) - set(but)):
            with contextlib.suppress(FileNotFoundError):  # a temporary file that has just gone
                _close(inside, could_enter, but)


def check_unwritable(*paths: Path) -> None:
    """Check that nobody but us and the system's administrator can change what a person configured.

    When we are root, a file may belong to anybody. A path that does not exist is passed over.

    Raises:
        UnsafeFolder: somebody else owns one of them or may write it.
    """
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            continue  # a missing file is reported by the code that needs it
        if found.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
            raise UnsafeFolder(path, f"belongs to {_name(found.st_uid)}; it must be yours: chown it")
        if _others_write(found):
            raise UnsafeFolder(path, f"other users may write it; look at what they wrote, then: chmod go-w {path}")


def write_private(path: Path, text: str) -> None:
    """Write a file in one step, mode 0600, never through a link."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def short_name(folder: Path, longest: int) -> Path:
    """Return a folder whose name has at most `longest` bytes and that is this one: itself, or a link to it.

    The link is in the temporary folder, where another user may have taken its name before us. So a link counts only
    when it is ours and leads to this folder, a second one gets another name, and no link of others is ever followed.
    """
    return folder if len(os.fsencode(folder)) <= longest else linked_name(folder, longest)


def linked_name(folder: Path, longest: int) -> Path:
    """Return a link to a folder, with at most `longest` bytes, as `short_name` says.

    Raises:
        UnsafeFolder: the temporary folders take no link.
    """
    for name in _names(folder, longest):
        for found in (name, *sorted(name.parent.glob(f"{name.name}-*"))):
            if _leads_here(found, folder):
                return found
    for name in _names(folder, longest):
        for wanted in (name, *(name.with_name(f"{name.name}-{secrets.token_hex(4)}") for _ in range(3))):
            with contextlib.suppress(OSError):
                wanted.symlink_to(folder)
                return wanted
    raise UnsafeFolder(
        folder, f"needs a link in {tempfile.gettempdir()}, which takes none; move the home to a short and plain path"
    )


def forget_short_names(folder: Path) -> None:
    """Remove the links to a folder that `short_name` made."""
    for name in _names(folder, 0):
        for found in (name, *name.parent.glob(f"{name.name}-*")):
            if _leads_here(found, folder):
                found.unlink(missing_ok=True)


def _names(folder: Path, longest: int) -> Iterator[Path]:
    """Yield the paths a link may have: in the usual temporary folder, unless that path is too long, and in /tmp."""
    name = f"tradeproc-{os.geteuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
    usual = Path(tempfile.gettempdir()) / name
    room = len("-12345678")
    if longest == 0 or len(os.fsencode(usual)) + room <= longest:
        yield usual
    if usual.parent != Path("/tmp"):  # noqa: S108
        yield Path("/tmp") / name  # noqa: S108


def _leads_here(link: Path, folder: Path) -> bool:
    try:
        return link.lstat().st_uid == os.geteuid() and link.readlink() == folder
    except OSError:
        return False


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise UnsafeFolder(
            path,
            f"belongs to {_name(found.st_uid)}, not to {_name(os.geteuid())}; "
            "run tradeproc as the user that owns its home, or remove it",
        )


def _others_write(found: os.stat_result) -> bool:
    """Tell whether others may write: everybody, or a group that is not the owner's own."""
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_own_group(found.st_uid, found.st_gid)


def _is_own_group(uid: int, gid: int) -> bool:
    """Tell whether a group has its user's name and nobody else in it, as most systems give one to each user."""
    try:
        user, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except KeyError:
        return False
    return gid == user.pw_gid and group.gr_name == user.pw_name and not set(group.gr_mem) - {user.pw_name}


def _name(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
