"""Generated groups read back as what was written."""

from pathlib import Path

import pytest

from tradeproc.home import Home
from tradeproc.supervision.declared import BadDeclaration, Intensity, Strategy, read_declarations
from tradeproc.supervision.groups import (
    GroupFiles,
    ProgramSpec,
    feed_program,
    is_ours,
    link_group,
    parse,
    render,
    session_group,
)

ROOT = Path(__file__).parents[2]


def test_a_rendered_group_is_parsed_as_itself() -> None:
    link = link_group("paper").with_program(ProgramSpec("bars-ESH24-1m", ("bars", "paper", "ESH24", "1")))

    for group in (link, session_group(3)):
        assert parse(render(group, Home(Path("/a home/here")))) == group


def test_a_feed_is_known_by_its_name() -> None:
    assert feed_program("paper", "bars-ESH24-15m").arguments == ("bars", "paper", "ESH24", "15")
    assert feed_program("paper", "orders-A-1.F").arguments == ("orders", "paper", "A-1.F")
    assert feed_program("a-b", "positions-SIM1").arguments == ("positions", "a-b", "SIM1")


def test_a_file_that_somebody_edited_is_told_from_ours_and_discarded(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    files = GroupFiles(home)
    for group in (session_group(3), session_group(4), link_group("paper")):
        files.write(group)
    text = files.text("session-3")
    files.path("session-3").write_text(text.replace("killasgroup=true", "killasgroup=false"))
    files.path("link-paper").write_bytes(b"\xff no configuration\n")

    assert is_ours(text)
    assert not is_ours("")
    assert files.read("session-3") is None
    assert files.discard_edited() == ["link-paper", "session-3"]
    assert files.names() == ["session-4"]
    assert files.discard_edited() == []


def test_files_are_listed_by_group_and_others_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    files = GroupFiles(home)
    (home.groups / "mine.conf").write_text("[group:mine]\nprograms=\n")
    files.write(session_group(3))
    files.write(link_group("paper"))

    assert files.names() == ["link-paper", "session-3"]
    files.remove("session-3")
    files.remove("session-3")
    assert files.names() == ["link-paper"]
    assert files.read("session-3") is None


def test_groups_declare_strategy_intensity_and_order(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    (tmp_path / "supervisord.conf").write_text((ROOT / "supervisord.conf").read_text())
    files = GroupFiles(home)
    files.write(session_group(3))
    files.write(link_group("paper").with_program(ProgramSpec("orders-A", ("orders", "paper", "A"))))

    declared = read_declarations(home)

    assert set(declared) == {"core", "localbroker", "session-3", "link-paper"}
    assert declared["core"].strategy is Strategy.REST_FOR_ONE
    assert declared["core"].intensity == Intensity(10, 60.0)
    assert declared["core"].companions("portfolio") == ("keeper", "jobs")
    assert declared["core"].companions("postgres") == ("tokens", "portfolio", "keeper", "jobs")
    assert declared["core"].companions("jobs") == ()
    assert declared["session-3"].companions("trader") == ("account",)
    assert declared["link-paper"].companions("link") == ()
    assert declared["localbroker"].programs == ("localbroker",)


@pytest.mark.parametrize("line", ["strategy=all", "intensity=many", "intensity=5/0", "intensity=5"])
def test_a_declaration_that_cannot_be_read_stops_the_warden_with_one_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "supervisord.conf").write_text(f"[group:x]\nprograms=a\n{line}\n[program:a]\ncommand=/bin/true\n")

    with pytest.raises(BadDeclaration, match=r"\[x\] " + line.split("=")[0]):
        read_declarations(Home(tmp_path))
