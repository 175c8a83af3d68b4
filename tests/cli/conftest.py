"""What several tests of the command line begin with."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradeproc.desk.installation import Desk
from tradeproc.home import Home

ROOT = Path(__file__).parents[2]


@pytest.fixture
def idle_desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk that is configured and not up, and cannot come up: it has no environment."""
    shutil.copy(ROOT / "supervisord.conf", tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    with Desk(Home(tmp_path)) as idle:
        yield idle


def rewrite(desk: Desk, old: str, new: str) -> None:
    """Change what the configuration of a desk says."""
    file = desk.home.conf / "tradeproc.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
