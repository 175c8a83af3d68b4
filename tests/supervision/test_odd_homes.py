"""A home may be called anything: a real supervisord starts its programs there, and supervisorctl finds it."""

from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.supervision.yard import Yard
from tradeproc.home import find_home
from tradeproc.supervision.groups import GroupFiles, session_group
from tradeproc.testing.waiting import wait_until

NAMES = ["100% für uns", "%(here)s %d", 'a ;b "c" [d]', "it's #1, $HOME\\{x} 東 ", "st*r?"]


@pytest.mark.parametrize("name", NAMES)
def test_a_home_of_any_name_runs(tmp_path: Path, name: str) -> None:
    yard = Yard(tmp_path / name / "home" / name)
    GroupFiles(yard.home).write(session_group(1))

    with yard:
        for program in (yard.running("core.keeper"), yard.running("warden.warden"), yard.running("session-1.trader")):
            process = psutil.Process(program.pid)
            wait_until("its program", lambda process=process: process.environ().get("TRADEPROC_HOME"))  # type: ignore[misc]
            assert find_home(process.environ()["TRADEPROC_HOME"]).root == yard.home.root
            assert Path(process.cwd()).resolve() == yard.home.root
        assert "RUNNING" in yard.supervisorctl("status", "core:keeper")
        assert {path.name for path in yard.home.log.glob("*.log")} >= {"core.keeper.log", "session-1.trader.log"}
        assert (yard.home.run / "supervisord.pid").exists()

    link = yard.home.plain_root
    yard.home.forget_short_sockets()
    assert link == yard.home.root or not link.is_symlink()
