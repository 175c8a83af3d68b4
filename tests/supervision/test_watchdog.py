"""systemd hears that supervisord runs and goes on running; the unit file is one that systemd can read."""

import configparser
import contextlib
import socket
from pathlib import Path
from typing import ClassVar

import pytest

from tests.supervision.yard import Yard
from tradeproc.supervision import watchdog
from tradeproc.supervision.watchdog import notify
from tradeproc.testing.waiting import wait_until

UNIT = Path(__file__).parents[2] / "conf" / "tradeproc.service"


def test_systemd_hears_ready_when_the_keeper_is_what_is_not_up_and_that_the_loop_turns(tmp_path: Path) -> None:
    heard: list[str] = []
    yard = Yard(tmp_path / "home")
    yard.behave("jobs", "exit 78")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        yard.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")

        def has_heard(word: str) -> bool:
            with contextlib.suppress(BlockingIOError):
                heard.append(systemd.recv(1000).decode())
            return any(word in each for each in heard)

        with yard:
            wait_until("WATCHDOG", lambda: has_heard("WATCHDOG=1"))
            assert heard[0] == "STATUS=starting"
            assert not has_heard("READY=1"), "supervisord runs, which is not yet the desk"
            yard.supervisor.say_ready()
            wait_until("READY", lambda: has_heard("READY=1"))

    assert heard[-1].startswith("READY=1\nSTATUS=not up: core:jobs")


class Supervisord:
    """A supervisord without programs."""

    process_groups: ClassVar[dict[str, object]] = {}


def test_a_start_that_takes_long_is_ready_after_a_minute_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    now = 0.0
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: now)
    monkeypatch.setattr(watchdog, "notify", lambda text: heard.append(text) or True)
    herald = watchdog.SystemdNotifier(Supervisord())

    herald.tick()
    now = 61.0
    herald.tick()
    herald.tick()

    assert [each.partition("\n")[0] for each in heard] == ["WATCHDOG=1", "READY=1", "WATCHDOG=1", "WATCHDOG=1"]


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
