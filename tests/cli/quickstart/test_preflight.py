"""What the quickstart makes sure of before it starts anything, on a desk that is not up."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import rewrite
from tests.cli.readme import strategy_of_the_readme
from tradeproc.cli.quickstart import main, preflight
from tradeproc.cli.quickstart.run_report import filled, fills_of
from tradeproc.config import read_session
from tradeproc.desk.exit_status import CommandFailed, exit_of, one_line
from tradeproc.desk.installation import Desk
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.session import SessionSpec
from tradeproc.errors import TradeprocError
from tradeproc.localbroker.tape import shipped
from tradeproc.localbroker.tape_files import BadTape
from tradeproc.market.bars import TickArrays, TimeBars, bars_of
from tradeproc.procs.keeper.session_checks import BadSpecification
from tradeproc.strategies.contract import SubmitBracket
from tradeproc.strategies.loading import BadStrategy, build_arguments, load_strategy
from tradeproc.testing.running import free_port
from tradeproc.testing.strategies import view

ROOT = Path(__file__).parents[3]
SHIPPED = ("moving_average_cross", "opening_range_breakout", "donchian_atr")


@pytest.fixture
def desk(idle_desk: Desk) -> Desk:
    """Take a port that nobody listens on."""
    rewrite(idle_desk, "8765", str(free_port()))
    return idle_desk


def test_the_shipped_configuration_is_fine(desk: Desk) -> None:
    preflight.check(desk)


def test_a_port_that_is_taken_is_named(desk: Desk) -> None:
    port = desk.config.localbroker.port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()

        with pytest.raises(CommandFailed, match=f"port {port} of this machine is taken"):
            preflight.check(desk)


def test_a_login_that_was_left_at_another_port_is_told_so(desk: Desk) -> None:
    port = desk.config.localbroker.port
    other = port + 1 if port < 65535 else port - 1
    rewrite(desk, f"\nport = {port}", f"\nport = {other}")
    with (
        Desk(desk.home) as changed,
        pytest.raises(
            CommandFailed, match=rf"login paper .* is at .*:{port}/v3, and the local broker at port {other};"
        ),
    ):
        preflight.check(changed)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("enabled = true", "enabled = false", "needs the local broker"),
        (
            "[localbroker]\n",
            '[logins.real]\nbroker = "tradestation"\nenvironment = "live"\ni_accept_real_money = true\n'
            "[localbroker]\n",
            "login real of conf/tradeproc.toml is not at the local broker",
        ),
        (
            "[localbroker]\n",
            '[logins.sim]\nbroker = "tradestation"\nenvironment = "paper"\n[localbroker]\n',
            "login sim of conf/tradeproc.toml is not at the local broker",
        ),
    ],
)
def test_a_desk_that_can_trade_elsewhere_is_never_used(desk: Desk, old: str, new: str, said: str) -> None:
    rewrite(desk, old, new)
    books = desk.home.run / "localbroker"
    books.mkdir(parents=True)

    with pytest.raises(CommandFailed, match=said):
        preflight.check(desk)
    assert books.exists()


@pytest.mark.parametrize("strategy", SHIPPED)
def test_each_shipped_strategy_has_an_example_session_that_enters_on_the_shipped_tape(
    desk: Desk, strategy: str
) -> None:
    spec = preflight.specification(desk, strategy)

    assert (spec.name, spec.strategy) == ("quickstart", strategy)
    assert entries(spec) >= 1


def entries(spec: SessionSpec) -> int:
    """Return how often a strategy would enter if it were never in the market."""
    tape, hours = shipped(), market_hours(spec.calendar)
    ticks = TickArrays(tape.times, tape.prices, tape.sizes)
    bars = bars_of(ticks, TimeBars(spec.minutes * 60), hours).candles()
    strategy = load_strategy(spec.strategy)
    arguments = build_arguments(strategy, spec.arguments)
    state = strategy.start(arguments)
    opened_at = hours.session_at(bars[0].opened_at).opened_at
    entered = 0
    for end in range(15, len(bars)):
        decision, state = strategy.on_candle(view(bars[:end], opened_at=opened_at), state, arguments)
        entered += isinstance(decision, SubmitBracket)
    return entered


def test_a_strategy_of_somebodys_own_is_found_from_where_they_are(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ideas").mkdir()
    (tmp_path / "ideas" / "mine.py").write_text(strategy_of_the_readme())
    monkeypatch.chdir(tmp_path / "ideas")

    spec = preflight.specification(desk, "mine.py")

    assert spec.strategy == f"{tmp_path}/ideas/mine.py:ThreeInARow"
    assert not spec.arguments
    assert spec.account == read_session(ROOT / "conf/sessions/example.toml").account


@pytest.mark.parametrize("strategy", ["nonsense", "nothing.py", "tradeproc.errors:Halt"])
def test_a_strategy_that_cannot_be_used_is_refused_before_anything_starts(desk: Desk, strategy: str) -> None:
    with pytest.raises((BadStrategy, BadSpecification), match=strategy):
        preflight.specification(desk, strategy)
    assert not desk.home.run.exists()


@pytest.mark.parametrize(
    ("name", "new", "said"),
    [
        ("import", "while True:\n    pass\n", "took more than 5 s"),
        ("import", "import os, sys\nsys.stderr.write('z' * 100_000)\nos._exit(3)\n", "ended with exit code 3"),
        ("import", "import os\nos.kill(os.getpid(), 11)\n", "was killed by signal 11"),
        ("warmup", "        while True:\n            pass\n", "took more than 5 s"),
        ("start", "        raise RuntimeError('no luck')\n", "start fails: RuntimeError: no luck"),
    ],
)
def test_a_strategy_that_hangs_or_ends_its_process_is_told_in_one_line_before_anything_starts(
    desk: Desk, tmp_path: Path, name: str, new: str, said: str
) -> None:
    text = strategy_of_the_readme()
    head = next((line for line in text.splitlines(keepends=True) if f"def {name}(" in line), "")
    file = tmp_path / "unlucky.py"
    file.write_text(text.replace(head, head + new, 1) if head else text + new)

    with pytest.raises(TradeprocError) as refused:
        preflight.specification(desk, str(file), try_seconds=5.0)

    told = one_line(refused.value)
    assert "unlucky.py" in told
    assert said in told
    assert len(told) < 500
    assert exit_of(refused.value) == 1
    assert not desk.home.run.exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("fast = 2", "fast = 9", "fast must be below slow, not 9 and 5"),
        ('"ESH24"', '"ESQ24"', "ESQ24 does not exist; ES has the delivery months H (Mar)"),
        ("max_order = 2", "max_order = 9", "this desk allows 5"),
    ],
)
def test_an_example_that_could_never_trade_is_refused_before_anything_starts(
    desk: Desk, old: str, new: str, said: str
) -> None:
    file = desk.home.conf / "sessions" / "example.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))

    with pytest.raises(TradeprocError) as refused:
        preflight.specification(desk, "moving_average_cross")

    assert said in one_line(refused.value)
    assert exit_of(refused.value) == 1
    assert not desk.home.run.exists()


def test_a_configuration_that_cannot_be_used_stops_the_quickstart_before_anything_starts(desk: Desk) -> None:
    rewrite(desk, 'tape = "shipped"', 'tape = "nope.csv"')

    with pytest.raises(BadTape, match=r"nope\.csv: cannot be read"):
        preflight.check(desk)
    assert not desk.home.run.exists()


@pytest.fixture
def ctrl_c_interrupts() -> Iterator[None]:
    """Ctrl-C as at a terminal; a test run in the background of a shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_a_ctrl_c_waits_for_the_end_of_what_must_not_be_cut() -> None:
    done = []

    with pytest.raises(KeyboardInterrupt), preflight.uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append("whole")

    assert done == ["whole"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", "1e9"])
def test_a_speed_that_makes_no_sense_is_wrong_usage(speed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.make_parser().parse_args(["--speed", speed])

    assert ended.value.code == 2
    assert "must be a number above 0" in capsys.readouterr().err


def test_the_books_of_a_quickstart_are_those_of_its_own_session() -> None:
    books = {
        "orders": [
            {"id": "1", "client_id": "abcd7-1-1"},
            {"id": "2", "client_id": "abcd77-1-1"},
            {"id": "3", "client_id": ""},
            {"id": "4", "client_id": "abcd7-2-9"},
        ],
        "fills": [{"order_id": order_id, "quantity": 1} for order_id in ("1", "2", "3", "4", "1")],
    }

    ours = [(fill["order_id"], fill["quantity"]) for fill in fills_of(books, "abcd7-")]
    assert filled(ours) == {"1": 2, "4": 1}
