"""The kinds of trouble a campaign makes: each is done to a desk, says which log line shows it, and ends by itself.

Each draws what it hits from fixed names, never from what happens to live now, so that equal seeds hit equally.
Not among them: `taken_over`. A feed that is told that another logon took its place ends for a person to look at.
"""

import random
import resource
import signal
import struct
import time

import psutil

from tests.chaos.lies import LIES
from tests.chaos.scene import Scene
from tests.chaos.trouble import DETECT_SECONDS, Maker, Trouble, clear, hit
from tests.drills.desk import Desk
from tradeproc.protocol import names
from tradeproc.supervision.client import Supervisor
from tradeproc.testing.desk import wait_for

FAR_TOO_SMALL = 1
# the product's word for a hung process and a mute stream, and what reading it from a log may add on a busy machine
NOTICED_SECONDS, MEASURING_SECONDS = 15.0, 2.0


def kill(scene: Scene, chance: random.Random) -> Trouble:
    """Kill -9 one process."""
    name = chance.choice(scene.processes)
    scene.desk.kill(name)
    return Trouble("kill -9", name, rf"exited: {name.split('.')[1]} \(terminated by SIGKILL")


def freeze(scene: Scene, chance: random.Random) -> Trouble:
    """Stop one process in its tracks; the warden, or the keeper for the warden, has to notice, dump and kill it."""
    return _freeze(scene, chance.choice([name for name in scene.processes if not name.startswith("warden.")]))


def freeze_warden(scene: Scene, _: random.Random) -> Trouble:
    """Stop the warden itself, which the keeper watches."""
    return _freeze(scene, "warden.warden")


def _freeze(scene: Scene, name: str) -> Trouble:
    scene.desk.kill(name, signal.SIGSTOP)
    kind = "SIGSTOP of the warden" if name.startswith("warden.") else "SIGSTOP"
    return Trouble(kind, name, rf"process_hung.*{name}", within=NOTICED_SECONDS + MEASURING_SECONDS)


def kill_warden(scene: Scene, _: random.Random) -> Trouble:
    """Kill the warden."""
    scene.desk.kill("warden.warden")
    return Trouble("warden killed", "warden.warden", r"exited: warden \(terminated by SIGKILL")


def kill_supervisord(scene: Scene, _: random.Random) -> Trouble:
    """Kill supervisord; its children must end by themselves, then it is started again, as systemd would."""
    since = time.monotonic()
    scene.desk.crash()
    scene.desk.up()
    return Trouble("supervisord killed", "supervisord", r"supervisord started with pid", since=since)


def _stream(name: str, pattern: str, within: float = DETECT_SECONDS, **options: object) -> Maker:
    def make(scene: Scene, chance: random.Random) -> Trouble:
        target = chance.choice(["bars_stream", "orders_stream", "positions_stream"])
        since = hit(scene, name, target, count=1, **options)
        return Trouble(f"stream {name}", target, pattern, end=lambda: clear(scene.desk), since=since, within=within)

    return make


def _frames(name: str, targets: list[str]) -> Maker:
    """Spoil how all streams of a kind come, for some seconds, in a way that nobody may mind."""

    def make(scene: Scene, chance: random.Random) -> Trouble:
        target = chance.choice(targets)
        since = hit(scene, name, target, count=None)
        return Trouble(f"frames {name}", target, "", 6.0, lambda: clear(scene.desk), since)

    return make


def _request(name: str, pattern: str, target: str, **options: object) -> Maker:
    def make(scene: Scene, _: random.Random) -> Trouble:
        since = hit(scene, name, target, count=1, **options)
        return Trouble(f"request {name}", target, pattern, end=lambda: clear(scene.desk), since=since)

    return make


def drop_order_frames(scene: Scene, _: random.Random) -> Trouble:
    """Lose order frames for some seconds while heartbeats go on."""
    since = hit(scene, "drop_order_frames", "orders_stream", count=1, seconds=9.0)
    pattern = r"order_stream_silent"
    return Trouble("order frames dropped", "orders_stream", pattern, 9.0, lambda: clear(scene.desk), since)


def stop_database(desk: Desk, supervisor: Supervisor) -> None:
    """Stop the embedded database and wait until it is down."""
    supervisor.stop("core", "postgres")
    wait_for("the database down", lambda: desk.pid(names.POSTGRES) == 0)


def restart_database(scene: Scene, _: random.Random) -> Trouble:
    """Restart the database in an orderly way."""
    supervisor, since = Supervisor(scene.desk.home, seconds=20.0), time.monotonic()
    stop_database(scene.desk, supervisor)
    supervisor.start("core", "postgres")
    return Trouble("database restart", names.POSTGRES, r"stopped: postgres", since=since)


def database_gone(scene: Scene, chance: random.Random) -> Trouble:
    """Take the database away for a while."""
    supervisor, since = Supervisor(scene.desk.home, seconds=20.0), time.monotonic()
    seconds = chance.uniform(3.0, 10.0)
    stop_database(scene.desk, supervisor)
    return Trouble(
        "database gone", names.POSTGRES, r"database_down", seconds, lambda: start_database(supervisor), since
    )


def start_database(supervisor: Supervisor) -> None:
    """Start the embedded database, unless it runs."""
    supervisor.start("core", "postgres")


def full_disk(scene: Scene, _: random.Random) -> Trouble:
    """Let no file of ours grow and the database go down, as on a full disk, for some seconds.

    Spared are the broker, which is elsewhere, and supervisord, which writes the logs that are our evidence.
    """
    spared, since = (names.LOCAL_BROKER, names.POSTGRES), time.monotonic()
    pids = [each.pid for each in scene.desk.programs() if each.process not in spared and each.pid]
    found = [psutil.Process(pid) for pid in pids]
    limit_files(found, FAR_TOO_SMALL)
    # a server whose disk is full goes down; as root it runs as another user, whose limits we may not set
    supervisor = Supervisor(scene.desk.home, seconds=20.0)
    stop_database(scene.desk, supervisor)

    def end() -> None:
        limit_files(found, resource.RLIM_INFINITY)
        start_database(supervisor)

    return Trouble("disk full", "all but supervisord", r"journal_unwritable", 6.0, end, since)


def limit_files(family: list[psutil.Process], size: int) -> None:
    """Let no file that these processes write grow beyond a size."""
    for process in family:
        try:
            process.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        except psutil.NoSuchProcess:
            continue


def clock_step(scene: Scene, chance: random.Random) -> Trouble:
    """Step the clock of all processes by up to ten minutes, and some seconds later back to the truth."""
    step = chance.choice([-600, -90, -5, 5, 90, 600])
    step_clock(scene.desk, step)
    return Trouble("clock step", f"{step:+d} s", r"clock_stepped", 3.0, lambda: step_clock(scene.desk, 0))


def step_clock(desk: Desk, seconds: int) -> None:
    """Let all processes of ours be that far from the truth."""
    with (desk.home.run / "clock_step").open("r+b") as file:
        file.write(struct.pack("<q", seconds * 1_000_000_000))


_MUTE = NOTICED_SECONDS + MEASURING_SECONDS
_ALL_STREAMS = ["bars_stream", "orders_stream", "positions_stream"]
# how often each is drawn, relative to the others
MAKERS: dict[str, tuple[int, Maker]] = {
    "kill": (30, kill),
    "freeze": (2, freeze),
    "freeze_warden": (1, freeze_warden),
    "kill_warden": (3, kill_warden),
    "kill_supervisord": (2, kill_supervisord),
    "farewell": (6, _stream("farewell", r"stream_down .*polite=True")),
    "cut": (6, _stream("cut", r"stream_down .*polite=False")),
    "stall": (3, _stream("stall", r"stream_down .*(silent|silence|deadline|timed out)", _MUTE, seconds=30.0)),
    "split": (2, _frames("split", _ALL_STREAMS)),
    "repeat_frames": (2, _frames("repeat_frames", ["orders_stream"])),
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
    **LIES,
}
