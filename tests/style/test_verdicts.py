"""A verdict is what happens: who catches an error and goes on does not call it a fault."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "tradeproc"

# where a process ends, or one is judged from outside: here a Fault or a Halt may be caught
ENTRY_POINTS = {
    "procs/entry.py",
    "procs/keeper/strategy_check.py",
    "simulation/trader_life.py",
    "simulation/world.py",
}
# a Halt where it ends a start, and something else where it is met later; this table may only shrink
GONE_ON_FROM = {
    "BadConfig config/logins.py": "a login that cannot be used is told of by its name; the others are used",
    "BadConfig desk/collector.py": "a view of a desk whose configuration is broken shows the rest",
    "BadConfig cli/why.py": "the answer is given without the calendar",
    "BadConfig procs/market_hours_file.py": "the file changed while we run: the hours before stay in force",
    "Halt procs/tokens/supply.py": "a refresh token that is lost or dead is replaced by the next one, or by a person",
    "Halt procs/feeds/feed.py": "it ends the reader's thread; the loop's thread raises StreamIsOver",
    "Halt procs/link/asking.py": "it is raised again on the loop's thread",
}


@functools.cache
def trees() -> dict[str, ast.Module]:
    """Parse the package when a test needs it: every worker imports this module, and one runs its tests."""
    return {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def of_verdict(verdict: str) -> set[str]:
    """Return the names of all classes that hang under a verdict, and its own."""
    found = {verdict}
    classes = [node for tree in trees().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while more := {each.name for each in classes if found & set(map(ast.unparse, each.bases))} - found:
        found |= more
    return found


def caught(tree: ast.Module) -> Iterator[str]:
    """Yield what a module catches to go on; an error that is translated into another does not count."""
    tuples = {
        ast.unparse(target): node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
        for target in node.targets
    }
    for node in ast.walk(tree):
        kinds: list[ast.expr] = []
        if isinstance(node, ast.ExceptHandler) and node.type and not isinstance(node.body[-1], ast.Raise):
            kinds = [tuples.get(ast.unparse(node.type), node.type)]
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            kinds = node.args
        for kind in kinds:
            for each in kind.elts if isinstance(kind, ast.Tuple) else [kind]:
                yield ast.unparse(each)


def gone_on_from(verdict: str) -> set[str]:
    """Return which errors of a verdict are caught to go on, and where: `<class> <module>`."""
    names = of_verdict(verdict)
    return {
        f"{name} {module}"
        for module, tree in trees().items()
        if module not in ENTRY_POINTS
        for name in caught(tree)
        if not name.startswith("xmlrpc.") and name.rpartition(".")[2] in names
    }


def test_nobody_goes_on_after_a_fault() -> None:
    assert gone_on_from("Fault") == set()


def test_who_goes_on_after_a_halt_has_a_reason() -> None:
    assert gone_on_from("Halt") == set(GONE_ON_FROM)
