"""The private server: made whole or not at all, reachable by its socket only, and never two on one folder."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.databases import freeze_server
from tradeproc.home import Home
from tradeproc.store import embedded
from tradeproc.store.embedded import EmbeddedServer, database_url, socket_folder
from tradeproc.store.server_probe import ServerProbe
from tradeproc.testing.running import temporary_home
from tradeproc.testing.waiting import wait_until

KEEPER = """
import sys, time
from pathlib import Path
from tradeproc.home import Home
from tradeproc.store.embedded import EmbeddedServer
server = EmbeddedServer(Home(Path(sys.argv[1])), durable=False)
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def home() -> Iterator[Home]:
    with temporary_home() as home:
        yield home


@pytest.fixture
def server(home: Home) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(home, durable=False)
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


def test_no_folder_above_the_data_is_opened_for_the_server(home: Home, server: EmbeddedServer) -> None:
    home.root.chmod(0o700)
    before = {folder: folder.stat().st_mode for folder in home.root.parents}

    server.start()

    assert ask(home, "select 1") == "1"
    assert {folder: folder.stat().st_mode for folder in home.root.parents} == before
    assert [folder.stat().st_mode & 0o077 for folder in (home.root, home.run, home.postgres)] == [0, 0, 0]


def test_programs_in_a_folder_of_ours_alone_are_copied_to_where_the_server_may_run_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_PROGRAMS_FOR_ALL", tmp_path / "for all")
    installed = embedded._programs().resolve()
    package = installed.parent.parent
    private = tmp_path / "private"
    for tree in (installed.parent, package.with_name(f"{package.name}.libs")):
        shutil.copytree(tree, private / tree.relative_to(package.parent), symlinks=True)
    private.chmod(0o700)

    found = embedded._readable_programs(private / installed.relative_to(package.parent))

    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert found.is_relative_to(tmp_path / "for all")
    assert "PostgreSQL" in subprocess.run([found / "initdb", "-V"], check=True, capture_output=True, text=True).stdout
    assert all(path.stat().st_mode & 0o004 for path in (tmp_path / "for all").rglob("*"))
    (found / "postgres").chmod(0o777)
    with pytest.raises(embedded.ServerImpossible, match="writable by nobody else"):
        embedded._readable_programs(private / installed.relative_to(package.parent))


@pytest.mark.parametrize("squatted", ["a link", "writable"])
def test_programs_are_not_copied_to_where_somebody_else_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, squatted: str
) -> None:
    for_all, elsewhere = tmp_path / "for all", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if squatted == "a link":
        for_all.symlink_to(elsewhere)
    else:
        for_all.mkdir()
        for_all.chmod(0o777)
    monkeypatch.setattr(embedded, "_PROGRAMS_FOR_ALL", for_all)
    monkeypatch.setattr(embedded, "_is_open", lambda tree: False)

    with pytest.raises(embedded.ServerImpossible, match=r"for all: must be root's own, no link"):
        embedded._readable_programs(embedded._programs())

    assert list(for_all.iterdir()) == []


def test_only_our_user_on_the_socket_may_come_in(home: Home, server: EmbeddedServer) -> None:
    server.start()

    rules = ask(
        home, "select string_agg(concat_ws(' ', type, user_name[1], auth_method), ';') from pg_hba_file_rules"
    )
    assert rules == "local tradeproc trust;local all reject;host all reject"
    server.stop()
    (home.postgres / "pg_hba.conf").write_text("local all all trust\nhost all all 0.0.0.0/0 trust\n")
    server.start()
    assert ask(home, "select count(*) from pg_hba_file_rules") == "3"


def test_a_data_folder_that_is_a_link_is_refused(home: Home, server: EmbeddedServer, tmp_path: Path) -> None:
    home.postgres.symlink_to(tmp_path)

    with pytest.raises(embedded.ServerImpossible, match="not a link"):
        server.start()


def test_a_new_server_is_sound_and_has_no_network(home: Home, server: EmbeddedServer) -> None:
    server.start()

    assert ask(home, "show data_checksums") == "on"
    assert ask(home, "show listen_addresses") == ""
    assert ask(home, "show synchronous_commit") == "on"
    assert ask(home, "select datlocale from pg_database where datname = current_database()") == "C.UTF-8"
    assert (socket_folder(home).stat().st_mode & 0o077) == 0
    assert server.pid is not None
    assert psutil.Process(server.pid).uids().real != 0
    assert [c for c in psutil.Process(server.pid).net_connections() if c.family.name != "AF_UNIX"] == []


def test_what_was_committed_is_there_after_a_stop_and_a_start(home: Home, server: EmbeddedServer) -> None:
    server.start()
    keep_a_row(home)
    server.stop()
    assert server.exit_code() == 0

    server.start()

    assert ask(home, "select n from kept") == "7"


def test_half_a_data_folder_is_made_anew(home: Home, server: EmbeddedServer) -> None:
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


def test_a_forgotten_server_that_hangs_is_ended_before_a_new_one_starts(home: Home, server: EmbeddedServer) -> None:
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


def test_a_killed_server_recovers_and_a_lock_file_of_a_stranger_is_no_obstacle(
    home: Home, server: EmbeddedServer
) -> None:
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
    deep.forget_short_sockets()


@pytest.mark.parametrize("is_only_postmaster", [True, False])
def test_a_server_that_hangs_is_deaf_and_the_next_one_ends_it(
    home: Home, server: EmbeddedServer, is_only_postmaster: bool
) -> None:
    server.start()
    keep_a_row(home)
    assert server.pid is not None
    deafness = ServerProbe(database_url(home), 2.0)
    wait_until("an answer", lambda: not deafness.is_deaf())

    if is_only_postmaster:
        psutil.Process(server.pid).suspend()
    else:
        freeze_server(server.pid)

    wait_until("it is deaf", deafness.is_deaf)
    second = EmbeddedServer(home, durable=False)
    second.start()
    try:
        assert ask(home, "select n from kept") == "7"
        wait_until("an answer", lambda: not deafness.is_deaf())
        assert server.exit_code() is not None
    finally:
        second.stop()


def test_a_server_that_is_not_there_is_not_deaf(home: Home) -> None:
    deafness = ServerProbe(database_url(home), 1.0)
    deafness._answered_at = 0

    wait_until("a refusal", lambda: not deafness.is_deaf())
