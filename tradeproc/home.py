"""Where things are on disk: everything hangs under one home, the folder that holds `supervisord.conf`.

    home/supervisord.conf   home/conf/*.toml   home/.venv/
    home/run/log/  home/run/groups/  home/run/postgres/  home/run/journal/  home/run/latches/  home/run/secrets/
    home/run/sockets/  home/run/deaths/  home/run/recordings/

Unix socket addresses are limited to 107 bytes, so a deep home reaches its sockets by a short name, see `folders.py`.
"""

import os
import re
from pathlib import Path

from tradeproc.domain.frozen import dataclass
from tradeproc.errors import Halt
from tradeproc.folders import (
    check_unwritable,
    forget_short_names,
    linked_name,
    make_private,
    short_name,
    write_private,
)

# longest socket file name we make is about 48 characters: "link-<login>.positions-<account>.pub"
_LONGEST_SOCKET_FOLDER = 56
# supervisord binds its socket under this name and eight characters more, then renames it
_LONGEST_SUPERVISOR_SOCKET = 98


# characters that have a meaning of their own in supervisord's configuration or in a pattern of file names
_ODD = re.compile(r"""[%"\[\]*?;\x00-\x1f\x7f]|\s\Z""")
_LONGEST_LINK = 90


class NoHome(Halt):
    """No folder with a `supervisord.conf`; caught by the entry points."""

    def __init__(self, looked_at: str) -> None:
        super().__init__(f"{looked_at}: no supervisord.conf here or above; run in a tradeproc folder or give --home")


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one installation."""

    root: Path

    @property
    def plain_root(self) -> Path:
        """The root as supervisord is to be told it: itself, or a link to it where its name would be misread."""
        return linked_name(self.root, _LONGEST_LINK) if _ODD.search(str(self.root)) else self.root

    @property
    def conf(self) -> Path:
        """Configuration that a person edits."""
        return self.root / "conf"

    @property
    def run(self) -> Path:
        """All that tradeproc writes."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """One log file a process, rotated by supervisord."""
        return self.run / "log"

    @property
    def groups(self) -> Path:
        """Generated supervisord groups, included by `supervisord.conf`."""
        return self.run / "groups"

    @property
    def postgres(self) -> Path:
        """Data folder of the embedded database."""
        return self.run / "postgres"

    @property
    def journal(self) -> Path:
        """Rows that could not reach the database yet."""
        return self.run / "journal"

    @property
    def recordings(self) -> Path:
        """What the engine of each trader was told, so that it can be replayed."""
        return self.run / "recordings"

    @property
    def latches(self) -> Path:
        """Latches that are not in the database yet; only the keeper writes them, every process may read them."""
        return self.run / "latches"

    @property
    def deaths(self) -> Path:
        """The last words of processes that died, one file each."""
        return self.run / "deaths"

    @property
    def secrets(self) -> Path:
        """Encryption key, and encrypted what renews each login (refresh token or password); mode 0700."""
        return self.run / "secrets"

    @property
    def sockets(self) -> Path:
        """Folder of all unix sockets (bus, supervisord), mode 0700; a short name of it where its path is too long."""
        return short_name(self.run / "sockets", _LONGEST_SOCKET_FOLDER)

    @property
    def supervisor_socket(self) -> Path:
        """Socket of supervisord: where `supervisord.conf` says, or in `sockets` where that would be too long."""
        near = self.run / "sockets" / "supervisor.sock"
        return near if len(os.fsencode(near)) <= _LONGEST_SUPERVISOR_SOCKET else self.sockets / near.name

    def make_folders(self) -> None:
        """Create what is missing, private to the user, and tell supervisord where its socket is.

        Raises:
            UnsafeFolder: a folder or file is not ours alone, so that somebody else may have laid it there.
        """
        code = [self.root / name for name in ("tradeproc", ".venv", ".venv/bin", ".venv/lib")]
        check_unwritable(self.root, self.root / "supervisord.conf", *code, self.conf, *self.conf.rglob("*"))
        # the embedded server looks after its own folder, which belongs to another user when we are root
        make_private(self.run, self.postgres, self.postgres.with_suffix(".new"))
        for folder in (self.log, self.groups, self.journal, self.latches, self.secrets, self.run / "sockets"):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._tell_supervisord()

    def keep_names(self) -> None:
        """Make the links with short and plain names anew if somebody cleaned the temporary folder."""
        _ = self.sockets, self.plain_root

    def forget_short_sockets(self) -> None:
        """Remove the links with short and plain names; only when nothing runs that may need them."""
        for folder in (self.root, self.run / "sockets", self.postgres):
            forget_short_names(folder)

    def _tell_supervisord(self) -> None:
        told = self.groups / "sockets.conf"
        if self.supervisor_socket.is_relative_to(self.run):
            told.unlink(missing_ok=True)
        else:
            write_private(told, f"[unix_http_server]\nfile={self.supervisor_socket}\n")


def find_home(given: str | None = None) -> Home:
    """Return the home: the one given, else `TRADEPROC_HOME`, else the nearest folder above the current one.

    Raises:
        NoHome: there is no `supervisord.conf` there.
    """
    named = given or os.environ.get("TRADEPROC_HOME")
    if named:
        root = Path(named).resolve()
        if not (root / "supervisord.conf").is_file():
            raise NoHome(str(root))
        return Home(root)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "supervisord.conf").is_file():
            return Home(folder)
    raise NoHome(str(here))
