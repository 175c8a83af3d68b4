"""Generated groups read back as what was written."""

import shlex
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from supervisor.options import ServerOptions

from tradeproc.home import Home
from tradeproc.supervision.declared import Intensity, RestartStrategy, read_declarations
from tradeproc.supervision.groups import (
    BadGroupFile,
    BadProgram,
    GroupFiles,
    ProgramSpec,
    feed_program,
    is_ours,
    link_group,
    parse,
    prepare,
    render,
    session_group,
)

ROOT = Path(__file__).parents[2]


def test_a_rendered_group_is_parsed_as_itself() -> None:
    link = link_group("paper").with_program(ProgramSpec("bars-ESH24-1m", ("bars", "paper", "ESH24", "1")))

    for group in (link, session_group(3)):
        assert parse(render(group, Home(Path("/a home/here")))) == group


def programs_as_supervisord_reads_them(home: Home) -> dict[str, tuple[str, str, str]]:
    """Return command, directory and log file by process, by supervisord's own parser of a whole desk."""
    (home.root / "supervisord.conf").write_text("[supervisord]\n[include]\nfiles=run/groups/*.conf\n")
    options = ServerOptions()
    options.configfile = str(home.root / "supervisord.conf")
    options.here = str(home.root)
    options.process_config(do_usage=False)
    return {
        f"{group.name}.{each.name}": (each.command, each.directory, each.stdout_logfile)
        for group in options.configroot.supervisord.process_group_configs
        for each in group.process_configs
    }


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20) | st.sampled_from(
    ["SIM1", "A-1.F", "%d", "%(here)s", "a;b", " ;", "a\n[program:evil]", "a\r", "[x]", "a,b", "a:b", "../x", "é"]
)


@given(account=WORDS)
def test_any_account_is_refused_or_read_by_supervisord_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, account: str
) -> None:
    home = Home(tmp_path_factory.mktemp("home"))
    home.make_folders()
    try:
        feed = ProgramSpec(f"orders-{account}", ("orders", "paper", account))
    except BadProgram:
        return
    group = link_group("paper").with_program(feed)
    GroupFiles(home).write(group)

    read = programs_as_supervisord_reads_them(home)

    assert set(read) == {"link-paper.link", f"link-paper.orders-{account}"}
    command = shlex.split(read[f"link-paper.orders-{account}"][0])
    assert command[1:] == ["-m", "tradeproc.procs", "orders", "paper", account]
    assert parse(render(group, home)) == group


@pytest.mark.parametrize("account", ["%d", "a\n[program:evil]\ncommand=/bin/true", "a;b", " ", "a b", "[x]", "../x"])
def test_what_means_something_to_supervisord_is_no_account(account: str) -> None:
    with pytest.raises(BadProgram, match="is no word for a program"):
        ProgramSpec(f"orders-{account}", ("orders", "paper", account))


@pytest.mark.parametrize("folder", ["50% off", "ä ö", "it's", 'say "so"', "%(name)s", "100%d"])
def test_a_home_of_any_name_is_read_by_supervisord_as_it_is(tmp_path: Path, folder: str) -> None:
    home = Home(tmp_path / folder)
    home.root.mkdir()
    home.make_folders()
    GroupFiles(home).write(session_group(3))
    text = render(session_group(3), home)

    home_read = Home(tmp_path)
    home_read.make_folders()
    (home_read.groups / "session-3.conf").write_text(text)
    read = programs_as_supervisord_reads_them(home_read)

    assert set(read) == {"session-3.account", "session-3.trader"}
    for name, (command, directory, log) in read.items():
        assert shlex.split(command)[0] == f"{home.root}/.venv/bin/python"
        assert directory == str(home.root)
        assert log == f"{home.log}/{name}.log"
    assert parse(text) == session_group(3)


def test_a_file_that_nobody_can_read_is_put_aside_and_the_desk_starts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    (home.groups / "mine.conf").write_text("[group:mine\nprograms=")
    (home.groups / "good.conf").write_text("[group:good]\nprograms=\n")

    assert GroupFiles(home).put_aside_unreadable() == ["mine"]
    prepare(home)

    assert {path.name for path in home.groups.iterdir()} - {"sockets.conf"} == {"good.conf", "mine.aside"}

    (home.groups / "mine.conf").write_text("[another")
    prepare(home)

    assert (home.groups / "mine.aside").read_text() == "[group:mine\nprograms="
    assert (home.groups / "mine.2.aside").read_text() == "[another"


@pytest.mark.parametrize(
    "text",
    [
        "[program:x]\ncommand=/bin/echo 100%d\n",
        "[program:x]\ncommand=/bin/echo %(nobody)s\n",
        "[program:x]\n",
        "[program:x]\ncommand=/bin/echo\nnumprocs=many\n",
        "[program:x]\ncommand=/bin/echo\nuser=nobody-of-this-name\n",
        "[group:x]\nprograms=y\n",
        "[eventlistener:x]\ncommand=/bin/echo\n",
    ],
)
def test_a_file_of_which_supervisord_refuses_a_value_is_put_aside(tmp_path: Path, text: str) -> None:
    home = Home(tmp_path)
    home.make_folders()
    (home.groups / "mine.conf").write_text(text)
    (home.groups / "good.conf").write_text("[program:good]\ncommand=/bin/echo 100%% %(here)s\n")

    assert GroupFiles(home).put_aside_unreadable() == ["mine"]
    assert GroupFiles(home).put_aside_unreadable() == []


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


def test_a_file_of_another_version_that_describes_no_group_is_not_ours(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    files = GroupFiles(home)
    body = render(session_group(3), home).partition("\n")[2].replace("strategy=one_for_all", "strategy=none")
    checksum = f"{zlib.crc32(body.encode()):08x}"
    files.path("session-3").write_text(f"; written by tradeproc, do not edit, checksum {checksum}\n{body}")

    assert files.read("session-3") is None
    assert files.discard_edited() == ["session-3"]
    with pytest.raises(BadGroupFile, match="none"):
        parse(body)


def test_before_supervisord_starts_the_feeds_of_a_former_life_are_forgotten(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    files = GroupFiles(home)
    files.write(link_group("paper").with_program(feed_program("paper", "bars-ESM24-1m")))
    files.write(session_group(3))

    prepare(home)

    assert files.read("link-paper") == link_group("paper")
    assert files.read("session-3") == session_group(3)


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

    declared = read_declarations(home).groups

    assert set(declared) == {"core", "localbroker", "notifier", "session-3", "link-paper"}
    assert declared["core"].strategy is RestartStrategy.REST_FOR_ONE
    assert declared["core"].intensity == Intensity(10, 60.0)
    assert declared["core"].companions("portfolio") == ("keeper", "jobs")
    assert declared["core"].companions("postgres") == ("tokens", "portfolio", "keeper", "jobs")
    assert declared["core"].companions("jobs") == ()
    assert declared["session-3"].companions("trader") == ("account",)
    assert declared["link-paper"].companions("link") == ()
    assert declared["localbroker"].programs == ("localbroker",)


@pytest.mark.parametrize("line", ["strategy=all", "intensity=many", "intensity=5/0", "intensity=5/inf", "intensity="])
def test_a_key_that_cannot_be_read_is_told_in_one_line_and_gets_a_careful_default(tmp_path: Path, line: str) -> None:
    conf = tmp_path / "supervisord.conf"
    conf.write_text(f"[group:x]\nprograms=a,b\n{line}\n[program:a]\n[program:b]\n[group:y]\nstrategy=rest_for_one\n")

    read = read_declarations(Home(tmp_path))

    assert read.unread["x"].startswith(f"{conf}: [x] {line.split('=')[0]}: write ")
    assert read.groups["x"].intensity == Intensity(5, 60.0)
    assert read.groups["x"].strategy is (
        RestartStrategy.ONE_FOR_ALL if "strategy" in line else RestartStrategy.ONE_FOR_ONE
    )
    assert read.groups["y"].strategy is RestartStrategy.REST_FOR_ONE
    assert set(read.unread) == {"x"}


@pytest.mark.parametrize("content", [b"strategy=one_for_all", b"[group:x]\n[group:x]\n", b"[group:\xff]\n"])
def test_a_file_that_cannot_be_read_costs_only_its_own_groups(tmp_path: Path, content: bytes) -> None:
    home = Home(tmp_path)
    home.make_folders()
    (tmp_path / "supervisord.conf").write_text("[group:y]\nprograms=a\n[program:a]\n")
    GroupFiles(home).write(session_group(3))
    (home.groups / "session-4.conf").write_bytes(content)

    read = read_declarations(home)

    assert set(read.groups) == {"y", "session-3"}
    assert set(read.unread) == {"session-4"}
    assert "session-4.conf" in read.unread["session-4"]
    assert "\n" not in read.unread["session-4"]


def test_the_groups_of_a_home_that_was_moved_are_written_anew_before_supervisord_reads_them(tmp_path: Path) -> None:
    old = Home(tmp_path / "old")
    old.root.mkdir()
    old.make_folders()
    GroupFiles(old).write(session_group(3))
    GroupFiles(old).write(link_group("paper"))
    new = Home(old.root.rename(tmp_path / "new"))

    prepare(new)

    assert GroupFiles(new).text("session-3") == render(session_group(3), new)
    assert str(tmp_path / "old") not in GroupFiles(new).text("link-paper")
