"""The steps of a module, found in its syntax tree: before each statement of its functions, at the end of each block.

The place after a statement is the one before the next, so that between them these are all places where a process can
die in a function. A step is named after its function and its number there, so that it keeps its name when code
elsewhere changes. This uses the standard library only, because the processes of a desk load it before all else.
"""

import ast
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

HOOK = "__step__"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_BLOCKS = ("body", "orelse", "finalbody")


@dataclass(frozen=True, slots=True)
class Step:
    """One place: before `line` of a function, or at the end of a block that ends with it."""

    module: str
    function: str
    number: int
    line: int
    is_end: bool

    @property
    def name(self) -> str:
        """Return its name, which is unique in the package."""
        return f"{self.module}:{self.function}:{self.number}"

    @property
    def id(self) -> int:
        """Return the number under which a process knows it."""
        return zlib.crc32(self.name.encode()) + 1


def steps_of(source: str, module: str) -> list[Step]:
    """Return the steps of a module in their order."""
    return list(_put_in(ast.parse(source), module))


def with_hooks(source: str, module: str) -> ast.Module:
    """Return a module's tree in which each step calls the hook with its id."""
    tree = ast.parse(source)
    for _ in _put_in(tree, module):
        pass
    return ast.fix_missing_locations(tree)


def _put_in(tree: ast.Module, module: str) -> Iterator[Step]:
    """Put a call of the hook at each step, and yield the steps."""
    counted: dict[str, Iterator[int]] = {}
    for function, name in list(_functions(tree, "")):
        numbers = counted.setdefault(name, itertools.count())  # overloads of a name go on counting
        yield from _block(function.body, module, name, numbers, is_first=True)


def _functions(node: ast.AST, within: str) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
            name = f"{within}.{child.name}" if within else child.name
            if isinstance(child, _FUNCTIONS):
                yield child, name
            yield from _functions(child, name)
        else:
            yield from _functions(child, within)


def _block(
    block: list[ast.stmt], module: str, function: str, numbers: Iterator[int], *, is_first: bool = False
) -> Iterator[Step]:
    """Put the hook before each statement of a block and after its last one; nested functions have their own steps."""
    made: list[ast.stmt] = []
    statements = list(block)
    last = statements[-1]
    for place, statement in enumerate(statements):
        is_declared = isinstance(statement, (ast.Global, ast.Nonlocal)) or (
            is_first and place == 0 and _is_text(statement)
        )
        if not is_declared:
            step = Step(module, function, next(numbers), statement.lineno, is_end=False)
            made.append(_call(step, statement))
            yield step
        made.append(statement)
        if not isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            for inner in _inner_blocks(statement):
                yield from _block(inner, module, function, numbers)
    if not isinstance(last, _LEAVING):
        step = Step(module, function, next(numbers), last.end_lineno or last.lineno, is_end=True)
        made.append(_call(step, last))
        yield step
    block[:] = made


def _inner_blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in _BLOCKS:
        inner = getattr(statement, name, None)
        if inner:
            yield inner
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _call(step: Step, beside: ast.stmt) -> ast.stmt:
    call = ast.Expr(ast.Call(ast.Name(HOOK, ast.Load()), [ast.Constant(step.id)], []))
    for node in ast.walk(call):
        ast.copy_location(node, beside)
    return call
