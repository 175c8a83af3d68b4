"""Brings a desk back after a fault that was not survived, so that a campaign goes on and its table is complete."""

import os
import resource
import time
from collections.abc import Callable, Iterator

import psutil
import psycopg

from tests.chaos.scene import Scene
from tests.chaos.trouble import LIVE_SPEED
from tests.chaos.troubles import limit_files, start_database, step_clock
from tests.drills.desk import Desk
from tradeproc.errors import TradeprocError
from tradeproc.supervision.client import Supervisor
from tradeproc.testing.desk import wait_for

# what may go wrong on a desk that suffers; anything else is a bug of the campaign itself
FAILURES = (AssertionError, TradeprocError, psycopg.Error, psutil.Error, OSError, KeyError)
WELL_SECONDS = 90.0


def wait_well(scene: Scene, seconds: float = WELL_SECONDS) -> None:
    """Wait until every process says it is ready and traders trade again."""
    deadline = time.monotonic() + seconds
    for name in scene.everybody:
        wait_for(
            f"{name} ready",
            lambda name=name: scene.desk.ask(name, "status", {}, 2.0)["state"] == "ready",  # type: ignore[misc]
            max(deadline - time.monotonic(), 0.5),
        )


def family(desk: Desk) -> Iterator[psutil.Process]:
    """Yield all processes of a desk but supervisord itself, by the home in their environment."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("TRADEPROC_HOME") == str(desk.home.root) and process.pid != os.getpid():
                yield process
        except psutil.Error:
            continue


def orphans(desk: Desk) -> list[psutil.Process]:
    """Return processes of this desk that supervisord does not know."""
    known = {each.pid for each in Supervisor(desk.home).processes() if each.pid}
    supervisord = desk.supervisord.pid if desk.supervisord else 0
    found = []
    for process in family(desk):
        try:
            parents = {each.pid for each in process.parents()}
        except psutil.Error:
            continue
        if process.pid not in known and supervisord not in parents and process.pid != supervisord:
            found.append(process)
    return found


def mend(scene: Scene) -> list[str]:
    """End every fault, and where the desk is not well then, build it up again; return what could not be done."""
    traders = [each for each in family(scene.desk) if "trader" in " ".join(each.cmdline())]
    _quietly(lambda: limit_files(traders, resource.RLIM_INFINITY))
    _quietly(lambda: step_clock(scene.desk, 0))
    _quietly(lambda: start_database(Supervisor(scene.desk.home, seconds=20.0)))
    _quietly(lambda: _calm_broker(scene.desk))
    _quietly(lambda: [each.kill() for each in orphans(scene.desk)])
    if Supervisor(scene.desk.home).is_up() and not _quietly(lambda: wait_well(scene, 30.0)):
        return []
    failed = _quietly(lambda: rebuild(scene))
    return [f"not well even when built up again: {failed}"] if failed else []


def rebuild(scene: Scene) -> None:
    """Kill everything of a desk, start it again on its database and broker, and wait until it is well."""
    desk = scene.desk
    if desk.supervisord is not None:
        desk.supervisord.kill()
        desk.supervisord.wait(10)
    left = list(family(desk))
    for process in left:
        _quietly(process.kill)
    psutil.wait_procs(left, timeout=10)
    desk.up()
    _calm_broker(desk)
    wait_well(scene)


def _calm_broker(desk: Desk) -> None:
    desk.broker.clear_faults()
    desk.broker.speed(LIVE_SPEED)
    desk.broker.resume()


def _quietly(action: Callable[[], object]) -> str:
    """Do it, and return why it failed, if it did."""
    try:
        action()
    except FAILURES as error:
        return f"{type(error).__name__}: {error}"
    return ""
