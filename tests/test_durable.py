"""What is written durably is on the disk with its name, in the order that a loss of power demands."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tradeproc.durable import append_durably, remove_durably, write_durably


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the operating system is asked for from now on, in order: names that change, and what is flushed."""
    assert tmp_path.is_dir()
    heard: list[str] = []

    def spied(name: str, real: Callable[..., object], what: Callable[..., str]) -> None:
        def call(*given: object, **named: object) -> object:
            heard.append(f"{name} {what(*given)}")
            return real(*given, **named)

        monkeypatch.setattr(os, name, call)

    spied("fsync", os.fsync, lambda fd: "folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
    spied("rename", os.rename, lambda *_: "")
    spied("replace", os.replace, lambda *_: "")
    spied("unlink", os.unlink, lambda *_: "")
    return heard


def test_a_file_is_flushed_before_it_gets_its_name_and_the_name_afterwards(calls: list[str], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    write_durably(path, b"new")

    assert path.read_bytes() == b"new"
    assert [call.strip() for call in calls] == ["fsync file", "replace", "fsync folder"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_appended_is_flushed_and_a_new_file_with_its_name(calls: list[str], tmp_path: Path) -> None:
    append_durably(tmp_path / "file", b"1")
    append_durably(tmp_path / "file", b"2")

    assert (tmp_path / "file").read_bytes() == b"12"
    assert calls == ["fsync file", "fsync folder", "fsync file"]


def test_what_is_removed_stays_removed(calls: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    remove_durably(tmp_path / "file")
    remove_durably(tmp_path / "file")

    assert calls[1] == "fsync folder"
    assert not (tmp_path / "file").exists()


def test_a_disk_that_does_not_take_it_leaves_the_old_one_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()

    with pytest.raises(OSError, match="directory"):
        write_durably(path, b"new")

    assert list(tmp_path.iterdir()) == [path]
