"""Steps of a module: none is forgotten, whatever the statement, and a module with its hooks does what it did."""

import ast
from collections import Counter

import pytest

from tests.steps.kills import source_of
from tests.steps.order_path import STEPPED
from tests.steps.points import HOOK, steps_of, with_hooks

SOURCE = '''
class Desk:
    """A text."""

    def work(self, given):
        """A text is no step."""
        total = 0
        for each in given:
            if each < 0:
                continue
            elif each == 7:
                total += 100
            else:
                total += each
        else:
            total += 1000
        try:
            with open("/dev/null"):
                total += int("no number")
        except ValueError:
            total += 1
        finally:
            total += 2
        match total:
            case 0:
                return "nothing"
            case _:
                pass
        while total > 5000:
            total -= 1
        def inner(value):
            return value * 2
        return inner(total)
'''


def run(code: object, steps: list[int]) -> int:
    """Run the module's function, and note the steps."""
    names: dict[str, object] = {HOOK: steps.append}
    exec(compile(code, "desk", "exec"), names)  # type: ignore[call-overload]
    desk = names["Desk"]
    return desk().work([1, 7, -3])  # type: ignore[operator,no-any-return]


def test_a_module_with_its_hooks_does_what_it_did_and_reaches_them() -> None:
    steps: list[int] = []

    assert run(with_hooks(SOURCE, "desk"), steps) == run(ast.parse(SOURCE), []) == 2 * (1 + 100 + 1000 + 1 + 2)
    assert set(steps) < {step.id for step in steps_of(SOURCE, "desk")}


def test_each_statement_of_a_function_has_its_step_before_it_and_each_block_one_at_its_end() -> None:
    steps = steps_of(SOURCE, "desk")
    work = [step for step in steps if step.function == "Desk.work"]

    before = sorted(step.line for step in work if not step.is_end)
    function, inner = [node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.FunctionDef)]
    inside = {*ast.walk(function)} - {function, function.body[0]} - {*inner.body}
    assert before == sorted(node.lineno for node in inside if isinstance(node, ast.stmt))
    ends = Counter(SOURCE.splitlines()[step.line - 1].strip() for step in work if step.is_end)
    assert ends == {
        "total += 100": 1,
        "total += each": 3,  # of its own block, of the one that `elif` stands for, and of the loop's
        "total += 1000": 1,
        'total += int("no number")': 2,
        "total += 1": 1,
        "total += 2": 1,
        "pass": 1,
        "total -= 1": 1,
    }
    assert [step.function for step in steps if step not in work] == ["Desk.work.inner"]


@pytest.mark.parametrize("module", sorted({each for modules in STEPPED.values() for each in modules}))
def test_every_listed_module_can_be_stepped_through(module: str) -> None:
    source = source_of(module).read_text()
    tree = with_hooks(source, module)

    compile(tree, module, "exec", dont_inherit=True)
    hooks = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == HOOK]
    assert len(hooks) == len(steps_of(source, module))
