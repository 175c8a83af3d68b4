"""What several tests of the command line begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tradeproc.desk.installation import Desk
from tradeproc.home import Home
from tradeproc.testing.running import furnish


@pytest.fixture
def idle_desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk that is configured and not up, and cannot come up: it has no environment."""
    furnish(Home(tmp_path))
    with Desk(Home(tmp_path)) as idle:
        yield idle


def rewrite(desk: Desk, old: str, new: str) -> None:
    """Change what the configuration of a desk says."""
    file = desk.home.conf / "tradeproc.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
