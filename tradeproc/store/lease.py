"""At most one trader a session, ever: an advisory lock that lives as long as its connection, and a growing fence.

The lock keeps a second trader from starting while the first one is connected. The fence, which every order row
carries, keeps a first one that was cut off from entering orders after a second one started; of what has happened
already it may still write, over its journal.
"""

from typing import Any

import psycopg

from tradeproc.clock import wall_ns
from tradeproc.errors import Outage
from tradeproc.store.database import BoundedConnection, connect, is_alive, translated
from tradeproc.store.statements import statements


class LeaseTaken(Outage):
    """Another process holds the lease, for which the trader waits, or the session is gone, which ends the process."""

    def __init__(self, session: int, holder: str) -> None:
        self.session, self.holder = session, holder
        super().__init__(f"session {session}: the lease is held by {holder or 'nobody; there is no such session'}")


class Lease:
    """A held lease; made by `acquire`. Losing its connection is losing it: acquire again, with the next fence."""

    def __init__(self, connection: BoundedConnection, session: int, fence: int) -> None:
        self._connection, self.session, self.fence = connection, session, fence

    @classmethod
    def acquire(cls, url: str, session: int, holder: str, *, connect_timeout: float = 2.0) -> "Lease":
        """Take the lease of a session and raise its fence; `holder` tells people who has it.

        Raises:
            LeaseTaken: somebody else holds it, or there is no such session.
            DatabaseDown: the database is away.
        """
        connection = connect(url, connect_seconds=connect_timeout, answer_seconds=5.0)
        try:
            if not _first(connection, "take_lease", session=session)["is_taken"]:
                told = _first(connection, "lease_holder", session=session)
                raise LeaseTaken(session, str(told.get("holder") or "an unnamed process"))
            raised = _first(connection, "raise_fence", session=session, holder=holder, at=wall_ns())
            if not raised:
                raise LeaseTaken(session, "")
        except psycopg.Error as error:
            connection.close()
            raise translated(error, "lease") from error
        except LeaseTaken:
            connection.close()
            raise
        return cls(connection, session, int(raised["fence"]))

    def is_held(self) -> bool:
        """Tell whether the lock still stands; needs no round trip, so that it can be asked before every entry."""
        return is_alive(self._connection)

    def release(self) -> None:
        """Give the lease back; another trader may take it as soon as the server has noticed."""
        self._connection.close()


def _first(connection: BoundedConnection, statement: str, **parameters: object) -> dict[str, Any]:
    return connection.execute(statements()[statement], parameters).fetchone() or {}
