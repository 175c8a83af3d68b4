"""One server and one migrated database for all tests of the store; everything is forgotten before each."""

from collections.abc import Iterator

import pytest

from tests.databases import forget_everything, fresh_database, server
from tradeproc.store import Store
from tradeproc.store.migrate import migrate


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_url(server_url: str) -> Iterator[str]:
    with fresh_database(server_url) as url:
        migrate(url)
        yield url


@pytest.fixture
def empty_url(server_url: str) -> Iterator[str]:
    with fresh_database(server_url) as url:
        yield url


@pytest.fixture
def url(migrated_url: str) -> str:
    forget_everything(migrated_url)
    return migrated_url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()
