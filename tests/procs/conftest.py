"""What the tests of the shells share: a folder of sockets, and one database server for those that write."""

from collections.abc import Iterator

import pytest

from tests.databases import forget_everything, fresh_database, server
from tests.procs.stage import Stage, stage
from tradeproc.store.migrate import migrate


@pytest.fixture
def on_stage() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture(scope="session")
def _migrated() -> Iterator[str]:
    with server() as url, fresh_database(url) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture
def book_url(_migrated: str) -> str:
    """Return the url of an empty, migrated database."""
    forget_everything(_migrated)
    return _migrated
