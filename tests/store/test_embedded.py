"""The private server: made whole or not at all, reachable by its socket only, and never two on one folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.databases import freeze_server, temporary_home
from tests.waiting import wait_until
from tradeproc.home import Home
from tradeproc.store.deafness import Deafness
from tradeproc.store.embedded import Server, database_url, socket_folder

KEEPER = """
import sys, time
from pathlib import Path
from tradeproc.home import Home
from tradeproc.store.embedded import Server
server = Server(Home(Path(sys.argv[1])), durable=False)
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def home() -> Iterator[Home]:
    with temporary_home() as home:
        yield home


@pytest.fixture
def server(home: Home) -> Iterator[Server]:
    server = Server(home, durable=False)
    yield server
    server.stop()


def ask(home: Home, question: str) -> str:
    with psycopg.connect(database_url(home), autocommit=True) as connection:
        row = connection.execute(question.encode()).fetchone()
        assert row is not None
        return str(row[0])


def keep_a_row(home: Home) -> None:
    with psycopg.connect(database_url(home), autocommit=True) as connection:
        connection.execute("create table kept as select 7 as n")


def test_a_new_server_is_sound_and_has_no_network(home: Home, server: Server) -> None:
    server.start()

    assert ask(home, "show data_checksums") == "on"
    assert ask(home, "show listen_addresses") == ""
    assert ask(home, "show synchronous_commit") == "on"
    assert ask(home, "select datlocale from pg_database where datname = current_database()") == "C.UTF-8"
    assert (socket_folder(home).stat().st_mode & 0o077) == 0
    assert server.pid is not None
    assert psutil.Process(server.pid).uids().real != 0
    assert [c for c in psutil.Process(server.pid).net_connections() if c.family.name != "AF_UNIX"] == []


def test_what_was_committed_is_there_after_a_stop_and_a_start(home: Home, server: Server) -> None:
    server.start()
    keep_a_row(home)
    server.stop()
    assert server.exit_code() == 0

    server.start()

    assert ask(home, "select n from kept") == "7"


def test_half_a_data_folder_is_made_anew(home: Home, server: Server) -> None:
    for folder in (home.postgres, home.postgres.with_suffix(".new")):
        folder.mkdir()
        (folder / "half").write_text("")

    server.start()

    assert not (home.postgres / "half").exists()
    assert not home.postgres.with_suffix(".new").exists()


def start_keeper(home: Home) -> tuple[subprocess.Popen[str], psutil.Process]:
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(home.root)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert keeper.stdout is not None
    for line in keeper.stdout:
        if line.strip().isdigit():
            return keeper, psutil.Process(int(line))
    raise AssertionError("the keeper ended")


def end(keeper: subprocess.Popen[str]) -> None:
    keeper.kill()
    keeper.wait(30)
    assert keeper.stdout is not None
    keeper.stdout.close()


def test_the_server_dies_with_the_process_that_keeps_it(home: Home) -> None:
    keeper, postgres = start_keeper(home)
    try:
        os.kill(keeper.pid, signal.SIGKILL)
        psutil.wait_procs([postgres], timeout=30)
        assert not postgres.is_running()
    finally:
        end(keeper)


def test_a_forgotten_server_that_hangs_is_ended_before_a_new_one_starts(home: Home, server: Server) -> None:
    keeper, postgres = start_keeper(home)
    try:
        keep_a_row(home)
        postgres.suspend()
        os.kill(keeper.pid, signal.SIGKILL)
        assert postgres.is_running()
        postgres.resume()

        server.start()

        assert server.pid != postgres.pid
        assert ask(home, "select n from kept") == "7"
    finally:
        end(keeper)


def test_a_killed_server_recovers_and_a_lock_file_of_a_stranger_is_no_obstacle(home: Home, server: Server) -> None:
    server.start()
    keep_a_row(home)
    assert server.pid is not None
    family = psutil.Process(server.pid).children(recursive=True)
    os.kill(server.pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=30)
    assert server._process is not None
    server._process.wait(30)
    for lock in (home.postgres / "postmaster.pid", socket_folder(home) / ".s.PGSQL.5432.lock"):
        lines = lock.read_text().split("\n")
        lock.write_text("\n".join([str(os.getpid()), *lines[1:]]))

    server.start()

    assert ask(home, "select n from kept") == "7"


def test_a_home_too_deep_for_a_socket_gets_one_elsewhere(tmp_path: Path) -> None:
    deep = Home(tmp_path.joinpath(*["folder-with-a-long-name"] * 5))

    assert len(os.fsencode(socket_folder(deep) / ".s.PGSQL.5432")) <= 107
    assert str(socket_folder(deep)) in database_url(deep).replace("%2F", "/")


@pytest.mark.parametrize("is_only_postmaster", [True, False])
def test_a_server_that_hangs_is_deaf_and_the_next_one_ends_it(
    home: Home, server: Server, is_only_postmaster: bool
) -> None:
    server.start()
    keep_a_row(home)
    assert server.pid is not None
    deafness = Deafness(database_url(home), 5.0)
    wait_until("an answer", lambda: not deafness.is_deaf())

    if is_only_postmaster:
        psutil.Process(server.pid).suspend()
    else:
        freeze_server(server.pid)

    wait_until("it is deaf", deafness.is_deaf)
    second = Server(home, durable=False)
    second.start()
    try:
        assert ask(home, "select n from kept") == "7"
        wait_until("an answer", lambda: not deafness.is_deaf())
        assert server.exit_code() is not None
    finally:
        second.stop()


def test_a_server_that_is_not_there_is_not_deaf(home: Home) -> None:
    deafness = Deafness(database_url(home), 1.0)
    deafness._answered_at = 0

    wait_until("a refusal", lambda: not deafness.is_deaf())
