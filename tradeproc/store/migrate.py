"""Bringing the schema up to date: numbered SQL files, applied once, in order, in one transaction.

The job queue's tables come from the procrastinate package the same way, without importing it. A database that knows
more than this version is refused: an old program must not write into a newer schema.
"""

import hashlib
import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from tradeproc.clock import wall_ns
from tradeproc.domain.frozen import dataclass
from tradeproc.errors import Fault, Halt
from tradeproc.store.database import BoundedConnection, StatementRefused, connect, translated
from tradeproc.store.statements import statements

log = logging.getLogger(__name__)

_FOLDER = Path(__file__).parent / "migrations"
_LONGEST_SECONDS = 600.0


class DatabaseTooNew(Halt):
    """A newer tradeproc made the schema; caught by the entry point."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the database knows {name}, this version does not: a newer tradeproc made it; install that")


class MigrationChanged(Halt):
    """A migration that was applied is not the one of this version; caught by the entry point."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} was applied to the database in another form than this version has; reinstall tradeproc"
        )


class MigrationRefused(Fault):
    """The database does not take a migration of ours; caught by nobody: without its schema nothing can begin."""


@dataclass(frozen=True, slots=True)
class MigrationSet:
    """A set of migrations that only grows. `whole`, if given, is the state after all of them, for a new database."""

    name: str
    files: Mapping[str, str]
    whole: str | None = None


def own_part(folder: Path = _FOLDER) -> MigrationSet:
    """Return tradeproc's migrations."""
    return MigrationSet("tradeproc", {file.name: file.read_text() for file in sorted(folder.glob("[0-9]*.sql"))})


def queue_part() -> MigrationSet:
    """Return procrastinate's: the whole schema for a new database, its migrations for an older one."""
    found = importlib.util.find_spec("procrastinate")
    if found is None or found.origin is None:
        raise AssertionError("procrastinate is a dependency of tradeproc")
    folder = Path(found.origin).parent / "sql"
    files = {file.name: file.read_text() for file in sorted((folder / "migrations").glob("*.sql"))}
    return MigrationSet("procrastinate", files, (folder / "schema.sql").read_text())


def migrate(url: str, parts: tuple[MigrationSet, ...] | None = None) -> list[str]:
    """Apply what is missing and return its names; waits for another process that does the same.

    Raises:
        DatabaseDown: the database is away.
        DatabaseTooNew: a newer tradeproc made the schema.
        MigrationChanged: an applied migration of ours has another text now.
        MigrationRefused: the database does not take a migration.
    """
    connection = connect(url, connect_seconds=2.0, answer_seconds=_LONGEST_SECONDS)
    try:
        with connection.transaction():
            _run(connection, "lock_migrations")
            _run(connection, "make_migrations_table")
            rows = connection.execute(statements()["applied_migrations"]).fetchall()
            applied = {(row["part"], row["name"]): row["checksum"] for row in rows}
            done = [
                name for part in parts or (queue_part(), own_part()) for name in _apply(connection, part, applied)
            ]
    except psycopg.Error as error:
        told = translated(error, "migration")
        raise (MigrationRefused(str(told)) if isinstance(told, StatementRefused) else told) from error
    finally:
        connection.close()
    for name in done:
        log.info("migration_applied name=%s", name)
    return done


def _apply(connection: BoundedConnection, part: MigrationSet, applied: Mapping[tuple[str, str], str]) -> list[str]:
    """Apply one part's missing migrations."""
    known = {name: checksum for (owner, name), checksum in applied.items() if owner == part.name}
    for name, checksum in known.items():
        if name not in part.files:
            raise DatabaseTooNew(name)
        if part.whole is None and checksum != _checksum(part.files[name]):
            raise MigrationChanged(name)
    missing = [name for name in part.files if name not in known]
    if part.whole is not None and not known:
        connection.execute(part.whole.encode(), prepare=False)
    else:
        for name in missing:
            connection.execute(part.files[name].encode(), prepare=False)
    for name in missing:
        given = {"part": part.name, "name": name, "checksum": _checksum(part.files[name]), "at": wall_ns()}
        _run(connection, "note_migration", given)
    return missing if known or part.whole is None else [f"{part.name}, whole"]


def _run(connection: BoundedConnection, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
    connection.execute(statements()[statement], parameters)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
