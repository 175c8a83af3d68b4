"""The README is true: its strategy runs, its commands exist, what it names is there."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.readme import README, strategy_of_the_readme
from tradeproc.cli.tradectl import make_parser
from tradeproc.domain.orders import Side
from tradeproc.localbroker.faults import FaultName
from tradeproc.strategies.contract import NOTHING, SubmitBracket
from tradeproc.strategies.loading import build_arguments, load_strategy
from tradeproc.testing.candles import candles
from tradeproc.testing.strategies import view

ROOT = README.parent
TEXT = README.read_text()


def test_the_strategy_of_the_readme_decides_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(strategy_of_the_readme())
    strategy = load_strategy("mine.py", tmp_path)
    arguments = build_arguments(strategy, {"count": 2})

    def decide(closes: list[float], position: int = 0) -> object:
        return strategy.on_candle(view(candles(closes), position=position), strategy.start(arguments), arguments)[0]

    assert decide([100, 101, 102]) == SubmitBracket(Side.BUY, 2, stop_loss=99.0, profit_target=104.0)
    assert decide([102, 101, 100]) == SubmitBracket(Side.SELL, 2, stop_loss=103.0, profit_target=98.0)
    assert decide([100, 101, 100]) is NOTHING
    assert decide([100, 101]) is NOTHING
    assert decide([100, 101, 102], position=1) is NOTHING


@pytest.mark.parametrize("file", ["mine.py", "test_mine.py", "test_csv_broker.py"])
def test_what_the_readme_shows_of_the_examples_is_what_they_are(file: str) -> None:
    (shown,) = re.findall(rf"```python\n# {re.escape(file)}\n(.*?)```", TEXT, re.DOTALL)

    assert shown in (ROOT / "examples" / file).read_text()


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield name, inner
                yield from ((f"{name} {deeper}", last) for deeper, last in commands(inner))


def test_every_command_is_in_the_table_and_the_reverse() -> None:
    known = {
        name
        for name, _ in commands(make_parser())
        if not name.startswith(("localbroker ", "session ", "tape ", "portfolio "))
    }
    table = TEXT.partition("| `scripts/tradectl …` | does |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]

    named = {words.split()[0] for cell in cells for words in re.findall(r"`([^`]*)`", cell)}
    # words of `session` and of `portfolio`, which share one row each
    named -= {"start", "stop", "remove", "pid", "list", "show", "add"}
    assert named == known


@pytest.mark.parametrize("line", re.findall(r"^scripts/(tradectl [^|`]*?)(?: {2,}.*)?$", TEXT, re.MULTILINE))
def test_every_tradectl_line_can_be_understood(line: str) -> None:
    make_parser().parse_args(line.split()[1:])


def test_the_faults_that_are_shown_exist() -> None:
    shown = set(re.findall(r"localbroker fault (\w+)", TEXT))

    assert shown and shown <= {fault.value for fault in FaultName}


def test_every_file_that_the_readme_names_is_there() -> None:
    named = re.findall(r"`((?:scripts|conf|tradeproc|examples|tests)/[\w./-]+)", TEXT)
    named += re.findall(r"\b[A-Z]+\.md\b", TEXT)

    assert not [name for name in named if not (ROOT / name).exists() and name != "conf/sessions/mine.toml"]


def test_the_readme_is_about_any_machine() -> None:
    assert not re.findall(r"/(?:work|root|tmp|home)/\w+", TEXT)


def test_every_command_and_every_option_has_a_help_text() -> None:
    for name, parser in commands(make_parser()):
        assert parser.description, name
        assert not [each.dest for each in parser._actions if each.help is None and each.option_strings], name
