"""A real supervisord is started in the background and ended; who waits is told in one line why it is not so."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.supervision.yard import Yard
from tradeproc.supervision.daemon import Daemon, DaemonTiming, SupervisordLate, SupervisordRefused
from tradeproc.testing.waiting import wait_until


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """A home whose supervisord does not run yet."""
    yard = Yard(tmp_path / "home")
    yield yard
    Daemon(yard.home).stop()


def test_one_that_was_started_answers_and_one_that_was_stopped_is_gone_with_all_it_ran(yard: Yard) -> None:
    daemon = Daemon(yard.home)

    assert daemon.start()
    assert yard.supervisor.is_up()
    assert daemon.pid() == yard.supervisor.pid()
    assert not daemon.start()
    family = psutil.Process(daemon.pid()).children()
    assert family

    assert daemon.stop()
    assert not any(child.is_running() for child in family)
    assert daemon.pid() == 0
    assert not yard.supervisor.is_up()
    assert not daemon.stop()


def test_it_does_not_end_with_the_terminal_of_who_started_it(yard: Yard) -> None:
    daemon = Daemon(yard.home)
    daemon.start()

    assert os.getsid(daemon.pid()) != os.getsid(0)


def test_one_that_is_on_its_way_down_is_waited_for_before_the_next_is_started(yard: Yard) -> None:
    daemon = Daemon(yard.home)
    daemon.start()
    first = daemon.pid()
    os.kill(first, signal.SIGTERM)
    wait_until("it to be on its way down", lambda: not yard.supervisor.is_up())

    assert daemon.start()

    assert daemon.pid() == yard.supervisor.pid() != first


def test_a_home_without_an_interpreter_is_refused_with_what_sets_it_up(yard: Yard) -> None:
    (yard.home.root / ".venv/bin/python").unlink()

    with pytest.raises(SupervisordRefused, match=r"there is no .*/\.venv/bin/python; scripts/quickstart"):
        Daemon(yard.home).start()


def test_what_supervisord_says_of_its_configuration_is_told(yard: Yard) -> None:
    conf = Path(yard.conf)
    conf.write_text(conf.read_text().replace("minfds=1024", "minfds=many"))

    with pytest.raises(SupervisordRefused, match=r"supervisord did not start: .*many"):
        Daemon(yard.home).start()


def test_one_that_does_not_end_in_its_time_is_told_and_ends_when_it_can(yard: Yard) -> None:
    yard.behave("keeper", "stubborn")
    Daemon(yard.home).start()
    keeper = yard.running("core.keeper")
    wait_until("its handler", (yard.home.root / "behave" / f"ready-{keeper.pid}").exists)

    with pytest.raises(SupervisordLate, match="waited 0 s and still not: supervisord has ended"):
        Daemon(yard.home, DaemonTiming(end=0.0)).stop()

    assert Daemon(yard.home).stop()
