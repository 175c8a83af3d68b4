"""The list of the order path's modules is complete: what does input or output in its processes is stepped through."""

import ast
from collections.abc import Iterator, Sequence

import pytest

from tests.steps.kills import all_steps, source_of
from tests.steps.order_path import ELSEWHERE, ENTRY_POINTS, OFF_PATH, STEPPED

# calls by which something leaves a process or comes into it: sockets, the bus, the database, files
_CALLS = frozenset(
    {
        *("send_multipart", "recv_multipart", "sendall", "send", "recv", "recv_into", "create_connection"),
        *("publish", "request", "forward", "call", "execute", "exchange", "send_query_prepared", "rows"),
        *("fsync", "write", "write_bytes", "write_text", "unlink", "replace_file", "truncate", "open"),
    }
)
# rooms that may import nothing that does either, which the import contracts check
_PURE = ("domain", "protocol", "market", "exchange", "strategies", "engine")


def imported(module: str) -> Iterator[str]:
    """Yield the modules of the package that a module imports, inside of functions too."""
    for node in ast.walk(ast.parse(source_of(module).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tradeproc"):
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.startswith("tradeproc."))


def loaded(modules: Sequence[str]) -> set[str]:
    """Return the modules of the package that a process loads with these."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        one = waiting.pop()
        if one not in found and source_of(one).exists():
            found.add(one)
            waiting += imported(one)
    return found


def calls(module: str) -> set[str]:
    """Return the names by which something leaves a module's process or comes into it; the pure rooms have none."""
    if module.split(".")[1] in _PURE:
        return set()
    nodes = list(ast.walk(ast.parse(source_of(module).read_text())))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return (names | {node.id for node in nodes if isinstance(node, ast.Name)}) & _CALLS


@pytest.mark.parametrize("kind", STEPPED)
def test_each_module_of_a_process_that_does_input_or_output_is_stepped_through_or_excused(kind: str) -> None:
    listed = {*STEPPED[kind], *ELSEWHERE[kind], *OFF_PATH}
    doing = {module: calls(module) for module in loaded(ENTRY_POINTS[kind])}
    unlisted = {module: sorted(found) for module, found in doing.items() if found and module not in listed}

    assert not unlisted, "put them into STEPPED, or say in OFF_PATH why no order passes through them"


def test_what_is_listed_is_loaded_and_stands_in_one_list() -> None:
    for kind, entries in ENTRY_POINTS.items():
        loads = loaded(entries)
        assert not {*STEPPED[kind], *ELSEWHERE[kind]} - loads
        assert not set(STEPPED[kind]) & set(ELSEWHERE[kind])
    stepped = {module for modules in STEPPED.values() for module in modules}
    assert not stepped & set(OFF_PATH)
    assert {module for modules in ELSEWHERE.values() for module in modules} <= stepped
    unloaded = set(OFF_PATH).difference(*(loaded(entries) for entries in ENTRY_POINTS.values()))
    assert not unloaded


def test_the_scan_finds_input_and_output() -> None:
    assert calls("tradeproc.bus.publisher") >= {"send_multipart"}
    assert calls("tradeproc.store.database") >= {"send_query_prepared", "execute"}
    assert calls("tradeproc.brokers.http_connection") & {"sendall", "send", "recv"}
    assert not calls("tradeproc.bus.addresses")


def test_every_process_of_the_path_has_steps_whose_numbers_differ() -> None:
    assert all(len(steps) > 100 for steps in all_steps().values())
