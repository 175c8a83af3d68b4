"""One installation as the command line sees it: its home, its configuration, and the processes on its bus."""

import fcntl
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar, overload

from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.config import Config, load
from tradeproc.config.file import DATABASE_URL
from tradeproc.desk.exit_status import CommandFailed, NotFound, NotRunning, WrongUsage
from tradeproc.desk.listed import SessionListed, listed
from tradeproc.domain.session import is_session_number
from tradeproc.errors import Outage, Refusal, TradeprocError
from tradeproc.home import Home
from tradeproc.procs.session_start import database_of
from tradeproc.protocol import names
from tradeproc.protocol.definitions import Method, NoBody
from tradeproc.protocol.session_messages import SESSIONS
from tradeproc.store.embedded import database_url
from tradeproc.supervision.client import Supervisor

Q = TypeVar("Q")
A = TypeVar("A")

ANSWER_SECONDS = 5.0


class Desk:
    """Asks the processes of one home; a context manager that closes its sockets."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.directory = Directory(home.sockets)

    @cached_property
    def client(self) -> Client:
        """Return the bus client, made at first use."""
        return Client(self.directory)

    @cached_property
    def config(self) -> Config:
        """Return the configuration, read at first use."""
        return load(self.home)

    @property
    def database_url(self) -> str:
        """Return the url of the database, that of the embedded one when the configuration cannot be read."""
        try:
            return database_of(self.config, self.home)
        except TradeprocError:
            return os.environ.get(DATABASE_URL) or database_url(self.home)

    @cached_property
    def supervisor(self) -> Supervisor:
        """Return the way to supervisord."""
        return Supervisor(self.home)

    @overload
    def ask(self, process: str, method: Method[Q, A], question: Q, *, seconds: float = ANSWER_SECONDS) -> A: ...

    @overload
    def ask(
        self, process: str, method: str, question: Mapping[str, Any] | None = None, *, seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any]: ...

    def ask(
        self, process: str, method: Method[Any, Any] | str, question: Any = None, *, seconds: float = ANSWER_SECONDS
    ) -> Any:
        """Return what a process answers.

        Raises:
            NotRunning: there was no answer; the text says what to do.
            CommandFailed: the process refused; the text is its own.
        """
        if not self.is_alive(process):
            if not self.supervisor.is_up():
                raise NotRunning("the desk is not running; scripts/tradectl up starts it")
            raise NotRunning(f"{process} is not running; see scripts/tradectl status and run/log")
        try:
            if isinstance(method, str):
                return self.client.call(process, method, dict(question or {}), seconds)
            return self.client.call(process, method, question, seconds)
        except Outage as error:
            # the process may have answered that it cannot, as when its database is away: the text is the bus's own
            raise NotRunning(f"{error}; see scripts/tradectl status and run/log") from None
        except Refusal as error:
            raise CommandFailed(str(error)) from None

    def is_alive(self, process: str) -> bool:
        """Tell whether a process is there: it holds the lock of its name, which a killed one has lost."""
        try:
            with self.directory.path(process, "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def processes(self) -> list[str]:
        """Return the names of the processes that are there."""
        return [process for process in self.directory.processes() if self.is_alive(process)]

    def sessions(self) -> list[SessionListed]:
        """Return every session as the keeper tells it."""
        return [listed(each) for each in self.ask(names.KEEPER, SESSIONS, NoBody()).sessions]

    def traders(self) -> list[int]:
        """Return the sessions whose traders are there, without asking anybody."""
        sessions = (names.ProcessName(each).trader_of for each in self.processes())
        return sorted(session for session in sessions if session is not None)

    def session(self, named: str) -> SessionListed:
        """Return the session with this number or name.

        Raises:
            NotFound: there is none.
            WrongUsage: several have this name; a command must not choose whose position it closes.
        """
        rows = self.sessions()
        found = [row for row in rows if str(row.id) == named] or [row for row in rows if row.name == named]
        if not found:
            raise NotFound("session", named, "scripts/tradectl sessions lists them")
        if len(found) > 1:
            them = ", ".join(f"{row.id} ({row.state})" for row in sorted(found, key=lambda row: row.id))
            raise WrongUsage(f"several sessions are called {named}: {them}; give the number of the one you mean")
        return found[0]

    def session_number(self, named: str) -> int:
        """Return the number of a session; a number counts as it is while nobody can look it up.

        Raises:
            NotRunning: it is a name, and who could look it up is away.
            NotFound: there is none.
            WrongUsage: several have this name.
        """
        is_number = is_session_number(named)
        if is_number and int(named) in self.traders():
            return int(named)
        try:
            return self.session(named).id
        except NotRunning as away:
            if is_number:
                return int(named)
            hint = "; a name must be looked up, the session's number need not" if self.traders() else ""
            raise NotRunning(f"{away}{hint}") from None

    def close(self) -> None:
        """Close the sockets that were opened."""
        if "client" in self.__dict__:
            self.client.close()

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
