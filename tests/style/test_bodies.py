"""Bodies of messages are values: who reads one by its keys has a second definition of it."""

import re
from pathlib import Path

import pytest

import tradeproc

PACKAGE = Path(tradeproc.__file__).parent
ROOMS = ("procs", "cli", "desk", "bench", "supervision")
BY_KEY = re.compile(r"\b(?:body|params)(?:\[|\.get\()")
# a topic or method that is named by a text: its body is a plain object, and nobody checks it
BY_TEXT = re.compile(
    r"\b_?(?:node|client|desk)\.(?:call|request|ask|handle|publish|snapshot|subscribe|unsubscribe)"
    r"\(\s*(?:(?:[^\"(),]|\([^()]*\))+,\s*)?\"[a-z_]+\"\s*[,)]"
)
MODULES = sorted(path for room in ROOMS for path in (PACKAGE / room).rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_names_a_topic_or_a_method_by_a_text(path: Path) -> None:
    assert BY_TEXT.findall(path.read_text()) == [], "use its definition in protocol/"


def test_a_topic_or_a_method_that_is_named_by_a_text_is_found() -> None:
    text = 'node.handle("state", f)\nself.desk.ask(names.trader(1), "status", {})\nself._node.publish(STATE, body)'

    assert len(BY_TEXT.findall(text)) == 2


def offenders(text: str) -> list[str]:
    return [
        f"line {number}: {line.strip()}" for number, line in enumerate(text.splitlines(), 1) if BY_KEY.search(line)
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_reads_a_body_by_its_keys(path: Path) -> None:
    assert offenders(path.read_text()) == [], "define the body in protocol/, and read its fields"


def test_a_body_that_is_read_by_its_keys_is_found() -> None:
    text = 'one = body["session"]\ntwo = envelope.body.get("state")\nthree = params["by"]\nfour = body.session\n'

    assert [line.partition(":")[0] for line in offenders(text)] == ["line 1", "line 2", "line 3"]
