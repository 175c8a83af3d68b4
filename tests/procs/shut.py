"""Ways to take a database away without stopping the server that other tests use."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict

ADMIN = "postgres"


def _admin(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    name = str(conninfo_to_dict(url)["dbname"])
    return psycopg.connect(url.replace(f"/{name}?", f"/{ADMIN}?"), autocommit=True)


def _backends(url: str) -> list[int]:
    name = conninfo_to_dict(url)["dbname"]
    with _admin(url) as admin:
        rows = admin.execute("select pid from pg_stat_activity where datname = %s", (name,)).fetchall()
    return [int(str(pid)) for (pid,) in rows]


@contextmanager
def away(url: str) -> Iterator[None]:
    """Let the database refuse everybody, those who are connected as well."""
    name = conninfo_to_dict(url)["dbname"]
    with _admin(url) as admin:
        admin.execute(f"alter database {name} allow_connections false".encode())
        admin.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", (name,))
    try:
        yield
    finally:
        with _admin(url) as admin:
            admin.execute(f"alter database {name} allow_connections true".encode())


@contextmanager
def hanging(url: str) -> Iterator[None]:
    """Let the database go on holding its connections, and answer nothing."""
    pids = _backends(url)
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def end_connections(url: str) -> None:
    """Cut every connection; whoever connects again is welcome."""
    name = conninfo_to_dict(url)["dbname"]
    with _admin(url) as admin:
        admin.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", (name,))
