"""One desk a module: it takes seconds to come up, and each drill leaves it well."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.desk import Desk


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A running desk with a slow market."""
    folder: Path = tmp_path_factory.mktemp("desk")
    with Desk(folder) as running:
        yield running
