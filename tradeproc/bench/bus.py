"""The bus against bare pyzmq: messages a second between two processes; both take turns, and medians are compared."""

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from tradeproc.bench.figures import BenchFailed, Measured, Row

MESSAGES = 60_000
ROUNDS = 5
LONGEST_SECONDS = 60


def measure_bus(messages: int = MESSAGES, rounds: int = ROUNDS) -> Measured:
    """Return our share of the rate that pyzmq alone reaches with the same bodies."""
    rates: dict[str, list[float]] = {"node": [], "bare": []}
    for _ in range(rounds):
        for kind, found in rates.items():
            found.append(rate_of(kind, messages))
    ours, bare = median(rates["node"]), median(rates["bare"])
    row = Row(
        "candles published and heard, one process to another", f"{ours:,.0f} /s", f"{bare:,.0f} /s", ours / bare
    )
    return Measured("bus against bare pyzmq", [row], {"bus_rate_ratio": ours / bare})


def rate_of(kind: str, messages: int) -> float:
    """Return the rate of one pair of processes, `node` or `bare`.

    Raises:
        BenchFailed: a message was lost, or a process ended with an error.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with _started(f"{kind}-talker", folder, messages) as talker:
            try:
                with _started(f"{kind}-hearer", folder, messages) as hearer:
                    told = _told(hearer)
                _told(talker)
            finally:
                talker.kill()
    return float(told)


def _started(kind: str, folder: Path, messages: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tradeproc.bench.pairs", kind, str(folder), str(messages)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _told(process: "subprocess.Popen[str]") -> str:
    try:
        out, errors = process.communicate(timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise BenchFailed(f"a process of the bus measurement took more than {LONGEST_SECONDS} s") from None
    if process.returncode != 0:
        raise BenchFailed(f"a process of the bus measurement ended with {process.returncode}: {errors[-500:]}")
    return out
