"""One server for all tests of the store, a fresh migrated database for each."""

from collections.abc import Iterator

import pytest

from tests.databases import fresh_database, migrated_template, server
from tradeproc.store import Store


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    return migrated_template(server_url)


@pytest.fixture
def empty_url(server_url: str) -> Iterator[str]:
    with fresh_database(server_url) as url:
        yield url


@pytest.fixture
def url(server_url: str, template: str) -> Iterator[str]:
    with fresh_database(server_url, template) as fresh:
        yield fresh


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()
