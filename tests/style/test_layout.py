"""The style page as code: where things are, how large they may be, what they may be called."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import tradeproc
from tradeproc import errors

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tradeproc"
MODULES = sorted(PACKAGE.rglob("*.py"))

FORBIDDEN_NAMES = {"utils", "util", "common", "misc", "helpers", "base", "manager"}

# a file may be longer when one table or one protocol is the reason; this list may only shrink
LONG_MODULES = {
    "brokers/contract.py": "the whole contract on one page",
    "domain/calendar_table.py": "generated data",
}
LONGEST_MODULE = 400
# names that modules of several rooms have, and the one idea that they stand for (the modules of `cli/commands/` are
# called as a person types them, and need not be here)
SHARED_MODULE_NAMES = {
    "alarms": "the alarms that this part of the system can raise",
    "bars": "bars: of many trades at once, and the process that streams them",
    "candles": "candles: as values, as builders of tests, as a benchmark",
    "client": "the side that asks",
    "codec": "values into what travels, and back",
    "columns": "columns of what is read: of a tape, of a table",
    "commands": "what a part is told to do by people or by another process",
    "contract": "what others must satisfy, and the tests of it",
    "desk": "a whole desk in a temporary home",
    "grid": "prices onto the grid of ticks",
    "journal": "an append-only file that outlives the process",
    "lists": "whole lists, or none",
    "main": "the entry of a process or of a command",
    "market": "the market as this room sees it: a tape, a broker's answers, bars for a strategy",
    "market_hours": "the hours of the exchanges, and what a person changes of them",
    "orders": "orders: as values, as a state machine, in the exchange, on a wire, as a process",
    "positions": "positions: the process that streams them, and the comparison with our count",
    "schedule": "when a session runs",
    "streams": "endless answers of a broker: the end that reads and the end that writes",
}
SQL_ELSEWHERE = {"bench/baseline.py": "what a benchmark is measured against uses nothing of ours"}
LONGEST_FUNCTION = 45


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))

    assert docstring, f"{path} has no docstring"


def test_the_map_lists_exactly_the_folders_on_disk() -> None:
    listed = re.findall(r"^(\w+)/ {2,}", tradeproc.__doc__ or "", re.MULTILINE)

    on_disk = sorted(folder.parent.name for folder in PACKAGE.glob("*/__init__.py"))
    assert sorted(listed) == on_disk


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES} - {PACKAGE}), ids=name_of)
def test_the_map_of_a_folder_names_its_modules(folder: Path) -> None:
    named = re.findall(r"\w+\.py\b", ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or "")

    on_disk = {path.name for path in folder.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert not on_disk - set(named), "the docstring of __init__.py does not say what these are"
    anywhere = {path.name for top in (PACKAGE, ROOT / "tests") for path in top.rglob("*.py")}
    assert not set(named) - anywhere, "there are no such modules"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_has_a_name_that_says_nothing(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES


def test_a_class_name_means_one_thing_in_the_whole_package() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].add(name_of(path))

    assert len(found) > 400
    assert not {name: sorted(paths) for name, paths in found.items() if len(paths) > 1}


def test_a_module_name_that_two_rooms_have_means_the_same_in_both() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        if path.parent.name != "commands" and path.name not in ("__init__.py", "__main__.py"):
            found[path.stem].append(name_of(path))

    shared = {stem for stem, paths in found.items() if len(paths) > 1}
    assert not {stem: found[stem] for stem in shared - set(SHARED_MODULE_NAMES)}
    assert not set(SHARED_MODULE_NAMES) - shared, "no longer shared: take them off the list"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_can_be_seen_whole(path: Path) -> None:
    text = path.read_text()
    lines = len(text.splitlines())
    long_functions = [
        f"{function.name} ({function.end_lineno - function.lineno + 1} lines)"
        for function in functions(ast.parse(text))
        if function.end_lineno is not None and function.end_lineno - function.lineno + 1 > LONGEST_FUNCTION
    ]

    assert name_of(path) in LONG_MODULES or lines <= LONGEST_MODULE, f"{lines} lines"
    assert not long_functions


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_sql_stands_only_in_the_store(path: Path) -> None:
    if path.is_relative_to(PACKAGE / "store") or name_of(path) in SQL_ELSEWHERE:
        return
    statement = re.compile(r"^\s*(select .* from|insert into|update \w+ set|delete from|create table)\b", re.I | re.S)

    texts = [
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert not [text for text in texts if statement.match(text)]


def test_the_error_tree_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"^ {8}(\w+) ", errors.__doc__ or "", re.MULTILINE)

    assert drawn == [verdict.__name__ for verdict in errors.TradeprocError.__subclasses__()]


def test_every_error_hangs_under_a_verdict() -> None:
    verdicts = {"Refusal", "Outage", "Fault", "Halt"}
    stray = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                if "TradeprocError" in bases and node.name not in verdicts:
                    stray.append(f"{name_of(path)}: {node.name}")
                if (
                    bases & {"Exception", "BaseException", "RuntimeError", "ValueError"}
                    and name_of(path) != "errors.py"
                ):
                    stray.append(f"{name_of(path)}: {node.name}")
    assert not stray
