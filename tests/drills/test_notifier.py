"""Alarms reach a person: a whole desk, a real HTTP server as the target, and the notifier killed."""

import json
from pathlib import Path

import pytest

from tests.procs.notifier.listener import Listener, listening
from tradeproc.protocol.names import NOTIFIER, WARDEN
from tradeproc.supervision.client import Supervisor
from tradeproc.testing.desk import tape_desk
from tradeproc.testing.waiting import wait_until

pytestmark = pytest.mark.drill

TEST = "[paper desk] test"
RAISED = "[paper desk] WARNING the desk: host:disk_low"
OVER = "[paper desk] OVER the desk: host:disk_low"


def count(listener: Listener, telling: str) -> int:
    """Return how many messages have said that of the alarm of the disk."""
    return sum(f"host:disk_low ({telling})" in each["message"] for each in list(listener.messages))


def test_an_alarm_of_the_desk_is_told_repeated_and_over_once_over_the_death_of_the_notifier(tmp_path: Path) -> None:
    secret = tmp_path / "alarms.url"
    with tape_desk() as desk, listening() as listener:
        secret.write_text(listener.url)
        secret.chmod(0o600)
        file = desk.home.conf / "tradeproc.toml"
        text = file.read_text().replace("# disk_warning_mb = 2048", "disk_warning_mb = 100000000")
        text = text.replace("# repeat_minutes = [5.0, 15.0, 60.0]", "repeat_minutes = [0.1, 60.0]")
        file.write_text(f'{text}\n[[notifier.targets]]\nurl = {{ file = "{secret}" }}\n')
        # both read the configuration at their start
        Supervisor(desk.home).start_group(NOTIFIER.group)
        desk.kill(WARDEN)

        wait_until("the alarm is told", lambda: RAISED in listener.titles())
        tested = desk.tradectl("alarms", "test")
        old = desk.kill(NOTIFIER)
        wait_until("it is back", lambda: desk.pid(NOTIFIER) not in (0, old))
        again = ("alarms", "test", "--target", "1")
        wait_until("it tells", lambda: desk.tradectl(*again, code=None) and listener.titles().count(TEST) > 1)
        listener.status = 500
        refused = desk.tradectl("alarms", "test", code=1)
        listener.status = 200
        wait_until("it is repeated", lambda: count(listener, "still stands"))
        file.write_text(file.read_text().replace("disk_warning_mb = 100000000", "disk_warning_mb = 1024"))
        desk.kill(WARDEN)
        wait_until("its end is told", lambda: OVER in listener.titles())
        Supervisor(desk.home).stop_group(NOTIFIER.group)
        wait_until("it is down", lambda: not desk.pid(NOTIFIER))
        down = desk.tradectl("alarms", "test", code=1)
        log = desk.log(NOTIFIER)

    assert tested["targets"][0]["is_delivered"]
    assert refused["targets"][0]["reason"] == "answered 500"
    assert down["error"].startswith("the notifier is down; ")
    assert count(listener, "raised") == 1
    assert listener.titles().count(OVER) == 1
    assert "hunter2" not in log + json.dumps([tested, refused])
