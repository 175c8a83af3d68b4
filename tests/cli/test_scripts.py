"""A folder that was moved after its installation: each script says so in one line, or makes .venv anew."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# stands for Python: makes a .venv whose python is this file again, and writes down what pip is asked to install
PYTHON = f"""#!/bin/sh
case "$*" in
*"-m venv"*) rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo made >>made.txt;;
*"-m pip"*) echo "$*" >>made.txt; printf '#!%s/.venv/bin/python\\n' "$(pwd -P)" >.venv/bin/supervisord;;
*"-m tradeproc"*) echo "ran $*";;
*) exec {sys.executable} "$@";;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that was set up, with a Python that installs nothing."""
    made = tmp_path / "old place"
    shutil.copytree(ROOT / "scripts", made / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, made)
    (made / "python").write_text(PYTHON)
    (made / "python").chmod(0o755)
    assert run(made, "environment").returncode == 0
    return made


def run(folder: Path, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHON": str(folder / "python")}
    environment.pop("TRADEPROC_HOME", None)
    return subprocess.run(
        [folder / "scripts" / script, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def made(folder: Path) -> int:
    return (folder / "made.txt").read_text().splitlines().count("made")


def test_what_is_installed_is_not_installed_again(folder: Path) -> None:
    assert run(folder, "environment").stderr == ""

    assert made(folder) == 1
    assert run(folder, "tradectl", "status").stdout == "ran -m tradeproc.cli.tradectl status\n"


@pytest.mark.parametrize("is_copy", [False, True])
def test_a_moved_or_copied_folder_is_told_in_one_line_and_mended(folder: Path, tmp_path: Path, is_copy: bool) -> None:
    moved = tmp_path / "new 100% place"
    if is_copy:
        shutil.copytree(folder, moved, symlinks=True)
    else:
        folder.rename(moved)

    told, checked, stopped = run(moved, "tradectl", "status"), run(moved, "healthcheck"), run(moved, "stop")

    assert (told.returncode, told.stdout) == (3, "")
    assert told.stderr == (
        f"this folder was moved or copied here from {folder}; run {moved}/scripts/environment, then again\n"
    )
    assert stopped.stderr == told.stderr
    assert checked.returncode == 3
    assert checked.stdout.startswith(f"UNKNOWN setup: this folder was moved or copied here from {folder}; run ")
    mended = run(moved, "environment")
    assert mended.returncode == 0
    assert "anew, because this folder was moved" in mended.stderr
    assert made(moved) == 2
    assert run(moved, "tradectl", "status").stdout == "ran -m tradeproc.cli.tradectl status\n"
    assert run(moved, "environment").stderr == ""


def test_a_folder_that_was_moved_before_this_version_is_known_by_its_scripts(folder: Path, tmp_path: Path) -> None:
    (folder / ".venv" / "home").unlink()
    moved = folder.rename(tmp_path / "new")

    assert "anew, because this folder was moved" in run(moved, "environment").stderr
