"""A desk of a test is gone after it, whatever happened in it, and says why it did not come up."""

from pathlib import Path

import psutil
import pytest

from tests.conftest import processes_of
from tradeproc.testing.desk import TapeDesk, tape_desk
from tradeproc.testing.running import Child, configure, furnish, kill, temporary_home


def test_a_desk_that_cannot_come_up_says_at_once_what_its_processes_said(tmp_path: Path) -> None:
    desk = TapeDesk(tmp_path)
    (tmp_path / "supervisord.conf").write_text("[supervisord]\nnodaemon = perhaps\n")

    with pytest.raises(AssertionError, match="supervisord ended at once") as failure, desk:
        raise ZeroDivisionError("never reached")

    assert any("perhaps" in note for note in failure.value.__notes__)
    assert desk.supervisord is None


@pytest.mark.drill
def test_nothing_is_left_of_a_desk_whose_test_failed() -> None:
    with pytest.raises(ZeroDivisionError), tape_desk() as desk:
        root = desk.home.root
        assert desk.supervisord is not None
        family = psutil.Process(desk.supervisord.pid).children(recursive=True)
        assert len(family) > 5
        raise ZeroDivisionError

    assert not root.exists()
    assert not processes_of(root)
    assert not [process for process in family if process.is_running()]


def test_settings_of_a_home_are_those_that_were_given() -> None:
    with temporary_home() as home:
        furnish(home, port=17, tape='a "quoted" name.csv')
        configure(home, speed=2.5, accounts=["A", "B"])

        text = (home.conf / "tradeproc.toml").read_text().splitlines()

    assert not home.root.exists()
    for line in ("port = 17", r'tape = "a \"quoted\" name.csv"', "speed = 2.5", 'accounts = ["A", "B"]'):
        assert line in text


def test_a_child_that_ends_by_itself_tells_its_exit_code_and_its_own_words() -> None:
    with temporary_home() as home:
        first = Child(home, "trader", 1)
        assert first.wait() == 78
        second = Child(home, "trader", 1)
        assert second.wait() == 78
        kill(first, second)

        assert first.log == second.log
        assert len(second.said().splitlines()) == len(first.said().splitlines()) // 2 > 0
        assert not second.is_alive
