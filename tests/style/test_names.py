"""Names of processes and scopes are built and read in `tradeproc/protocol/` alone; all others use these."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tradeproc

PACKAGE = Path(tradeproc.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "protocol")

# how a name or a scope begins, or a pattern of one
BEGINNING = re.compile(
    r"(session|link|bars|orders|positions)-|(session|portfolio|login):|core\Z|core[.:]|warden[.:]w|localbroker[.:]l|host\Z"
)
# a name that is put together of a group and what runs there
TOGETHER = re.compile(
    r"\{[^}]*\}[.:](trader|account|link|keeper|tokens|portfolio|jobs|postgres)\b"
    r"|\{[^}]*\}[.:](bars|orders|positions)-"
    r"|\{[^}]*group[^}]*\}[.:]\{"
)
# texts that may stay, and why
EXCEPTIONS = {
    ("brokers/registry.py", "host"): "what a broker promises: the host of its servers",
    ("config/database_url.py", "host"): "a key of a database's address",
    ("localbroker/control_key.py", "host"): "a header of HTTP",
}


def texts_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Return all texts of a module with their lines but for docstrings; an f-string's as it is written."""
    seen: set[ast.expr] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        # a text that is a statement is a docstring, of a constant too
        seen.update(each.value for each in (body if isinstance(body, list) else ()) if isinstance(each, ast.Expr))
        if isinstance(node, ast.JoinedStr):
            seen.update(node.values)
            yield node.lineno, "".join(_part(each) for each in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in seen:
            yield node.lineno, node.value


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.FormattedValue):
        return f"{{{ast.unparse(part.value)}}}"
    return str(part.value) if isinstance(part, ast.Constant) else ""


def is_name(text: str) -> bool:
    """Tell whether a text is, or begins like, a name of a process, of a group or a scope; a sentence is none."""
    is_sentence = " " in re.sub(r"\{[^}]*\}", "", text)
    return not is_sentence and (BEGINNING.match(text) is not None or TOGETHER.match(text) is not None)


def offenders(source: str, file: str = "") -> list[str]:
    found = [(line, text) for line, text in texts_of(ast.parse(source)) if is_name(text)]
    return [f"line {line}: {text}" for line, text in found if (file, text) not in EXCEPTIONS]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_else_puts_names_or_scopes_together_or_takes_them_apart(path: Path) -> None:
    assert offenders(path.read_text(), str(path.relative_to(PACKAGE))) == [], (
        "use tradeproc/protocol/names.py or scopes.py"
    )


@pytest.mark.parametrize(
    "line",
    [
        'x = f"session-{number}.trader"',
        'x = f"link-{login}"',
        'x = "core.keeper"',
        'x = "core:tokens"',
        'x = "warden.warden"',
        'x = "localbroker:localbroker"',
        'x = f"session:{number}"',
        'x = f"{group}.trader"',
        'x = f"{group}:link"',
        'x = f"{group}.bars-{contract}"',
        'x = f"{program.group}:{program.name}"',
        'x = name.startswith(("bars-", 1))',
        'x = latch.scope == "host"',
        'x = re.compile(r"session-(\\d+)\\.trader")',
        'x = group.startswith("link-")',
        'x = scope.removeprefix("portfolio:")',
        'x = folder.glob("session-*.trader.rpc")',
    ],
)
def test_what_is_put_together_elsewhere_is_found(line: str) -> None:
    assert len(offenders(line)) == 1


@pytest.mark.parametrize(
    "source",
    [
        '"""`core.keeper`: what it is."""',
        'X = 1\n"""As session-7.trader."""',
        'x = f"session {number} runs"',
        'x = "see session-1.trader, say"',
        'x = f"see run/log/{process}.log"',
    ],
)
def test_words_for_people_are_no_names(source: str) -> None:
    assert offenders(source) == []


def test_no_exception_is_out_of_date() -> None:
    for file, text in EXCEPTIONS:
        assert text in {found for _, found in texts_of(ast.parse((PACKAGE / file).read_text()))}, (file, text)
