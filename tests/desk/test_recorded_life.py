"""A recorded life is run again from files alone: the same, or the first difference, or why it cannot be."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.engine.desk import Desk, Faults
from tradeproc.cli import tradectl
from tradeproc.cli.commands.replaying import exit_of_report, moment_or_number, report_lines, value_of_report
from tradeproc.desk.recorded_life import CannotReplay, Until, find_life, run_again, state_rows
from tradeproc.domain.market_hours import MarketHours, market_hours
from tradeproc.domain.units import SECOND, Nanos, from_iso
from tradeproc.engine import events
from tradeproc.engine.events import Event
from tradeproc.engine.recording import Header
from tradeproc.engine.state import State
from tradeproc.engine.trader import step
from tradeproc.home import Home
from tradeproc.procs.trader.recorder import Bounds, Recorder
from tradeproc.strategies.loading import build_arguments, digest_of_file, load_strategy
from tradeproc.testing.running import furnish
from tradeproc.testing.waiting import wait_until

STRATEGY = '''
from dataclasses import dataclass
from tradeproc.domain.orders import Side
from tradeproc.strategies.contract import NOTHING, SubmitBracket


class EveryThird:
    """Buys on each third bar."""

    name = "every_third"

    @dataclass(frozen=True)
    class Arguments:
        every: int = 3

    def warmup(self, arguments):
        return 2

    def start(self, arguments):
        return {"seen": 0, "note": "\\x1b[31m\\x00"}

    def on_candle(self, view, state, arguments):
        print("a strategy may print")
        state = {**state, "seen": state["seen"] + 1}
        if view.position or state["seen"] % arguments.every:
            return NOTHING, state
        return SubmitBracket(Side.BUY, 1, stop_loss=view.candle.close - 5), state
'''
QUICK = Bounds(write_seconds=0.01)
Change = Callable[[Header], Header]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    furnish(made)
    (tmp_path / "mine.py").write_text(STRATEGY)
    return made


def lived(home: Home, bars: int = 12) -> Desk:
    """Return a desk that traded the strategy of the home's file."""
    strategy = load_strategy("mine.py", home.root)
    desk = Desk(strategy, faults=Faults())
    setup = dataclasses.replace(
        desk.setup,
        spec=dataclasses.replace(desk.setup.spec, strategy="mine.py"),
        arguments=build_arguments(strategy, {}),
        hours=hours_of(desk),
        session_opened_at=hours_of(desk).session_opened_at,
    )
    desk.setup = desk.state.setup = setup
    desk.start()
    for number in range(bars):
        desk.bar(4800.0 + number % 5, seconds=60.0)
    return desk


def hours_of(desk: Desk) -> MarketHours:
    return market_hours(desk.setup.spec.calendar)


def record(home: Home, desk: Desk, fence: int = 1, change: Change = lambda header: header, **bounds: Any) -> Recorder:
    """Write the life of a desk as its trader does, and return what wrote it."""
    began_at = Nanos(desk.history[0][1] + fence)
    header = Header(
        7,
        fence,
        desk.setup.installation,
        desk.setup.spec.to_dict(),
        {},
        began_at,
        "0.1.0",
        strategy_digest=digest_of_file(desk.setup.strategy),
    )
    recorder = Recorder(home.recordings, change(header), dataclasses.replace(QUICK, **bounds))
    for number, (event, now, effects) in enumerate(desk.history):
        recorder.note(event, now, effects)
        if bounds and number % 10 == 0:
            wait_until("a part is full", lambda: not recorder.is_behind)
    wait_until("it is written", lambda: not recorder.is_behind)
    return recorder


def replayed(home: Home, until: Until | None = None) -> Any:
    return run_again(home, find_life(home, "7", None), until or Until())


def test_a_life_is_the_same_while_its_trader_still_writes(home: Home) -> None:
    desk = lived(home)
    recorder = record(home, desk)

    report = replayed(home)
    recorder.close()

    assert report.difference is None
    assert (report.events, report.notes, report.ended) == (len(desk.history), [], "")
    assert report.acted > 5
    assert any(order.state.value == "filled" for order in report.state.engine.orders.values())
    assert report.state.engine.holding == desk.state.engine.holding
    assert report_lines(report)[-1] == "the same"


def test_a_changed_strategy_is_told_and_its_first_other_decision_shown(home: Home) -> None:
    record(home, lived(home)).close()
    (home.root / "mine.py").write_text(STRATEGY.replace("every: int = 3", "every: int =  4"))

    report = replayed(home)

    assert report.notes == ["the strategy's file has changed since this life began"]
    assert report.difference.event.startswith("CandleReceived(")
    assert "Persist" in report.difference.recorded
    assert report.difference.got == ("nothing",)
    shown = "\n".join(report_lines(report))
    assert f"different at event {report.difference.number}, " in shown


def test_a_replay_that_is_to_stop_shows_the_state_of_then(home: Home) -> None:
    desk = lived(home)
    record(home, desk).close()
    [bought, *_] = [now for event, now, _ in desk.history if isinstance(event, events.CandleReceived)][2:]

    before, after = replayed(home, Until(at=bought - 1)), replayed(home, Until(at=desk.history[-1][1]))
    by_number = replayed(home, Until(events=before.events))

    assert state_rows(before.state)["orders"] == []
    assert state_rows(by_number.state) == state_rows(before.state)
    rows = state_rows(after.state)
    assert rows["position"] == desk.state.engine.holding.quantity
    assert {row["role"] for row in rows["orders"]} == {"stop_loss"}
    text = "\n".join(report_lines(after, rows))
    assert "\\x1b[31m" in text and "\x1b" not in text and "\x00" not in text
    assert value_of_report(after, rows)["state"]["strategy_memory"].startswith("{'seen': ")


@pytest.mark.parametrize(
    ("word", "until"),
    [
        ("12", Until(events=12)),
        ("2026-11-27T14:30:00Z", Until(at=from_iso("2026-11-27T14:30:00Z"))),
        ("2026-11-27T14:30:00", Until(at=from_iso("2026-11-27T14:30:00Z"))),
        ("2026-11-27T14:30:00.5+00:00", Until(at=from_iso("2026-11-27T14:30:00Z") + SECOND // 2)),
    ],
)
def test_where_to_stop_is_a_time_or_a_number_of_events(word: str, until: Until) -> None:
    assert moment_or_number(word) == until


def test_events_that_were_lost_end_it_and_are_told(home: Home) -> None:
    desk = lived(home)
    recorder = record(home, desk)
    recorder._lost = 3
    recorder.note(events.TimePassed(), Nanos(desk.history[-1][1] + 1), ())
    recorder.close()

    report = replayed(home)

    assert (report.difference, report.is_whole, report.events) == (None, False, len(desk.history))
    assert "events are missing" in report.ended


def test_a_torn_or_damaged_end_costs_only_the_end(home: Home) -> None:
    desk = lived(home)
    record(home, desk).close()
    [part] = find_life(home, "7", None).parts
    os.truncate(part, part.stat().st_size - 20)
    torn = replayed(home)
    data = bytearray(part.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = b"\xff" * 40
    part.write_bytes(data)
    damaged = replayed(home)

    assert torn.difference is None and torn.is_whole and 0 < torn.events <= len(desk.history)
    assert damaged.difference is None and not damaged.is_whole and 0 < damaged.events < torn.events


def test_lives_are_named_by_their_lease_and_sessions_also_by_name(home: Home) -> None:
    desk = lived(home)
    for fence in (1, 2):
        record(home, desk, fence).close()

    assert find_life(home, "7", None).fence == 2
    assert find_life(home, "test", 1).fence == 1
    with pytest.raises(CannotReplay, match="no life under lease 9 of session 7 is kept; kept are those under 1, 2"):
        find_life(home, "7", 9)
    with pytest.raises(CannotReplay, match="no recording of session nobody is kept"):
        find_life(home, "nobody", None)


def test_a_life_that_has_lost_a_part_is_refused(home: Home) -> None:
    desk = lived(home)
    record(home, desk, part=200).close()
    first, second, *_ = recorded_parts(home)
    second.unlink()
    with pytest.raises(CannotReplay, match="a part of it is not there"):
        replayed(home)
    first.unlink()
    with pytest.raises(CannotReplay, match="its beginning is not kept any more"):
        replayed(home)


def recorded_parts(home: Home) -> Sequence[Path]:
    """Return the parts of the newest life, of which there must be several."""
    parts = find_life(home, "7", None).parts
    if len(parts) < 4:
        pytest.fail(f"only {len(parts)} parts")
    return parts


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda header: dataclasses.replace(header, version=1), "version 1, this program reads 2 to 3"),
        (lambda header: dataclasses.replace(header, spec={**header.spec, "unheard": 1}), "unheard"),
        (lambda header: dataclasses.replace(header, spec={**header.spec, "strategy": "gone.py"}), "gone.py"),
        (lambda header: dataclasses.replace(header, spec={**header.spec, "arguments": {"odd": 1}}), "odd"),
    ],
)
def test_what_cannot_be_replayed_is_told_in_one_line(home: Home, change: Change, told: str) -> None:
    record(home, lived(home, bars=1), change=change).close()

    with pytest.raises(CannotReplay, match=told) as refused:
        replayed(home)
    assert "\n" not in str(refused.value)


def test_a_recording_of_the_version_before_is_read_and_says_what_it_lacks(home: Home) -> None:
    def older(header: Header) -> Header:
        return dataclasses.replace(header, version=2, strategy_digest="", program="0.0.9")

    record(home, lived(home), change=older).close()

    report = replayed(home)

    assert report.difference is None
    assert report.notes == [
        "recorded by version 0.0.9, replayed by 0.1.0",
        "whether the strategy's file has changed since is unknown: its digest was not recorded",
    ]


@pytest.mark.parametrize("is_last", [True, False])
def test_an_engine_that_fails_again_on_the_last_event_has_done_the_same(
    home: Home, monkeypatch: pytest.MonkeyPatch, is_last: bool
) -> None:
    desk = lived(home, bars=3)
    desk.history.append((events.FlattenCommanded("me"), Nanos(desk.history[-1][1] + 1), ()))
    if not is_last:
        desk.history.append((events.TimePassed(), Nanos(desk.history[-1][1] + 1), ()))
    record(home, desk).close()

    def failing(state: State, event: Event, now: Nanos) -> Any:
        if isinstance(event, events.FlattenCommanded):
            raise KeyError("a fault of the engine")
        return step(state, event, now)

    monkeypatch.setattr("tradeproc.engine.replay.step", failing)
    report = replayed(home)

    assert report.ended == "the engine fails: KeyError: 'a fault of the engine'"
    assert report.events == len(desk.history) - (not is_last)
    assert (report.difference is None) is is_last


def test_the_command_leaves_with_0_1_and_2_while_the_desk_is_down(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        code = tradectl.main(["replay", *arguments, "--home", str(home.root)])
        return int(code), "".join(capsys.readouterr()[:1])

    record(home, lived(home)).close()

    assert run("7")[0] == 0
    code, output = run("test", "--json", "--until", "5")
    assert code == 0 and output.startswith("{") and '"events": 5' in output
    (home.root / "mine.py").write_text(STRATEGY.replace("every: int = 3", "every: int =  4"))
    assert run("7")[0] == 1
    assert run("8")[0] == 2


RESTLESS = {
    "the clock of the machine": ("import time", "time.time_ns() // 1000 % 997"),
    "chance": ("import random", "random.SystemRandom().randrange(1_000_003)"),
}


@pytest.mark.parametrize("source", RESTLESS)
def test_a_strategy_that_asks_the_clock_or_chance_is_found_at_its_first_other_decision(
    home: Home, source: str
) -> None:
    imported, drawn = RESTLESS[source]
    restless = STRATEGY.replace("\nfrom dataclasses", f"\n{imported}\nfrom dataclasses", 1)
    (home.root / "mine.py").write_text(
        restless.replace("view.candle.close - 5)", f"view.candle.close - 5 - ({drawn}))")
    )
    desk = lived(home)
    record(home, desk).close()

    report = run_again(home, find_life(home, "7", None), Until())

    assert report.notes == []
    assert report.difference is not None
    assert report.difference.event.startswith("CandleReceived")
    assert "Persist" in report.difference.recorded
    assert exit_of_report(report) == 1
