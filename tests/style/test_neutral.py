"""Rooms that know no broker: no broker's words in the exchange, no dialect in the local broker but in one list."""

import ast
import re
from pathlib import Path

import pytest

import tradeproc
from tradeproc.localbroker.faults import REQUESTS, STREAMS, FaultName

PACKAGE = Path(tradeproc.__file__).parent
EXCHANGE = sorted((PACKAGE / "exchange").glob("*.py"))
LOCAL_BROKER = sorted((PACKAGE / "localbroker").glob("*.py"))
# words of one broker's wire, and names of brokers
WORDS = re.compile(
    r"\b(TradeStation|Tradovate|Schwab|ThinkOrSwim|BRK|OSO|OCO|OSP|NORMAL|DYP|GCP|UROut|ACK|OrderConfirmID|AccountID"
    r"|OrderID|Cancel/Replace|confirm_ids?|TradeAction|StopMarket)\b",
    re.IGNORECASE,
)
REGISTRY = "dialects.py"


def dialects() -> set[str]:
    """Return the folders of dialects."""
    return {path.parent.name for path in (PACKAGE / "localbroker").glob("*/dialect.py")}


@pytest.mark.parametrize("path", EXCHANGE, ids=lambda path: path.name)
def test_the_exchange_has_no_word_of_any_broker(path: Path) -> None:
    assert WORDS.findall(path.read_text()) == []


@pytest.mark.parametrize("path", EXCHANGE, ids=lambda path: path.name)
def test_prices_of_the_exchange_are_ticks(path: Path) -> None:
    assert "Price" not in {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("path", LOCAL_BROKER, ids=lambda path: path.name)
def test_only_one_module_of_the_local_broker_names_a_dialect(path: Path) -> None:
    tree = ast.parse(path.read_text())
    named = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [
            *(alias.name for alias in node.names),
            *([node.module] if isinstance(node, ast.ImportFrom) else []),
        ]
        if name is not None and dialects() & set(name.split("."))
    }

    assert bool(named) == (path.name == REGISTRY)


def test_faults_and_what_they_hit_have_no_word_of_any_broker() -> None:
    names = {*FaultName, *STREAMS, *REQUESTS}

    assert [
        name for name in sorted(names) if re.search("go_?away|dual|logon|bar_?chart|order_?group|bod|confirm", name)
    ] == []


def test_there_is_a_dialect_and_the_words_are_found_where_they_belong() -> None:
    assert dialects() == {"tradestation"}
    assert WORDS.search((PACKAGE / "localbroker" / "tradestation" / "tickets.py").read_text())
