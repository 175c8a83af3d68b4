"""What needs a running desk: the hot path, then each kind of process: its memory, and how long it took to start."""

from tradeproc.bench.desk import TemporaryDesk, temporary_desk
from tradeproc.bench.figures import BenchFailed, Measured, Row
from tradeproc.bench.hot_path import measure_hot_path
from tradeproc.bench.processes import began_at, private_mb
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.process_messages import STATUS

GOAL_MB = 40.0
FEEDS = ("bars", "orders", "positions")
_LIMITED = ("trader", "account", *FEEDS)


def measure_desk() -> list[Measured]:
    """Run a desk and measure it."""
    with temporary_desk(notifies=True) as desk:
        desk.start_session()
        rows, values = measure_hot_path(desk)
        return [Measured("hot path", rows, values), *_processes(desk)]


def _processes(desk: TemporaryDesk) -> list[Measured]:
    memory: dict[str, float] = {}
    starts: dict[str, float] = {}
    for program in desk.desk.supervisor.processes():
        kind = program.process.kind
        if not program.pid:
            continue
        memory[kind] = max(memory.get(kind, 0.0), private_mb(program.pid))
        if program.process in desk.desk.directory.processes():
            node_at = desk.desk.ask(program.process, STATUS, NoBody()).started_at / 1e9
            starts[kind] = max(starts.get(kind, 0.0), node_at - began_at(program.pid))
    missing = [kind for kind in (*_LIMITED, "link", "notifier") if kind not in memory]
    if missing:
        raise BenchFailed(f"not running at the end of the measurement: {', '.join(missing)}")
    return [
        Measured(
            "private memory", [_memory_row(kind, megabytes) for kind, megabytes in memory.items()], _keys(memory)
        ),
        Measured(
            "start: process created → on the bus", [Row(kind, f"{took:.2f} s") for kind, took in starts.items()]
        ),
    ]


def _memory_row(kind: str, megabytes: float) -> Row:
    goal = f"≤ {GOAL_MB:g} MB" if kind in _LIMITED else ""
    return Row(kind, f"{megabytes:.1f} MB", goal=goal, is_met=megabytes <= GOAL_MB)


def _keys(memory: dict[str, float]) -> dict[str, float]:
    return {
        "trader_private_mb": memory["trader"],
        "account_private_mb": memory["account"],
        "feed_private_mb": max(memory[kind] for kind in FEEDS),
        "link_private_mb": memory["link"],
        "notifier_private_mb": memory["notifier"],
    }
