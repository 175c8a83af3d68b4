"""Real PostgreSQL for tests: one embedded server a run, one fresh database a test."""

import contextlib
import secrets
from collections.abc import Iterator

import psutil  # type: ignore[import-untyped]
import psycopg

from tradeproc.store.embedded import DATABASE, EmbeddedServer, database_url
from tradeproc.testing.running import temporary_home


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run an embedded server in a temporary folder; give the url of a database that is not to be used itself."""
    with temporary_home() as home:
        running = EmbeddedServer(home, durable=False)
        try:
            running.start()
            yield database_url(home)
        finally:
            running.stop()


@contextlib.contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Create an empty database and give its url; dropped at the end."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"create database {name} template template0 strategy file_copy".encode())
    try:
        yield server_url.replace(f"/{DATABASE}?", f"/{name}?")
    finally:
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)".encode())


def forget_everything(url: str) -> None:
    """Empty every table of a migrated database and count from 1 again: quicker than a new one."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("set session_replication_role = replica")  # triggers do not see it
        found = admin.execute(
            "select tablename from pg_tables where schemaname = 'public' and tablename <> 'schema_migrations'"
        )
        for (table,) in found.fetchall():
            admin.execute(f"delete from {table}".encode())
        admin.execute(
            "select setval(format('%I', sequencename)::regclass, 1, false) from pg_sequences"
            " where schemaname = 'public'"
        )


def freeze_server(pid: int) -> list[psutil.Process]:
    """Stop a server and then all its backends, of which some may just be ending, and return who is stopped."""
    postmaster = psutil.Process(pid)
    postmaster.suspend()
    frozen = [postmaster]
    for backend in postmaster.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            backend.suspend()
            frozen.append(backend)
    return frozen
