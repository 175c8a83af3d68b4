"""ARCHITECTURE.md is held against the code: processes, groups, order states, errors, links."""

import configparser
import re
from pathlib import Path

from tradeproc import errors
from tradeproc.domain.orders import OrderState
from tradeproc.procs.__main__ import module_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()

# modules of procs/ that are no process of their own
SHELLS = {"__init__", "__main__", "entry"}


def table_rows(first_cell: str) -> list[list[str]]:
    """Return the body of the table whose header begins with `first_cell`."""
    lines = PAGE.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_cell} |")) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_page_can_be_read_in_one_sitting() -> None:
    assert len(PAGE.splitlines()) <= 200


def test_every_room_is_in_the_table() -> None:
    named = [room for row in table_rows("room") for room in re.findall(r"`(\w+)/`", row[0])]

    assert sorted(named) == sorted(folder.parent.name for folder in (ROOT / "tradeproc").glob("*/__init__.py"))


def test_every_process_of_the_table_is_a_module_with_a_main() -> None:
    for row in table_rows("process"):
        name, module = row[0], row[1].strip("`")
        text = (ROOT / "tradeproc" / module).read_text()

        assert module == module_of(name).removeprefix("tradeproc.").replace(".", "/") + ".py"
        assert "def main(" in text


def test_every_module_with_a_main_is_in_the_table() -> None:
    named = {row[0] for row in table_rows("process")}
    folder = ROOT / "tradeproc" / "procs"
    found = {
        path.parent.name if path.stem == "main" else path.stem
        for path in folder.rglob("*.py")
        if path.stem not in SHELLS and re.search(r"^def main\(", path.read_text(), re.MULTILINE)
    }

    assert found == named


def test_every_program_of_supervisord_is_in_the_table_and_in_its_group() -> None:
    conf = configparser.RawConfigParser(strict=True, inline_comment_prefixes=(";", " #"))
    conf.read(ROOT / "supervisord.conf")
    groups = {row[0]: row[2] for row in table_rows("process")}

    programs = [
        section.split(":", 1)[1] for section in conf.sections() if section.startswith(("program:", "eventlistener:"))
    ]
    assert set(programs) <= set(groups)
    for section in conf.sections():
        if section.startswith("group:"):
            group = section.split(":", 1)[1]
            for program in conf.get(section, "programs").split(","):
                assert groups[program.strip()] == group


def test_everything_that_is_confirmed_has_a_test() -> None:
    rows = table_rows("confirmed")

    assert len(rows) > 8
    assert [row for row in rows if not (ROOT / row[3].strip("`")).is_file()] == []


def test_the_page_names_every_order_state() -> None:
    for state in OrderState:
        assert f"`{state.value}`" in PAGE


def test_the_page_names_every_verdict() -> None:
    for verdict in errors.TradeprocError.__subclasses__():
        assert verdict.__name__ in PAGE


def test_every_file_that_the_page_names_is_there() -> None:
    for named in re.findall(
        r"`((?:procs|engine|domain|store|bus|brokers|supervision|cli|strategies)/[\w/.]+\.\w+)`", PAGE
    ):
        assert (ROOT / "tradeproc" / named).exists(), named
