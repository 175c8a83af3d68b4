"""Strategies are loaded by file, module or installed name; each way to be wrong has one clear line."""

import os
from pathlib import Path

import numpy as np
import pytest

from tradeproc.strategies.donchian_atr import DonchianAtr
from tradeproc.strategies.loading import BadStrategy, begin, build_arguments, load_strategy
from tradeproc.strategies.moving_average_cross import MovingAverageCross
from tradeproc.strategies.opening_range_breakout import OpeningRangeBreakout

GOOD = """
from dataclasses import dataclass
from decimal import Decimal
from tradeproc.strategies.contract import NOTHING, argument

class Mine:
    name = "mine"

    @dataclass(frozen=True, slots=True)
    class Arguments:
        length: int = argument(5, help="candles", min=1, max=9)
        share: float = argument(0.5, help="of it", min=0.0)
        offset: Decimal = Decimal("0.25")
        is_long: bool = True
        label: str = "x"

    def warmup(self, arguments): return arguments.length
    def start(self, arguments): return None
    def on_candle(self, view, state, arguments): return NOTHING, state
"""


def written(folder: Path, text: str) -> Path:
    (folder / "mine.py").write_text(text)
    return folder


@pytest.mark.parametrize("reference", ["mine.py", "mine.py:Mine"])
def test_one_file_is_enough(tmp_path: Path, reference: str) -> None:
    strategy = load_strategy(reference, written(tmp_path, GOOD))

    assert strategy.name == "mine"
    assert strategy.warmup(build_arguments(strategy, {"length": 7})) == 7


def test_a_file_is_found_by_its_whole_path(tmp_path: Path) -> None:
    written(tmp_path, GOOD)

    assert load_strategy(f"{tmp_path}/mine.py:Mine").name == "mine"


def test_two_files_of_one_name_are_two_strategies(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, GOOD.replace('"mine"', f'"{name}"'))

    assert [load_strategy("mine.py", tmp_path / name).name for name in ("one", "two", "one")] == ["one", "two", "one"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("moving_average_cross", MovingAverageCross),
        ("opening_range_breakout", OpeningRangeBreakout),
        ("donchian_atr", DonchianAtr),
    ],
)
def test_the_examples_are_installed_under_their_names(name: str, kind: type) -> None:
    assert isinstance(load_strategy(name), kind)
    assert isinstance(load_strategy(f"tradeproc.strategies.{name}:{kind.__name__}"), kind)
    assert build_arguments(load_strategy(name), {}) == kind.Arguments()  # type: ignore[attr-defined]


BROKEN_FILES = [
    ("def f(:", "raises while it is loaded: SyntaxError: "),
    ("import nowhere_at_all", "raises while it is loaded: ModuleNotFoundError: No module named 'nowhere_at_all'"),
    ("raise SystemExit(3)", "raises while it is loaded: SystemExit: 3"),
    ("x = 1", "the file must define one class with on_candle, or be named file.py:Class: none"),
    (GOOD + "\nclass Other(Mine): pass", "or be named file.py:Class: Mine, Other"),
    (GOOD.replace("def start(", "def begin("), "Mine is no strategy: it has no method start"),
    (GOOD.replace('name = "mine"', "name = 3"), "Mine is no strategy: it has no text called name"),
    (GOOD.replace("class Arguments", "class Settings"), "Mine.Arguments must be a frozen dataclass"),
    (GOOD.replace("frozen=True, ", ""), "Mine.Arguments must be frozen"),
    (GOOD.replace('label: str = "x"', "label: list = None"), "field label must be int, float, bool, str or Decimal"),
    (GOOD.replace("length: int = argument(5", "length: int = argument(99"), "from 1 to 9, not 99"),
    (GOOD.replace("(self, view, state, arguments)", "(self, view)"), "on_candle must take (self, view, state, argum"),
    (
        GOOD.replace("def warmup", "def __init__(self): raise OSError('no')\n    def warmup"),
        "Mine() raises: OSError: no",
    ),
]


@pytest.mark.parametrize(("text", "told"), BROKEN_FILES)
def test_a_file_that_is_wrong_says_what(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadStrategy) as caught:
        load_strategy("mine.py", written(tmp_path, text))

    assert str(caught.value).startswith("strategy 'mine.py': ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("absent.py", "there is no file "),
        ("mine.py:Yours", "mine.py has no 'Yours'"),
        ("mine.py:Min", "the nearest is 'Mine'"),
        ("mine.py:NOTHING", "a strategy is a class, not Nothing"),
        ("nowhere.ideas:Mine", "there is no module 'nowhere'"),
        ("tradeproc.strategies.contract:Cross", "contract.py has no 'Cross'"),
        ("moving_average_kross", "no installed strategy has this name; the nearest is 'moving_average_cross'"),
        ("qqq", "no installed strategy has this name; there are donchian_atr, "),
        ("", "no installed strategy has this name"),
    ],
)
def test_a_reference_that_leads_nowhere_says_where_it_ends(tmp_path: Path, reference: str, told: str) -> None:
    with pytest.raises(BadStrategy) as caught:
        load_strategy(reference, written(tmp_path, GOOD))

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"lenght": 5}, "strategy 'mine': unknown argument 'lenght'; the nearest is 'length'"),
        ({"zzz": 5}, "unknown argument 'zzz'; there are length, share, offset, is_long, label"),
        ({"length": 10}, "argument 'length' must be from 1 to 9, not 10"),
        ({"length": 5.0}, "argument 'length' must be int, not 5.0"),
        ({"length": True}, "argument 'length' must be int, not True"),
        ({"length": "5"}, "argument 'length' must be int, not '5'"),
        ({"share": -0.1}, "argument 'share' must be at least 0.0, not -0.1"),
        ({"share": float("nan")}, "argument 'share' must be float, not nan"),
        ({"offset": "a quarter"}, "argument 'offset' must be Decimal, not 'a quarter'"),
        ({"is_long": 1}, "argument 'is_long' must be bool, not 1"),
        ({"label": 1}, "argument 'label' must be str, not 1"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(tmp_path: Path, given: dict[str, object], told: str) -> None:
    strategy = load_strategy("mine.py", written(tmp_path, GOOD))

    with pytest.raises(BadStrategy) as caught:
        build_arguments(strategy, given)

    assert told in str(caught.value)


def test_a_whole_number_will_do_for_a_float_and_a_text_for_a_decimal(tmp_path: Path) -> None:
    strategy = load_strategy("mine.py", written(tmp_path, GOOD))

    arguments = build_arguments(strategy, {"share": 2, "offset": "1.50"})

    assert (repr(arguments.share), str(arguments.offset)) == ("2.0", "1.50")


def test_arguments_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    check = '\n        def __post_init__(self):\n            if self.length > 3: raise ValueError("too long")\n'
    strategy = load_strategy(
        "mine.py",
        written(tmp_path, GOOD.replace('label: str = "x"', 'label: str = "x"' + check).replace("(5,", "(2,")),
    )

    with pytest.raises(BadStrategy, match="strategy 'mine': arguments do not go together: too long"):
        build_arguments(strategy, {"length": 4})


HELPED = GOOD.replace("from decimal", "{imports}\nfrom decimal").replace("arguments.length", "LENGTH")


@pytest.mark.parametrize("imports", ["from lengths import LENGTH", "from .lengths import LENGTH"])
def test_a_helper_beside_the_file_imports_and_each_folder_has_its_own(tmp_path: Path, imports: str) -> None:
    lengths = []
    for length in (3, 4):
        folder = tmp_path / f"of {length}"
        folder.mkdir()
        (folder / "lengths.py").write_text(f"LENGTH = {length}\n")
        written(folder, HELPED.replace("{imports}", imports))
        lengths.append(load_strategy("mine.py", folder).warmup(None))

    assert lengths == [3, 4]


def test_a_helper_that_is_imported_when_it_is_needed_is_found_too(tmp_path: Path) -> None:
    (tmp_path / "late_lengths.py").write_text("LENGTH = 5\n")
    written(tmp_path, GOOD.replace("return arguments.length", "from late_lengths import LENGTH; return LENGTH"))

    assert load_strategy("mine.py", tmp_path).warmup(None) == 5


@pytest.mark.parametrize("mode", [0o666, 0o602])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    file = written(tmp_path, GOOD) / "mine.py"
    file.chmod(mode)

    with pytest.raises(BadStrategy, match=r"mine\.py may be written by others, .*: chmod go-w "):
        load_strategy("mine.py", tmp_path)


@pytest.mark.parametrize("imports", ["from open_lengths import LENGTH", "from .open_lengths import LENGTH"])
def test_a_helper_that_others_may_write_is_refused(tmp_path: Path, imports: str) -> None:
    helper = tmp_path / "open_lengths.py"
    helper.write_text("LENGTH = 3\n")
    helper.chmod(0o666)
    written(tmp_path, HELPED.replace("{imports}", imports))

    with pytest.raises(BadStrategy, match=r"open_lengths\.py may be written by others"):
        load_strategy("mine.py", tmp_path)


def test_a_file_in_a_folder_where_others_may_replace_it_is_refused_unless_only_its_owner_may(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    written(folder, GOOD)

    folder.chmod(0o1777)
    assert load_strategy("mine.py", folder).name == "mine"
    folder.chmod(0o777)
    with pytest.raises(BadStrategy, match="shared may be written by others"):
        load_strategy("mine.py", folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(written(tmp_path, GOOD) / "mine.py", 65534, 65534)

    with pytest.raises(BadStrategy, match=r"belongs to .*, who may change what runs here"):
        load_strategy("mine.py", tmp_path)


def test_numpy_arguments_are_numbers(tmp_path: Path) -> None:
    strategy = load_strategy("mine.py", written(tmp_path, GOOD))

    made = build_arguments(strategy, {"length": np.int64(7), "share": np.float32(0.5), "is_long": np.bool_(False)})

    assert (made.length, made.share, made.is_long) == (7, 0.5, False)
    assert [type(each) for each in (made.length, made.share, made.is_long)] == [int, float, bool]


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("return arguments.length", "return {}['x']", "warmup fails: KeyError: 'x'"),
        ("return arguments.length", "return '5'", "warmup fails: BadReturn: its number of candles must be a number"),
        ("arguments): return None", "arguments): raise ValueError('no')", "start fails: ValueError: no"),
    ],
)
def test_a_strategy_that_cannot_begin_is_refused_at_the_door(tmp_path: Path, was: str, now: str, told: str) -> None:
    strategy = load_strategy("mine.py", written(tmp_path, GOOD.replace(was, now)))

    with pytest.raises(BadStrategy) as raised:
        begin("mine.py", strategy, build_arguments(strategy, {}))

    assert told in str(raised.value)
