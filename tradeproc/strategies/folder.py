"""The folder of a strategy's file: helper modules beside it can be imported; files that others may write are refused.

`import helpers` and `from . import helpers` both work. A helper is looked for after all installed modules, and only
in the folder of the strategy that was loaded last, so that two strategies may each have their own `helpers.py`.
"""

import grp
import os
import pwd
import re
import stat
import sys
import zlib
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from tradeproc.errors import Halt


class Writable(Halt):
    """A strategy file that somebody else may change, and so run code with our rights; a person must mend its mode."""


class _Beside:
    """Finds modules in the folder of the strategy that was loaded last; Python asks it after all other finders."""

    folder: Path | None = None

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a top-level module in the folder.

        Raises:
            Writable: somebody else may write it.
        """
        if self.folder is None or path is not None:
            return None
        return _checked(PathFinder.find_spec(name, [str(self.folder)], target))


class _Relative:
    """Finds the modules of `from .`; Python asks it first, as the usual finder does not check who may write them."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a module of a strategy's folder; return None for any other name.

        Raises:
            Writable: somebody else may write it.
        """
        return _checked(PathFinder.find_spec(name, path, target)) if name.startswith(_PREFIX) else None


def _checked(found: ModuleSpec | None) -> ModuleSpec | None:
    if found is not None and found.origin is not None and found.has_location:
        refuse_writable(Path(found.origin))
    return found


_PREFIX = "tradeproc_strategy_"
_BESIDE, _RELATIVE = _Beside(), _Relative()


def enter(file: Path) -> str:
    """Make a strategy's folder the one that modules are imported from, and return the name for the file's module.

    Raises:
        Writable: somebody else may write the file or its folder.
    """
    file = file.resolve()
    refuse_writable(file)
    folder = file.parent
    if _BESIDE not in sys.meta_path:
        sys.meta_path.append(_BESIDE)
        sys.meta_path.insert(0, _RELATIVE)
    if _BESIDE.folder not in (None, folder):
        _forget(_BESIDE.folder, folder)
    _BESIDE.folder = folder
    package = f"{_PREFIX}{zlib.crc32(str(folder).encode()):08x}"
    if package not in sys.modules:
        made = ModuleType(package)
        made.__path__ = [str(folder)]
        sys.modules[package] = made
    return f"{package}.{re.sub(r'[^0-9a-zA-Z_]', '_', file.stem)}"


def _forget(old: Path | None, new: Path) -> None:
    """Remove the old folder's helpers that share a name with one in the new; their strategy keeps its references."""
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if origin is None or name.startswith(_PREFIX) or old is None or old not in Path(origin).parents:
            continue
        top = name.partition(".")[0]
        if (new / f"{top}.py").exists() or (new / top).is_dir():
            del sys.modules[name]


def refuse_writable(file: Path) -> None:
    """Refuse a file that others may change, by itself or through its folder.

    Raises:
        Writable: others may change it.
    """
    file = file.resolve()
    for path in (file, file.parent, file.parent / "__pycache__"):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        if found.st_uid not in (os.geteuid(), 0):
            raise Writable(f"{path} belongs to {_user(found.st_uid)}, who may change what runs here; make it yours")
        is_open = found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and not _is_ours_alone(found.st_gid))
        # in a folder with the sticky bit, as /tmp, others may add files but not replace ours
        if is_open and not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
            raise Writable(f"{path} may be written by others, and would run with your rights: chmod go-w {path}")


def _is_ours_alone(group: int) -> bool:
    """Tell whether a group has no member but us and root; many systems give each user such a group."""
    me = os.geteuid()
    try:
        members = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(group).gr_mem}
        others = {each.pw_uid for each in pwd.getpwall() if each.pw_gid == group}
    except KeyError:
        return False
    return members | others <= {me, 0}


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
