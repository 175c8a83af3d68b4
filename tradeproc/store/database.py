"""One connection that comes back by itself, and the only place where psycopg's errors become ours.

Nobody waits long: a connection is made on a thread of its own for which the caller waits a moment only, answers have
a deadline, and after a failed attempt the next ones fail at once until a short pause is over. A statement that got
no answer may have been done or not; every write of this package can be repeated without harm, so the caller may
simply do it again later.
"""

import select
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar, cast

import orjson
import psycopg
from psycopg.abc import PQGen
from psycopg.pq import ExecStatus
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from psycopg.waiting import Ready, Wait

from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.domain.backoff import Backoff
from tradeproc.domain.texts import storable
from tradeproc.errors import Outage, Refusal
from tradeproc.store.background import begun
from tradeproc.store.statements import statements

T = TypeVar("T")
Parameters = Mapping[str, object]

# a server that refuses at once costs next to nothing to ask; one that hangs blocks the caller for seconds each time
_PAUSES = Backoff(0.25, 5.0)
_MOST_COUNTED_AFTER_REFUSAL = 1  # so the pause is half a second at most
_ATTEMPT_SECONDS = 5.0
# SQL states of a server that cannot serve now: no connection (08), standby (25006), out of resources (53), shutting
# down (57), a fault of its system (58); or a missing table (42P01), while another process makes the schema
_OUTAGES = ("08", "25006", "42P01", "53", "57", "58")


class DatabaseDown(Outage):
    """The database cannot be reached or did not answer in time; caught by the loop that wanted to write or read."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"database down: {reason}")


class StatementRefused(Refusal):
    """The database does not take a statement: a wrong row, or a schema that somebody changed.

    Caught by whoever wrote or read: a row is put aside with an alarm, and no exit depends on it.
    """

    def __init__(self, statement: str, reason: str) -> None:
        self.statement, self.reason = statement, reason
        super().__init__(f"database refused {statement}: {reason}")


class BoundedConnection(psycopg.Connection[DictRow]):
    """A connection with deadlines: waiting for a suspended server ends in time, as waiting for a dead one does."""

    answer_seconds = 2.0
    is_doomed = False

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._ready: set[str] = set()

    def hear(self, notice: psycopg.errors.Diagnostic) -> None:
        """Note the message with which the server ends; an idle connection gets it before it is closed."""
        if notice.severity_nonlocalized in ("FATAL", "PANIC"):
            self.is_doomed = True

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """Run a psycopg generator until it is done or the time is over.

        Raises:
            psycopg.OperationalError: no answer in time; the connection is closed, so nothing late can be misread.
        """
        deadline = monotonic_ns() + int((timeout or self.answer_seconds) * SECOND)
        waiter = select.poll()
        try:
            wanted = next(gen)
            waiter.register(self.pgconn.socket, _mask(wanted))
            while True:
                left = deadline - monotonic_ns()
                events = waiter.poll(max(0, left // 1_000_000)) if left > 0 else []
                if not events:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("no answer in time")
                wanted = gen.send(_ready(wanted, events[0][1]))
                waiter.modify(self.pgconn.socket, _mask(wanted))
        except StopIteration as done:
            return done.value

    def get_ready(self, name: str) -> None:
        """Make a statement of ours known to the server under its own name, for `exchange`."""
        if name not in self._ready:
            self.execute(b"prepare %b as %b" % (name.encode(), statements()[name]))
            self._ready.add(name)

    def exchange(
        self, name: str, values: Sequence[bytes | None], meanwhile: Callable[[], None]
    ) -> PQGen[bytes | None]:
        """Run a prepared statement, as a generator for `wait`: psycopg's cursors need longer than the server does."""
        server = self.pgconn
        server.send_query_prepared(name.encode(), values)
        while server.flush():
            if (yield Wait.RW) & Ready.R:
                server.consume_input()
        meanwhile()
        told: bytes | None = None
        while True:
            while server.is_busy():
                yield Wait.R
                server.consume_input()
            result = server.get_result()
            if result is None:
                return told
            if result.status != ExecStatus.TUPLES_OK:
                raise psycopg.errors.error_from_result(result)
            told = result.get_value(0, 0)


def _mask(wanted: int) -> int:
    return (select.POLLIN if wanted & 1 else 0) | (select.POLLOUT if wanted & 2 else 0)


def _ready(wanted: int, event: int) -> Any:
    ready = (1 if event & select.POLLIN else 0) | (2 if event & select.POLLOUT else 0)
    return ready or wanted  # after an error or hang-up libpq reads, and reports what it is


def connect(url: str, *, connect_seconds: float, answer_seconds: float) -> BoundedConnection:
    """Return a new connection in autocommit mode whose statements are prepared at first use.

    Raises:
        DatabaseDown: it cannot be had.
    """
    try:
        connection = BoundedConnection.connect(
            url,
            autocommit=True,
            prepare_threshold=0,
            row_factory=dict_row,
            connect_timeout=max(1, round(connect_seconds)),
            application_name="tradeproc",
            # the server's own keepalives: it releases the lease of a host that is gone within about 10 s
            options=f"-c statement_timeout={int(answer_seconds * 1000)} -c timezone=UTC -c tcp_keepalives_idle=5"
            " -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3",
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=10_000,
        )
    except psycopg.Error as error:
        raise DatabaseDown(_line(error)) from error
    try:
        # What is called stored must outlive a loss of power, whatever the server's own setting. A stronger setting
        # stays.
        connection.execute(statements()["commit_durably"], prepare=False)
    except psycopg.Error as error:
        connection.close()
        raise DatabaseDown(_line(error)) from error
    connection.answer_seconds = answer_seconds + 0.2
    connection.add_notice_handler(connection.hear)
    set_json_loads(orjson.loads, connection)
    return connection


def is_alive(connection: BoundedConnection) -> bool:
    """Tell whether the server still holds its end of the connection; needs no round trip."""
    if connection.closed or connection.broken:
        return False
    waiter = select.poll()
    waiter.register(connection.pgconn.socket, select.POLLIN)
    try:
        while waiter.poll(0) and not connection.is_doomed:
            connection.pgconn.consume_input()
            connection.pgconn.notifies()  # reads what came, so that `hear` hears it
    except psycopg.Error:
        connection.is_doomed = True
    return not connection.is_doomed


def translated(error: psycopg.Error, statement: str) -> DatabaseDown | StatementRefused:
    """Return what a driver's error means to us."""
    state = error.sqlstate or ""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) or state.startswith(_OUTAGES):
        return DatabaseDown(_line(error))
    return StatementRefused(statement, _line(error))


def _line(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


class Database:
    """Named statements over one lazy connection; not for several threads.

    `connect_seconds` is how long a statement waits for a new connection; after that the attempt goes on by itself,
    and a later statement finds what became of it.
    """

    def __init__(self, url: str, *, connect_seconds: float, answer_seconds: float) -> None:
        self._url, self._connect_seconds, self._answer_seconds = url, connect_seconds, answer_seconds
        self._connection: BoundedConnection | None = None
        self._attempt: Future[BoundedConnection] | None = None
        self._failures, self._began_at, self._not_before, self._last_reason = 0, 0, 0, ""

    def rows(self, statement: str, parameters: Parameters) -> list[DictRow]:
        """Run a named statement in its own transaction, in one round trip, and return its rows.

        Raises:
            DatabaseDown: nobody knows whether it was done.
            StatementRefused: the database refused it.
        """
        text = statements().get(statement)
        if text is None:
            raise StatementRefused(statement, "there is no such statement")

        given = {key: storable(value) if isinstance(value, str) else value for key, value in parameters.items()}

        def run(connection: BoundedConnection) -> list[DictRow]:
            cursor = connection.execute(text, given)
            return cursor.fetchall() if cursor.description else []

        return self._run(statement, run)

    def get_ready(self, statement: str) -> None:
        """Connect and make a statement known to the server, so that the first `exchange` is quick too."""
        self._run(statement, lambda connection: connection.get_ready(statement))

    def exchange(self, statement: str, values: Sequence[bytes | None], meanwhile: Callable[[], None]) -> bytes | None:
        """Run a statement with numbered parameters and return the one value it tells.

        Args:
            statement: its name.
            values: the parameters as text.
            meanwhile: what to do while the server works; called once, unless the database is known to be away.

        Raises:
            DatabaseDown: nobody knows whether it was done.
            StatementRefused: the database refused it.
        """

        def run(connection: BoundedConnection) -> bytes | None:
            connection.get_ready(statement)
            return cast(bytes | None, connection.wait(connection.exchange(statement, values, meanwhile)))

        return self._run(statement, run)

    def _run(self, statement: str, action: Callable[[BoundedConnection], T]) -> T:
        connection = self._connected()
        try:
            return action(connection)
        except psycopg.Error as error:
            told = translated(error, statement)
            if isinstance(told, DatabaseDown):
                self.close()
            raise told from error

    def close(self) -> None:
        """Close the connection, and one that is still being made; the next statement makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._attempt is not None:
            self._attempt.add_done_callback(_close_made)
            self._attempt = None

    def _connected(self) -> BoundedConnection:
        if self._connection is not None and is_alive(self._connection):
            return self._connection
        if self._connection is not None:
            self.close()
        patience = 0.0
        if self._attempt is None:
            if monotonic_ns() < self._not_before:
                raise DatabaseDown(self._last_reason)
            self._attempt, patience, self._began_at = self._begin(), self._connect_seconds, monotonic_ns()
        try:
            self._connection = self._attempt.result(patience)
        except TimeoutError:
            raise DatabaseDown("no connection yet") from None
        except DatabaseDown as down:
            self._attempt, self._last_reason = None, down.reason
            now = monotonic_ns()
            self._not_before = now + int(_PAUSES.delay(self._failures) * SECOND)
            self._failures += 1
            if now - self._began_at < SECOND:
                self._failures = min(self._failures, _MOST_COUNTED_AFTER_REFUSAL)
            raise
        self._attempt, self._failures = None, 0
        return self._connection

    def _begin(self) -> Future[BoundedConnection]:
        return begun(
            "database",
            lambda: connect(self._url, connect_seconds=_ATTEMPT_SECONDS, answer_seconds=self._answer_seconds),
        )


def _close_made(made: Future[BoundedConnection]) -> None:
    if made.exception() is None:
        made.result().close()
