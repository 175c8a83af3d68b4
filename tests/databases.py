"""Real PostgreSQL for tests: one embedded server a run, one fresh database a test."""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tradeproc.home import Home
from tradeproc.store.embedded import DATABASE, Server, database_url
from tradeproc.store.migrate import migrate


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run an embedded server in a temporary folder; give the url of a database that is not to be used itself."""
    with temporary_home() as home:
        running = Server(home, durable=False)
        try:
            running.start()
            yield database_url(home)
        finally:
            running.stop()


@contextlib.contextmanager
def temporary_home() -> Iterator[Home]:
    """Make a home that other users may pass through, as the server's user must when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="tp-"))
    try:
        folder.chmod(0o755)
        home = Home(folder)
        home.make_folders()
        yield home
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def fresh_database(server_url: str, template: str | None = None) -> Iterator[str]:
    """Create an empty database, or a copy of `template`, and give its url; dropped at the end."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"create database {name} template {template or 'template0'}".encode())
    try:
        yield server_url.replace(f"/{DATABASE}?", f"/{name}?")
    finally:
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)".encode())


def migrated_template(server_url: str) -> str:
    """Make a migrated database once, to be copied for each test; return its name."""
    name = "migrated"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"create database {name} template template0".encode())
    migrate(server_url.replace(f"/{DATABASE}?", f"/{name}?"))
    return name
