"""supervisord as we start it: its socket, its groups, exit codes that stay down."""

import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from supervisor.xmlrpc import Faults

from tests.supervision.yard import Yard
from tradeproc.home import Home
from tradeproc.supervision.client import ProgramState, RefusalCode, Supervisor, SupervisorAway, SupervisorRefused
from tradeproc.supervision.groups import GroupFiles, session_group
from tradeproc.testing.waiting import wait_until


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with Yard(tmp_path_factory.mktemp("yard") / "home") as yard:
        yield yard


def test_the_shipped_file_starts_every_process_of_the_core(yard: Yard) -> None:
    for process in ("core.postgres", "core.tokens", "core.portfolio", "core.keeper", "core.jobs", "warden.warden"):
        assert yard.running(process).pid > 0
    assert yard.running("localbroker.localbroker").logfile.endswith("run/log/localbroker.localbroker.log")


def test_status_answers_in_a_home_with_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    root = tmp_path / ("long-" * 30)
    assert len(str(root)) > 120

    with Yard(root) as yard:
        yard.running("core.keeper")

        assert "core:keeper" in yard.supervisorctl("status")
        assert "RUNNING" in yard.supervisorctl("status", cwd=tmp_path)
    assert not (root / "run" / "sockets" / "supervisor.sock").exists()


def test_done_and_halted_programs_stay_down_at_once(tmp_path: Path) -> None:
    yard = Yard(tmp_path / "home")
    yard.behave("postgres", "exit 0")
    yard.behave("tokens", "exit 78")
    with yard:
        for process, code in (("core.postgres", 0), ("core.tokens", 78)):
            wait_until("the end", partial(yard.is_in, process, ProgramState.EXITED))
            assert yard.program(process).exit_status == code


def test_a_fault_is_started_again_by_supervisord_alone(yard: Yard) -> None:
    before = yard.running("core.jobs")
    yard.behave("jobs", "exit 70")
    yard.supervisor.stop("core", "jobs")
    wait_until("jobs to stop", lambda: yard.program("core.jobs").state.is_down)
    yard.supervisor.start("core", "jobs")
    yard.behave("jobs", "")

    assert yard.running("core.jobs", other_than=before.pid).pid > 0


def test_a_group_is_added_started_stopped_and_removed_without_touching_others(yard: Yard) -> None:
    core = yard.running("core.keeper").pid
    files = GroupFiles(yard.home)
    files.write(session_group(7))

    assert yard.supervisor.add_group("session-7")
    assert not yard.supervisor.add_group("session-7")
    account, trader = yard.running("session-7.account"), yard.running("session-7.trader")
    assert account.pid != trader.pid
    with pytest.raises(SupervisorRefused, match="session-7"):
        yard.supervisor.remove_group("session-7")
    yard.supervisor.stop_group("session-7")
    wait_until("the group to stop", lambda: yard.program("session-7.trader").state.is_down)
    wait_until("the group to stop", lambda: yard.program("session-7.account").state.is_down)
    files.remove("session-7")
    assert yard.supervisor.remove_group("session-7")
    assert not yard.supervisor.remove_group("session-7")
    assert yard.find("session-7.trader") is None
    assert yard.program("core.keeper").pid == core


def test_a_generated_group_logs_to_the_file_of_its_process(yard: Yard) -> None:
    GroupFiles(yard.home).write(session_group(8))
    yard.supervisor.add_group("session-8")

    assert yard.running("session-8.trader").logfile == str(yard.home.log / "session-8.trader.log")


def test_what_is_up_already_is_not_an_error(yard: Yard) -> None:
    yard.running("core.jobs")

    assert not yard.supervisor.start("core", "jobs")
    yard.supervisor.start_group("core")


def test_a_supervisord_that_is_away_is_an_outage(tmp_path: Path) -> None:
    with pytest.raises(SupervisorAway, match="does not answer"):
        Supervisor(Home(tmp_path)).processes()
    assert not Supervisor(Home(tmp_path)).is_up()


def test_a_supervisord_that_is_stopping_is_an_outage_too(tmp_path: Path) -> None:
    yard = Yard(tmp_path / "home")
    yard.behave("jobs", "stubborn")
    with yard:
        yard.running("core.jobs")
        yard.supervisor.shutdown()

        with pytest.raises(SupervisorAway, match="stopping"):
            yard.supervisor.add_group("session-7")
        assert not yard.supervisor.is_up()


def test_a_program_that_dies_at_once_for_ever_can_be_stopped(tmp_path: Path) -> None:
    yard = Yard(tmp_path / "home")
    yard.behave("jobs", "exit 70")
    yard.behave("tokens", "exit 0")
    with yard:
        wait_until(
            "a death", lambda: "exited: jobs (exit status 70" in (yard.home.log / "supervisord.log").read_text()
        )
        wait_until("the end", lambda: yard.is_in("core.tokens", ProgramState.EXITED))

        assert yard.supervisor.stop("core", "jobs")

        wait_until("jobs to be down", lambda: yard.is_in("core.jobs", ProgramState.STOPPED))
        assert not yard.supervisor.stop("core", "jobs")
        assert not yard.supervisor.stop("core", "tokens")
        assert yard.is_in("core.tokens", ProgramState.EXITED)


def test_a_supervisord_makes_the_folder_of_the_sockets_before_its_first_program_runs(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # long enough for a folder of sockets elsewhere, and short enough for supervisord's own socket
    yard = Yard(tmp_path_factory.mktemp("deep") / "home")
    yard.home.forget_short_sockets()  # as a boot does that empties the temporary folder

    with yard:
        yard.running("core.jobs")
        assert stat.S_IMODE(yard.home.sockets.stat().st_mode) == 0o700

    assert not yard.home.sockets.is_relative_to(yard.home.run)
    assert "exited:" not in (yard.home.log / "supervisord.log").read_text()
    yard.home.forget_short_sockets()


def test_the_codes_of_refusals_are_those_of_supervisord() -> None:
    assert {code.name: code.value for code in RefusalCode} == {
        code.name: getattr(Faults, code.name) for code in RefusalCode
    }
