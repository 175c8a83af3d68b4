"""One owner a session: whoever gets it flat in the place of its trader holds what a trader would hold.

That is the lease of the session with the next fence, while the database answers, and always its journal, which a
trader has open for all its life. So a trader that lives, on this host or another, is never worked against; one that
comes back meanwhile waits, for the lease or for the journal. While the database is away only the journal tells, and
with it only traders of this host.
"""

import os
import socket

from tradeproc.clock import wall_ns
from tradeproc.desk.known_sessions import KnownSession
from tradeproc.errors import Refusal
from tradeproc.home import Home
from tradeproc.protocol import names
from tradeproc.store.database import DatabaseDown, StatementRefused
from tradeproc.store.journal import Journal, JournalInUse, journal_path
from tradeproc.store.lease import Lease, LeaseTaken
from tradeproc.store.store import LeaseLost, Store
from tradeproc.store.writes import Write

_JOURNAL_SECONDS = 2.0
_CONNECT_SECONDS = 2.0


class Held(Refusal):
    """Somebody has the session, a trader that lives or another kill switch; caught by who wanted it, which waits."""

    def __init__(self, session: int, holder: str) -> None:
        self.session, self.holder = session, holder
        super().__init__(f"session {session} is held by {holder}")


class Claim:
    """A session that is ours until `close`; made by `take`."""

    def __init__(self, known: KnownSession, store: Store | None, lease: Lease | None, journal: Journal) -> None:
        self._store, self._lease, self._journal = store, lease, journal
        self.known = known
        self.fence = known.fence if lease is None else lease.fence
        self._ids = 0

    @classmethod
    def take(cls, home: Home, known: KnownSession, url: str) -> "Claim":
        """Take a session; `url` is that of the database, empty when nobody knows it.

        Raises:
            Held: somebody else has it.
            OSError: its journal cannot be opened.
        """
        lease = _lease(url, known.id)
        path = journal_path(home.journal, known.id)
        try:
            journal = Journal(path, wait_seconds=_JOURNAL_SECONDS, owner=names.trader(known.id))
        except (JournalInUse, OSError) as error:
            if lease is not None:
                lease.release()
            if isinstance(error, JournalInUse):
                raise Held(known.id, "a process of this host that has its journal open") from None
            raise
        store = (
            None if lease is None else Store(url, connect_timeout=_CONNECT_SECONDS, answer_timeout=_CONNECT_SECONDS)
        )
        claim = cls(known, store, lease, journal)
        if store is not None:
            try:
                journal.replay(store)
            except DatabaseDown:
                claim._database_went()
            except BaseException:
                claim.close()
                raise
        return claim

    @property
    def store(self) -> Store | None:
        """Return the database, None while it is away."""
        return self._store

    @property
    def journal(self) -> Journal:
        """Return the session's journal."""
        return self._journal

    def next_id(self) -> str:
        """Return an id for an order, at most 22 characters and never made twice."""
        self._ids += 1
        begin = f"{self.known.installation or 'halt'}{self.known.id}-{self.fence}"
        if self._lease is not None:
            return f"{begin}-{self._ids}"
        # the fence is a trader's, whose counters it would meet: the second at which it is made tells it apart
        return f"{begin}k{wall_ns() // 10**9 + self._ids:x}"[-22:]

    def check(self) -> None:
        """Find out whether the session is still ours; a database that has gone away does not take it from us.

        Raises:
            Held: another process took the lease.
        """
        if self._lease is not None and not self._lease.is_held():
            self._check_holder()

    def write(self, *rows: Write) -> None:
        """Write rows, into the journal when the database is away or refuses one; nothing is sent before this.

        Raises:
            Held: another process took the lease; nothing was written.
            OSError: the journal cannot be written.
        """
        for row in rows:
            if self._store is not None:
                try:
                    self._store.write(row)
                    continue
                except DatabaseDown:
                    self._database_went()
                except LeaseLost:
                    self._check_holder()
                except StatementRefused:
                    pass  # its replay puts it aside with an alarm; no exit depends on a row
            self._journal.append(row)

    def close(self) -> None:
        """Give everything back: the trader may come."""
        if self._store is not None:
            self._store.close()
        if self._lease is not None:
            self._lease.release()
        self._journal.close()

    def _check_holder(self) -> None:
        """Raise Held if a trader of another host has the lease; one of ours cannot begin without the journal."""
        if self._store is None:
            return
        try:
            row = self._store.session(self.known.id)
        except (DatabaseDown, Refusal):
            return
        if row.fence != self.fence and not row.holder.startswith(f"{socket.gethostname()}:"):
            raise Held(self.known.id, row.holder)

    def _database_went(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None

    def __enter__(self) -> "Claim":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def holder_name() -> str:
    """Return how a lease names this kill switch."""
    return f"{socket.gethostname()}:{os.getpid()}:kill-switch"


def _lease(url: str, session: int) -> Lease | None:
    """Return the lease of a session, None while the database is away.

    Raises:
        Held: somebody has it.
    """
    if not url:
        return None
    try:
        return Lease.acquire(url, session, holder_name(), connect_timeout=_CONNECT_SECONDS)
    except (DatabaseDown, StatementRefused):
        return None  # who holds it already is told before a database that takes no rows refuses this one
    except LeaseTaken as taken:
        if not taken.holder:
            return None  # a database without such a session, as one restored from a backup
        raise Held(session, taken.holder) from None
