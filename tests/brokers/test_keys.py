import subprocess
import sys
from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path
from zipfile import ZipFile

import pytest

from tradeproc.brokers.keys import GROUP, broker_keys, entries


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path for packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def keys() -> set[str]:
    return {entry.name for entry in entries()}


@pytest.mark.parametrize("form", ["papertiger-1.dist-info", "papertiger.egg-info", "PaperTiger-1.DIST-INFO"])
def test_a_broker_of_any_form_of_installed_package_is_known(folder: Path, form: str) -> None:
    (folder / form).mkdir()
    (folder / form / "METADATA").write_text("Metadata-Version: 2.1\nName: papertiger\nVersion: 1\n")
    (folder / form / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: papertiger\nVersion: 1\n")
    (folder / form / "entry_points.txt").write_text(f"[{GROUP}]\ntiger = papertiger:BROKER\n")

    assert "tiger" in keys()
    assert "tiger" in broker_keys()


def test_a_broker_in_an_archive_on_the_path_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ZipFile(tmp_path / "tigers.zip", "w") as archive:
        archive.writestr("papertiger-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: papertiger\nVersion: 1\n")
        archive.writestr("papertiger-1.dist-info/entry_points.txt", f"[{GROUP}]\nzipped = papertiger:BROKER\n")
    monkeypatch.syspath_prepend(str(tmp_path / "tigers.zip"))

    assert "zipped" in keys()


def test_a_broker_that_another_finder_knows_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = tmp_path / "elsewhere-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nelsewhere = elsewhere:BROKER\n")

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            return None

        @staticmethod
        def find_distributions(context: object = None) -> list[PathDistribution]:
            return [PathDistribution(info)]

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])

    assert EntryPoint("elsewhere", "elsewhere:BROKER", GROUP) in entries()


def test_a_path_that_names_no_folder_hides_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder / "nowhere"))

    assert "tradestation" in broker_keys()


def test_to_know_the_keys_loads_neither_the_contract_nor_the_reader_of_packages() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom tradeproc.brokers.keys import broker_keys\n"
            "assert 'tradestation' in broker_keys()\n"
            "print(*{'importlib.metadata', 'tradeproc.brokers.contract'} & sys.modules.keys())",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert told.stdout.strip() == ""
