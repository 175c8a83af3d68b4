"""PostgreSQL: the audit trail. Candles and the state of strategies, which each start makes anew, are not kept.

`Store` writes and reads values of the domain; it is synchronous and says `DatabaseDown` when the database is away.
What a trader writes, but for entries and decisions, is a plain value first (`writes.py`): it goes into the database
or, while that is away, into a `Journal` file until then. `Lease` makes a trader the only one of its session.
The SQL stands in `queries/*.sql` and `migrations/*.sql`, never in Python.

Start reading at `store.py`; then `rows.py`, `columns.py`, which turns values into rows and back, `writes.py`,
`database.py`, `statements.py`, `lease.py`, `journal.py`, `kept.py` with the latches that are not stored yet.
`portfolio_tables.py` keeps portfolios; commands read by themselves what `read_only.py` connects, `story_rows.py` one
order's story, `roll_rows.py` past rolls. `round_trips.py` makes trades of fills, `migrate.py` brings the schema up to
date.
`embedded.py` runs a private PostgreSQL server from a wheel, `leftover_server.py` ends one left behind,
`server_probe.py` notices one that hangs. `background.py` does work on a thread that its caller must not wait for.
"""

from tradeproc.store.database import DatabaseDown, StatementRefused
from tradeproc.store.journal import Journal, JournalInUse
from tradeproc.store.lease import Lease, LeaseTaken
from tradeproc.store.migrate import DatabaseTooNew, MigrationChanged
from tradeproc.store.round_trips import round_trips
from tradeproc.store.rows import (
    AccountRow,
    Acknowledgement,
    AlarmRow,
    DivergenceRow,
    Latch,
    LoginRow,
    PositionRow,
    SessionRow,
)
from tradeproc.store.store import LeaseLost, Store, UnknownSession

__all__ = [
    "AccountRow",
    "Acknowledgement",
    "AlarmRow",
    "DatabaseDown",
    "DatabaseTooNew",
    "DivergenceRow",
    "Journal",
    "JournalInUse",
    "Latch",
    "Lease",
    "LeaseLost",
    "LeaseTaken",
    "LoginRow",
    "MigrationChanged",
    "PositionRow",
    "SessionRow",
    "StatementRefused",
    "Store",
    "UnknownSession",
    "round_trips",
]
