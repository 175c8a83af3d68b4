"""A local broker for the whole module, with an account for each of its tests."""

from collections.abc import Iterator

import pytest

from tradeproc.testing.brokers import ACCOUNTS, RunningBroker, running_local_broker


@pytest.fixture(scope="module")
def running() -> Iterator[RunningBroker]:
    with running_local_broker(paused=True, accounts=ACCOUNTS) as started:
        yield started


@pytest.fixture(scope="module")
def fresh_accounts() -> Iterator[str]:
    return iter(ACCOUNTS)
