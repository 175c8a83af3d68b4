"""Each message that a process says or answers is defined in `tradeproc/protocol/`, which also says by whom.

The definitions are held against the calls of the code, which are found in its syntax and looked up in its modules.
"""

import ast
import functools
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tradeproc
from tradeproc import protocol
from tradeproc.protocol.definitions import ANY, Method, Topic

PACKAGE = Path(tradeproc.__file__).parent
# the method, and which of its arguments is the topic or method of the bus
SAID = {"publish": 0, "snapshot": 0, "handle": 0, "handle_timed": 0}
HEARD = {"subscribe": 1, "request": 1, "call": 1, "Follow": 2}
FEEDS = {"bars": {"bars"}, "account_feed": {"orders", "positions"}, "orders": {"orders"}, "positions": {"positions"}}


def module_of(path: Path) -> Any:
    return importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))


def kinds_of(path: Path) -> set[str]:
    """Return the kinds of processes that a module of `procs` runs in."""
    room = path.parent.name
    return FEEDS.get(path.stem, {"bars", "orders", "positions"}) if room == "feeds" else {room}


def definitions() -> dict[str, Any]:
    found = {}
    for each in pkgutil.iter_modules(protocol.__path__, "tradeproc.protocol."):
        for name, value in vars(importlib.import_module(each.name)).items():
            table = value if isinstance(value, dict) else {"": value}
            for key, one in table.items():
                if isinstance(one, Topic | Method):
                    found[f"{each.name.rpartition('.')[2]}.{name}{key and f'[{key}]'}"] = one
    return found


DEFINITIONS = definitions()
# a second name of one, as a module has that imports it, tells nothing new
DEFINED = {id(value): (name, value) for name, value in reversed(DEFINITIONS.items())}


def spoken_by(definition: Any) -> tuple[str, ...]:
    return tuple(definition.publishers if isinstance(definition, Topic) else definition.answered_by)


def calls(tree: ast.AST, wanted: dict[str, int]) -> Iterator[tuple[int, ast.expr]]:
    """Return the line and the topic or method of each call to the bus."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            place = wanted.get(name)
            if place is not None and len(node.args) > place and not _is_http(node):
                yield node.lineno, node.args[place]


def _is_http(call: ast.Call) -> bool:
    return isinstance(call.args[0], ast.Constant) and call.args[0].value in ("GET", "POST")


def meant(module: Any, expression: ast.expr) -> list[Any]:
    """Return the definitions that a name of a module, or one of a module that it imports, stands for."""
    match expression:
        case ast.Name(id=name):
            value = getattr(module, name, None)
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            value = getattr(getattr(module, owner, None), name, None)
        case ast.Subscript(value=table):
            return meant(module, table)
        case ast.IfExp(body=one, orelse=other):
            return meant(module, one) + meant(module, other)
        case _:
            return []
    values = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
    return [each for each in values if isinstance(each, Topic | Method)]


def given(tree: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    """Return the line and the topic or method of each call that hands it to a function which says or serves it."""
    places = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            names = [each.arg for each in function.args.args if each.arg != "self"]
            said = [topic.id for _, topic in calls(function, SAID) if isinstance(topic, ast.Name)]
            for name in set(said) & set(names):
                places[function.name] = names.index(name)
    yield from calls(tree, places)


@functools.cache
def mentioned(path: Path) -> set[int]:
    module, tree = module_of(path), ast.parse(path.read_text())
    return {
        id(each)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
        for each in meant(module, node)
    }


PROCS = sorted((PACKAGE / "procs").glob("*/*.py"))
ALL = sorted(path for room in ("procs", "desk", "cli", "bench") for path in (PACKAGE / room).rglob("*.py"))


def raw(source: str) -> list[int]:
    """Return the lines where a text stands instead of a definition."""
    wanted = {**{"publish": 0, "handle": 0, "handle_timed": 0}, **HEARD}
    return [
        line
        for line, topic in calls(ast.parse(source), wanted)
        if isinstance(topic, ast.JoinedStr) or (isinstance(topic, ast.Constant) and isinstance(topic.value, str))
    ]


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_is_said_and_asked_is_a_definition_and_no_text(path: Path) -> None:
    assert raw(path.read_text()) == []


def test_a_text_instead_of_a_definition_is_found() -> None:
    source = 'node.publish("candle", body)\nclient.call(process, f"{x}", {}, 1)\nnode.handle(STOP, stop)\n'

    assert raw(source + 'Follow(node, process, "x")\nconnection.request("GET", f"{path}")\n') == [1, 2, 4]


@pytest.mark.parametrize("path", PROCS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_process_says_and_answers_only_what_its_kind_is_to(path: Path) -> None:
    module, tree = module_of(path), ast.parse(path.read_text())
    strangers = [
        f"line {line}: {ast.unparse(topic)} is of {', '.join(spoken_by(each))}"
        for line, topic in [*calls(tree, SAID), *given(tree)]
        for each in meant(module, topic)
        if id(each) not in DEFINED or not {ANY, *kinds_of(path)} & set(spoken_by(each))
    ]

    assert strangers == [], "define it in protocol/, with this kind of process among those that say or answer it"


def test_a_definition_of_another_kind_is_no_definition_of_ours() -> None:
    module = module_of(PACKAGE / "procs" / "trader" / "commands.py")
    (of_trader,) = meant(module, ast.parse("said.HALT", mode="eval").body)

    assert spoken_by(of_trader) == ("trader",)
    assert not kinds_of(PACKAGE / "procs" / "keeper" / "main.py") & set(spoken_by(of_trader))


def test_what_a_function_says_or_serves_for_its_callers_is_found_at_the_callers() -> None:
    source = "def serve(node, method, ask):\n    node.handle(method, ask)\n\n"
    source += "serve(node, said.HALT, ask)\nserve(node, X, 1)\n"

    assert [(line, ast.unparse(topic)) for line, topic in given(ast.parse(source))] == [(4, "said.HALT"), (5, "X")]


def test_a_table_and_a_choice_stand_for_all_that_they_hold() -> None:
    module = module_of(PACKAGE / "procs" / "keeper" / "latches.py")
    chosen = "LOGIN_SWITCHES[name] if of_login else SWITCHES[name]"

    found = meant(module, ast.parse(chosen, mode="eval").body)

    assert {"halt", "halt_login"} <= {each.name for each in found}


@pytest.mark.parametrize("name", sorted(name for name, _ in DEFINED.values()))
def test_each_kind_of_process_that_a_definition_names_knows_it(name: str) -> None:
    definition = DEFINITIONS[name]
    silent = [
        kind
        for kind in spoken_by(definition)
        if kind != ANY and not any(id(definition) in mentioned(path) for path in PROCS if kind in kinds_of(path))
    ]

    assert silent == [], "these kinds of processes do not say or answer it"
