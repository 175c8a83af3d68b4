"""What is ours stays ours: folders and files whatever the umask, links of others, and short names for deep homes."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tradeproc.folders import UnsafeFolder, forget_short_names, make_private, short_name
from tradeproc.home import Home

# the tests of foreign files need another user's id; who is not root can own nothing of others
STRANGER = 4321
IS_ROOT = os.geteuid() == 0


@pytest.fixture(autouse=True)
def umask() -> Iterator[Callable[[int], int]]:
    """The usual umask, whatever that of the machine is: folders that a test makes can be entered by others."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "tradeproc.toml").write_text("")
    (tmp_path / "conf" / "sessions").mkdir()
    (tmp_path / "conf" / "sessions" / "mine.toml").write_text("")
    (tmp_path / "supervisord.conf").write_text("")
    return Home(tmp_path)


def lay(path: Path, owner: int | None = None, mode: int = 0o600) -> Path:
    path.write_text("[program:mine]\ncommand=/bin/true\n")
    path.chmod(mode)
    if owner is not None:
        os.chown(path, owner, owner)
    return path


def open_to_others(folder: Path) -> list[Path]:
    return [path for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077]


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_everything_under_run_is_private_whatever_the_umask(
    home: Home, umask: Callable[[int], int], mask: int
) -> None:
    umask(mask)

    home.make_folders()

    assert {path.name for path in home.run.iterdir()} == {"log", "groups", "journal", "latches", "secrets", "sockets"}
    assert open_to_others(home.run) == []


def test_what_an_earlier_version_left_readable_is_closed(home: Home, umask: Callable[[int], int]) -> None:
    umask(0o022)
    home.groups.mkdir(parents=True)
    lay(home.groups / "link-paper.conf", mode=0o644)
    home.log.mkdir()
    lay(home.log / "supervisord.log", mode=0o644)

    home.make_folders()

    assert open_to_others(home.run) == []


@pytest.mark.parametrize("folder", ["run", "run/groups", "run/secrets", "run/journal", "run/log", "run/sockets"])
def test_a_folder_that_others_may_write_is_refused_with_its_remedy(home: Home, folder: str) -> None:
    path = home.root / folder
    path.mkdir(parents=True)
    path.chmod(0o777)

    with pytest.raises(UnsafeFolder, match=rf"{path}: .*chmod -R go= {path}$"):
        home.make_folders()


def test_a_group_file_that_others_could_write_is_refused(home: Home) -> None:
    home.groups.mkdir(parents=True)
    file = lay(home.groups / "session-1.conf", mode=0o666)

    with pytest.raises(UnsafeFolder, match=f"{file}: other users may write it"):
        home.make_folders()


@pytest.mark.parametrize("folder", ["run/groups", "run/secrets", "run/journal", "run/log", "run/sockets"])
def test_a_folder_that_others_could_not_reach_is_closed_without_a_word(home: Home, folder: str) -> None:
    path = home.root / folder
    path.mkdir(parents=True)
    path.chmod(0o777)
    home.run.chmod(0o700)

    home.make_folders()

    assert open_to_others(home.run) == []


@pytest.mark.parametrize("name", ["run", "run/groups", "run/secrets", "run/groups/session-1.conf", "run/log/x.log"])
def test_a_link_is_refused(home: Home, tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    link = home.root / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)

    with pytest.raises(UnsafeFolder, match=f"{link}: must not be a link"):
        home.make_folders()


@pytest.mark.skipif(not IS_ROOT, reason="only root can make a file of another user; CI is root")
@pytest.mark.parametrize("name", ["run/groups", "run/secrets", "run/groups/evil.conf", "run/sockets/core.keeper.rpc"])
def test_what_another_user_laid_is_refused(home: Home, name: str) -> None:
    home.make_folders()
    path = home.root / name
    if path.is_dir():
        os.chown(path, STRANGER, STRANGER)
    else:
        lay(path, STRANGER)

    with pytest.raises(UnsafeFolder, match=rf"{path}: belongs to user 4321, not to user root"):
        home.make_folders()


@pytest.mark.parametrize("name", ["supervisord.conf", "conf", "conf/tradeproc.toml", "conf/sessions/mine.toml", "."])
def test_a_configuration_that_others_may_write_is_refused(home: Home, name: str) -> None:
    path = home.root / name
    path.chmod(path.stat().st_mode | stat.S_IWOTH)

    with pytest.raises(UnsafeFolder, match=rf"{path}: other users may write it.*chmod go-w"):
        home.make_folders()


@pytest.mark.parametrize("name", ["tradeproc", ".venv", ".venv/bin", ".venv/lib"])
def test_code_that_others_may_write_is_refused(home: Home, name: str) -> None:
    path = home.root / name
    path.mkdir(parents=True)
    path.chmod(0o777)

    with pytest.raises(UnsafeFolder, match=rf"{path}: other users may write it.*chmod go-w"):
        home.make_folders()


def test_the_files_of_a_supervisord_started_with_an_open_umask_are_private(home: Home) -> None:
    text = f"""
import os
os.umask(0)
from pathlib import Path
from tradeproc.folders import keep_to_ourselves
from tradeproc.home import Home
from tradeproc.supervision.groups import GroupFiles, session_group
home = Home(Path({str(home.root)!r}))
home.make_folders()
GroupFiles(home).write(session_group(1))
(home.log / "supervisord.log").write_text("opened before anybody could set a umask")
home.make_folders()
keep_to_ourselves()
(home.log / "later.log").write_text("")
"""
    subprocess.run([sys.executable, "-c", text], check=True)

    assert {path.name for path in home.log.iterdir()} == {"later.log", "supervisord.log"}
    assert open_to_others(home.run) == []


def test_a_folder_that_vanishes_meanwhile_is_no_trouble(tmp_path: Path) -> None:
    make_private(tmp_path / "a")
    make_private(tmp_path / "a")

    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


# --- short names of deep folders


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 4)
    folder.mkdir(parents=True)
    yield folder
    forget_short_names(folder)


def test_a_short_name_leads_to_the_deep_folder_and_is_always_the_same(deep: Path) -> None:
    first, second = short_name(deep, 56), short_name(deep, 56)

    assert first == second
    assert len(os.fsencode(first)) <= 56
    assert first.resolve() == deep.resolve()
    forget_short_names(deep)
    assert not os.path.lexists(first)


@pytest.mark.skipif(not IS_ROOT, reason="only root can make a link of another user; CI is root")
def test_a_short_name_that_somebody_took_before_is_not_followed(deep: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    name = short_name(deep, 56)
    name.unlink()
    name.symlink_to(trap)
    os.lchown(name, STRANGER, STRANGER)

    try:
        first, second = short_name(deep, 56), short_name(deep, 56)

        assert first == second != name
        assert len(os.fsencode(first)) <= 56
        assert first.resolve() == deep.resolve()
    finally:
        name.unlink()


def test_a_short_name_of_ours_that_leads_elsewhere_is_not_followed(deep: Path, tmp_path: Path) -> None:
    name = short_name(deep, 56)
    name.unlink()
    name.symlink_to(tmp_path)

    try:
        assert short_name(deep, 56).resolve() == deep.resolve()
    finally:
        name.unlink()


def test_a_temporary_folder_of_another_name_finds_the_same_sockets(
    deep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = short_name(deep, 56)
    monkeypatch.setattr(tempfile, "tempdir", "/var/folders/zz/" + "x" * 60)

    second = short_name(deep, 56)

    assert first.resolve() == second.resolve() == deep.resolve()
    forget_short_names(deep)
