"""systemd hears that supervisord runs and goes on running; the unit file is one that systemd can read."""

import configparser
import contextlib
import socket
from pathlib import Path

import pytest

from tests.supervision.yard import Yard
from tests.waiting import wait_until
from tradeproc.supervision.watchdog import notify

UNIT = Path(__file__).parents[2] / "conf" / "tradeproc.service"


def test_supervisord_says_ready_and_then_that_its_loop_turns(tmp_path: Path) -> None:
    heard: list[str] = []
    yard = Yard(tmp_path / "home")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        yard.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")

        def has_heard(word: str) -> bool:
            with contextlib.suppress(BlockingIOError):
                heard.append(systemd.recv(100).decode())
            return word in heard

        with yard:
            wait_until("READY", lambda: has_heard("READY=1"))
            wait_until("WATCHDOG", lambda: has_heard("WATCHDOG=1"))

    assert heard[0] == "READY=1"


def test_without_systemd_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not notify("READY=1")


def test_the_unit_starts_what_the_repository_has_and_watches_longer_than_a_tick() -> None:
    unit = configparser.RawConfigParser(strict=False, comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)

    service = unit["Service"]
    assert service["ExecStart"].endswith("supervisord -n -c /opt/tradeproc/supervisord.conf")
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 10
    assert service["KillMode"] == "mixed"
