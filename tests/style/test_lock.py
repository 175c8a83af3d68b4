"""requirements.lock: all that setup.cfg asks for, within its ranges, each with hashes, from no host in particular."""

import configparser
import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PINNED = re.findall(
    r"^(\S+)==(\S+)(?: ; [^\n\\]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", LOCK, re.MULTILINE
)


def asked_for() -> list[Requirement]:
    file = configparser.ConfigParser()
    file.read(ROOT / "setup.cfg")
    lines = file["options"]["install_requires"].splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.strip().startswith("#")]


def test_the_lock_has_all_that_setup_cfg_asks_for_within_its_ranges() -> None:
    locked = {canonicalize_name(name): version for name, version, _ in PINNED}

    wrong = [
        f"{asked}: locked is {locked.get(canonicalize_name(asked.name))}"
        for asked in asked_for()
        if locked.get(canonicalize_name(asked.name), "0") not in asked.specifier
    ]

    assert wrong == [], "run scripts/lock"


def test_every_line_of_the_lock_is_one_version_with_hashes_and_names_no_host() -> None:
    names = [canonicalize_name(name) for name, _, _ in PINNED]
    lines = [line for line in LOCK.splitlines() if line and not line.startswith("#")]

    assert len(names) == len(set(names)) >= len(asked_for())
    assert len(lines) == len(PINNED) + sum(hashes.count("--hash=") for _, _, hashes in PINNED)
    assert "://" not in LOCK
    assert "--index" not in LOCK
