"""How every process begins and ends, seen from outside: real processes, their exit codes and what they say."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tradeproc.procs.entry import is_supervisor
from tradeproc.testing.waiting import wait_until

Start = Callable[..., "subprocess.Popen[str]"]
DEADLINE = 30.0

PROLOGUE = """
import sys, time, threading, logging
from tradeproc.procs.entry import run
from tradeproc.errors import Fault, Halt, Outage, Refusal
class NoMoney(Halt): pass
class Broken(Fault): pass
"""


@pytest.fixture
def start() -> Iterator[Start]:
    children: list[subprocess.Popen[str]] = []

    def begin(*command: str, **environment: str) -> "subprocess.Popen[str]":
        children.append(
            subprocess.Popen(
                [sys.executable, *command],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **environment},
            )
        )
        return children[-1]

    yield begin
    for child in children:
        child.kill()
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


def ended(start: Start, body: str, **environment: str) -> tuple[int, str]:
    """Run a process whose main is `body` and return its exit code and what it said."""
    text = PROLOGUE + f"def main(arguments):\n    {body}\nsys.exit(run('tokens', ['a', 'b'], main))\n"
    child = start("-c", text, **environment)
    _, said = child.communicate(timeout=DEADLINE)
    return child.returncode, said


def test_a_clean_end_is_zero_and_says_nothing(start: Start) -> None:
    assert ended(start, "return 0") == (0, "")


def test_the_code_that_main_returns_is_the_exit_code(start: Start) -> None:
    assert ended(start, "return 70")[0] == 70


def test_a_halt_stays_down_with_one_clear_line(start: Start) -> None:
    code, said = ended(start, "raise NoMoney('the account\\nis empty')")

    assert code == 78
    assert said.count("\n") == 1
    assert said.endswith("process_halted kind=tokens error=NoMoney: the account is empty\n")


@pytest.mark.parametrize("error", ["Broken", "Outage", "Refusal"])
def test_any_other_error_of_ours_asks_for_a_restart_with_one_line(start: Start, error: str) -> None:
    code, said = ended(start, f"raise {error}('it happened')")

    assert code == 70
    assert said.count("\n") == 1
    assert said.endswith(f"process_failed kind=tokens error={error}: it happened\n")


def test_a_bug_asks_for_a_restart_and_shows_where_it_is(start: Start) -> None:
    code, said = ended(start, "return {}['missing']")

    assert code == 70
    assert "process_crashed kind=tokens" in said
    assert "Traceback" in said
    assert "KeyError: 'missing'" in said


def test_a_wrong_command_line_is_for_a_person(start: Start) -> None:
    code, said = ended(start, "import argparse; argparse.ArgumentParser(prog='tokens').parse_args(arguments)")

    assert code == 78
    assert "unrecognized arguments: a b" in said


def test_logs_go_to_stderr_with_utc_times_wherever_we_are(start: Start) -> None:
    before = time.time()
    _, said = ended(start, "logging.getLogger('x').info('order_sent order=%s', 7); return 0", TZ="Asia/Tokyo")

    stamp, level, name, event, field = said.split()
    assert (level, name, event, field) == ("INFO", "x", "order_sent", "order=7")
    assert stamp.endswith("Z")
    told = time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(told) - time.timezone - before) < 600


def test_the_http_library_does_not_log_addresses(start: Start) -> None:
    body = "logging.getLogger('httpx').info('GET https://x/?code=secret'); return 0"

    assert ended(start, body)[1] == ""


def test_a_signal_shows_the_stacks_of_all_threads_and_the_process_goes_on(start: Start) -> None:
    worker = "threading.Thread(target=time.sleep, args=[600], daemon=True).start()"
    body = f"{worker}; print('up', flush=True); time.sleep(600)"
    child = start("-c", PROLOGUE + f"def main(arguments):\n    {body}\nrun('tokens', [], main)\n")
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline() == "up\n"

    child.send_signal(signal.SIGUSR1)

    assert "Thread 0x" in child.stderr.readline()
    assert child.poll() is None


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline(), end="", flush=True)
sys.stdin.read()
import time; time.sleep(600)
"""


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent death signal")
def test_a_process_ends_when_its_parent_is_killed(start: Start) -> None:
    body = "print('up', flush=True); time.sleep(600)"
    parent = start("-c", PARENT, PROLOGUE + f"def main(arguments):\n    {body}\nrun('tokens', [], main)\n")
    assert parent.stdout is not None
    pid, word = parent.stdout.readline().split()
    assert word == "up"

    parent.kill()

    wait_until("its end", lambda: state_of(int(pid)) in ("gone", "Z"))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("/venv/bin/python /venv/bin/supervisord -n", True),
        ("python3.11 -m supervisor.supervisord", True),
        ("supervisord", True),
        ("/sbin/tini -- supervisord -n", False),
        ("/sbin/init", False),
        ("sh -c supervisord", False),
    ],
)
def test_supervisord_is_told_from_what_only_starts_it(command: str, expected: bool) -> None:
    assert is_supervisor(command.split()) is expected


def test_an_unknown_kind_is_told_with_all_known_ones(start: Start) -> None:
    for arguments in ([], ["barz"]):
        child = start("-m", "tradeproc.procs", *arguments)
        _, said = child.communicate(timeout=DEADLINE)

        assert child.returncode == 78
        assert said.count("\n") == 1
        assert "trader" in said
        assert "keeper" in said


def test_starting_one_kind_imports_no_other(start: Start, tmp_path: Path) -> None:
    text = """
import sys
from tradeproc.procs import __main__ as door
from tradeproc.procs import entry
entry.run = lambda kind, arguments, main: 0
assert door.main(["trader"]) == 0
print(sorted(name for name in sys.modules if name.startswith("tradeproc.procs.")))
"""
    child = start("-c", text)
    said, _ = child.communicate(timeout=DEADLINE)

    assert said.strip() == "['tradeproc.procs.__main__', 'tradeproc.procs.entry']"


def test_a_trader_does_not_load_what_others_need(start: Start) -> None:
    others = {
        "argparse",
        "cryptography",
        "difflib",
        "httptools",
        "tradeproc.brokers.contract",
        "tradeproc.supervision.restarts",
    }
    child = start("-c", f"import sys, tradeproc.procs.trader.main\nprint(sorted({others!r} & sys.modules.keys()))")
    said, _ = child.communicate(timeout=DEADLINE)

    assert said.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own words about a process")
@pytest.mark.parametrize(("kind", "is_hidden"), [("tokens", True), ("link", True), ("bars", True), ("keeper", False)])
def test_no_process_leaves_its_memory_behind_and_one_with_tokens_shows_it_to_nobody(
    start: Start, kind: str, is_hidden: bool
) -> None:
    body = "print(ctypes.CDLL(None).prctl(3), resource.getrlimit(resource.RLIMIT_CORE), oct(os.umask(0))); return 0"
    text = (
        "import ctypes, os, resource, sys\nfrom tradeproc.procs.entry import run\n"
        f"def main(_):\n    {body}\nsys.exit(run({kind!r}, [], main))\n"
    )
    child = start("-c", text)

    told, _ = child.communicate(timeout=DEADLINE)

    assert told == f"{0 if is_hidden else 1} (0, 0) 0o77\n"


def test_a_thread_that_is_busy_holds_up_the_loop_for_a_tenth_of_a_millisecond_at_most(start: Start) -> None:
    text = (
        "import sys\nfrom tradeproc.procs.entry import run\n"
        "def main(_):\n    print(sys.getswitchinterval()); return 0\n"
        "sys.exit(run('link', [], main))\n"
    )

    told, _ = start("-c", text).communicate(timeout=DEADLINE)

    assert float(told) == pytest.approx(0.0001)


def test_a_process_takes_the_file_descriptors_that_it_may_have(start: Start) -> None:
    text = (
        "import resource, sys\nsoft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))\nfrom tradeproc.procs.entry import run\n"
        "def main(_):\n    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0]); return 0\n"
        "sys.exit(run('keeper', [], main))\n"
    )
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    told, _ = start("-c", text).communicate(timeout=DEADLINE)

    assert int(told) == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))
