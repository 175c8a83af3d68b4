"""The kinds of trouble a campaign makes: each is done to a desk, says which log line shows it, and ends by itself."""

import os
import random
import resource
import signal
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from tests.drills.desk import Desk, wait_for
from tradeproc.supervision.client import Supervisor

FAR_TOO_SMALL = 1
DETECT_SECONDS = 40.0


def nothing() -> None:
    """End nothing."""


@dataclass(frozen=True)
class Trouble:
    """A fault under way: what it was done to, the log line that must show it, and how to end it.

    `pattern` empty: the fault must pass unnoticed because it harms nothing (a repeated frame). `end` is called after
    `lasts` seconds.
    """

    kind: str
    subject: str
    pattern: str
    lasts: float = 0.0
    end: Callable[[], None] = field(default=nothing)


Maker = Callable[[Desk, random.Random], Trouble]


def processes(desk: Desk) -> dict[str, int]:
    """Return the pid of every process that supervisord runs, by name."""
    return {each.process: each.pid for each in Supervisor(desk.home).processes() if each.pid}


def kill(desk: Desk, chance: random.Random) -> Trouble:
    """Kill -9 one process."""
    name, pid = chance.choice(sorted(processes(desk).items()))
    os.kill(pid, signal.SIGKILL)
    return Trouble("kill -9", name, rf"exited: {name.split('.')[1]} \(terminated by SIGKILL")


def freeze(desk: Desk, chance: random.Random) -> Trouble:
    """Stop one process in its tracks; the warden has to notice, dump and kill it."""
    found = {name: pid for name, pid in processes(desk).items() if not name.startswith("warden.")}
    name, pid = chance.choice(sorted(found.items()))
    os.kill(pid, signal.SIGSTOP)
    return Trouble("SIGSTOP", name, rf"process_hung.*{name}")


def kill_warden(desk: Desk, _: random.Random) -> Trouble:
    """Kill the warden."""
    desk.kill("warden.warden")
    return Trouble("warden killed", "warden", r"exited: warden \(terminated by SIGKILL")


def kill_supervisord(desk: Desk, _: random.Random) -> Trouble:
    """Kill supervisord; its children must end by themselves, then it is started again, as systemd would."""
    desk.crash()
    desk.up()
    return Trouble("supervisord killed", "supervisord", r"supervisord started with pid")


def _stream(name: str, pattern: str, **options: object) -> Maker:
    def make(desk: Desk, chance: random.Random) -> Trouble:
        target = chance.choice(["stream.barcharts", "stream.orders", "stream.positions"])
        desk.broker.fault(name, target=target, count=1, **options)
        return Trouble(f"stream {name}", target, pattern, end=lambda: _clear(desk))

    return make


def _request(name: str, pattern: str, target: str, **options: object) -> Maker:
    def make(desk: Desk, _: random.Random) -> Trouble:
        fault = desk.broker.fault(name, target=target, count=1, **options)["id"]
        ask_now(desk)
        deadline = time.monotonic() + 8.0
        while time.monotonic() < deadline and not was_hit(desk, fault):
            time.sleep(0.05)
        # a fault that nothing ran into leaves no trace
        return Trouble(f"request {name}", target, pattern if was_hit(desk, fault) else "", end=lambda: _clear(desk))

    return make


def ask_now(desk: Desk) -> None:
    """Let every trader ask the broker at once, so that a fault of requests meets some."""
    for name in processes(desk):
        if name.endswith(".trader"):
            desk.ask(name, "reconcile", {})


def was_hit(desk: Desk, fault: int) -> bool:
    """Tell whether a fault met a request."""
    return any(each["hits"] for each in desk.broker.status()["faults"] if each["id"] == fault)


def _clear(desk: Desk) -> None:
    desk.broker.clear_faults()


def drop_order_frames(desk: Desk, _: random.Random) -> Trouble:
    """Lose order frames for some seconds while heartbeats go on."""
    desk.broker.fault("drop_order_frames", count=1, seconds=9.0)
    pattern = r"order_stream_silent|order_found_by_asking"
    return Trouble("order frames dropped", "stream.orders", pattern, lasts=9.0, end=lambda: _clear(desk))


def stop_database(desk: Desk, supervisor: Supervisor) -> None:
    """Stop the embedded database and wait until it is down."""
    supervisor.stop("core", "postgres")
    wait_for("the database down", lambda: desk.pid("core.postgres") == 0)


def restart_database(desk: Desk, _: random.Random) -> Trouble:
    """Restart the database in an orderly way."""
    supervisor = Supervisor(desk.home, seconds=20.0)
    stop_database(desk, supervisor)
    supervisor.start("core", "postgres")
    return Trouble("database restart", "core.postgres", r"stopped: postgres")


def database_gone(desk: Desk, chance: random.Random) -> Trouble:
    """Take the database away for a while."""
    supervisor = Supervisor(desk.home, seconds=20.0)
    stop_database(desk, supervisor)
    seconds = chance.uniform(3.0, 10.0)
    return Trouble(
        "database gone", "core.postgres", r"database_down", seconds, lambda: supervisor.start("core", "postgres")
    )


def full_disk(desk: Desk, _: random.Random) -> Trouble:
    """Let no file of the traders grow and the database go down, as on a full disk, for some seconds."""
    found = [psutil.Process(pid) for name, pid in processes(desk).items() if name.endswith(".trader")]
    _limit_files(found, FAR_TOO_SMALL)
    # a server whose disk is full goes down; as root it runs as another user, whose limits we may not set
    supervisor = Supervisor(desk.home, seconds=20.0)
    stop_database(desk, supervisor)

    def end() -> None:
        _limit_files(found, resource.RLIM_INFINITY)
        supervisor.start("core", "postgres")

    return Trouble("disk full", "traders, postgres", r"journal_unwritable", 6.0, end)


def _limit_files(family: list[psutil.Process], size: int) -> None:
    for process in family:
        try:
            process.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        except psutil.NoSuchProcess:
            continue


def clock_step(desk: Desk, chance: random.Random) -> Trouble:
    """Step the clock of all processes by up to ten minutes, and some seconds later back to the truth."""
    step = chance.choice([-600, -90, -5, 5, 90, 600])
    _step(desk, step)
    return Trouble("clock step", f"{step:+d} s", r"clock_stepped", 3.0, lambda: _step(desk, 0))


def _step(desk: Desk, seconds: int) -> None:
    with (desk.home.run / "clock_step").open("r+b") as file:
        file.write(struct.pack("<q", seconds * 1_000_000_000))


# how often each is drawn, relative to the others
MAKERS: dict[str, tuple[int, Maker]] = {
    "kill": (30, kill),
    "freeze": (2, freeze),
    "kill_warden": (3, kill_warden),
    "kill_supervisord": (2, kill_supervisord),
    "go_away": (6, _stream("go_away", r"stream_down .*polite=True")),
    "cut": (6, _stream("cut", r"stream_down .*polite=False")),
    "stall": (3, _stream("stall", r"stream_down .*(silent|silence|deadline|timed out)", seconds=30.0)),
    "401": (4, _request("401", r"token_refused", "orders")),
    "429": (4, _request("429", r"question_unknown reason=429", "positions")),
    "5xx": (2, _request("5xx", r"outcome=Unanswered.*503", "order_entry", status=503)),
    "accept_then_time_out": (4, _request("accept_then_time_out", r"outcome=Unanswered", "place")),
    "slow": (4, _request("slow", r"question_slow", "orders", seconds=2.0)),
    "drop_order_frames": (4, drop_order_frames),
    "restart_database": (3, restart_database),
    "database_gone": (3, database_gone),
    "full_disk": (2, full_disk),
    "clock_step": (4, clock_step),
}
