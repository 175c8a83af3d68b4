"""What a trader was told is on the disk after any death, replays to the same effects, and stays within its bounds."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.desk import Scripted
from tests.procs.stage import Stage
from tests.procs.trading_desk import TradingDesk
from tradeproc.domain.orders import Side
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.engine import events
from tradeproc.engine.recording import BadRecording, Header, read_events, read_header
from tradeproc.engine.replay import replay
from tradeproc.engine.state import new_state
from tradeproc.procs.trader.recorder import Bounds, Recorder, forget_old, lines_of, lives
from tradeproc.strategies.contract import NOTHING, SubmitBracket
from tradeproc.testing.waiting import wait_until

ENTER = SubmitBracket(Side.BUY, Contracts(1), stop_loss=4790.0)
QUICK = Bounds(write_seconds=0.01)


def header(began_at: int = 1, session: int = 7) -> Header:
    return Header(session, 3, "abcd", {"name": "test"}, {}, Nanos(began_at), "0.1.0")


def life(folder: Path, which: int = -1) -> list[bytes]:
    return list(lines_of(lives(folder / "session-7")[which]))


@pytest.fixture
def desk(on_stage: Stage, book_url: str, tmp_path: Path) -> Iterator[TradingDesk]:
    made = TradingDesk(on_stage, book_url, tmp_path, ENTER, NOTHING)
    yield made
    made.store.close()


def test_a_real_session_is_replayed_with_the_same_effects(desk: TradingDesk, tmp_path: Path) -> None:
    desk.ready()
    desk.bar()
    wait_until("the position", lambda: desk.state()["position"] == 1)
    desk.bar()
    wait_until("the stop works", lambda: "covered" in str(desk.state()) or desk.state()["orders"])
    wait_until("both bars have come", lambda: desk.state()["decisions"]["bars"] >= 2)
    setup = dataclasses.replace(desk.trader.state.setup, strategy=Scripted(ENTER, NOTHING))
    desk.actor.stop()

    [parts] = lives(tmp_path / "recordings" / f"session-{desk.session}")
    lines = lines_of(parts)
    began = read_header(next(lines))
    again = list(replay(new_state(setup, dict(began.latches)), read_events(lines)))

    assert (began.session, began.fence, began.spec["name"]) == (desk.session, setup.fence, "test")
    assert sum(isinstance(each.recorded.event, events.CandleReceived) for each in again) >= 2
    assert sum(each.recorded.digest != 0 for each in again) >= 3
    assert [each for each in again if not each.is_same] == []


def test_what_was_written_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from tests.procs.trader.test_recorder import QUICK, header\n"
        "from tradeproc.engine.events import TimePassed\n"
        "from tradeproc.procs.trader.recorder import Recorder\n"
        "recorder = Recorder(Path(sys.argv[1]), header(), QUICK)\n"
        "for now in range(500): recorder.note(TimePassed(), now, ())\n"
        "while recorder.is_behind: time.sleep(0.01)\n"
        "print('written', flush=True); recorder.note(TimePassed(), 500, ()); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"written\n"
        child.send_signal(signal.SIGKILL)

    lines = life(tmp_path)
    assert read_header(lines[0]) == header()
    assert [each.now for each in read_events(lines[1:])][:500] == list(range(500))


def test_a_torn_end_of_a_file_costs_only_the_end(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, header(), QUICK)
    for now in range(1000):
        recorder.note(events.TimePassed(), Nanos(now), ())
    recorder.close()
    [part] = lives(tmp_path / "session-7")[0]
    os.truncate(part, part.stat().st_size - 30)

    found = list(read_events(life(tmp_path)[1:]))

    assert [each.now for each in found] == list(range(len(found)))


def test_a_life_goes_over_many_parts_without_a_seam(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, header(), Bounds(part=200, write_seconds=0.001))
    for now in range(300):
        recorder.note(events.TimePassed(), Nanos(now), ())
        if now % 10 == 0:
            wait_until("written", lambda: not recorder.is_behind)
    recorder.close()

    [parts] = lives(tmp_path / "session-7")
    assert len(parts) > 3
    assert [each.now for each in read_events(life(tmp_path)[1:])] == list(range(300))


def test_a_disk_that_refuses_is_waited_for_and_what_did_not_fit_is_said(tmp_path: Path) -> None:
    (tmp_path / "session-7").write_text("a file stands where the folder should be")
    recorder = Recorder(tmp_path, header(), Bounds(waiting=100, write_seconds=0.01))
    for now in range(1000):
        recorder.note(events.TimePassed(), Nanos(now), ())
    wait_until("the problem is noticed", lambda: recorder._problem)
    (tmp_path / "session-7").unlink()
    wait_until("written", lambda: not recorder.is_behind)
    recorder.note(events.TimePassed(), Nanos(2000), ())
    recorder.close()

    found = list(read_events(life(tmp_path)[1:]))
    kept = [each.now for each in found if each.event is not None]
    assert kept[0] == 0
    assert kept[-1] == 2000
    assert [each.event for each in found].count(None) == 1
    with pytest.raises(BadRecording, match="missing"):
        list(replay(None, found[len(kept) - 1 :]))  # type: ignore[arg-type]


def test_a_text_that_cannot_be_encoded_does_not_end_the_trader(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, header(), QUICK)
    recorder.note(events.FlattenCommanded("me", "\ud800"), Nanos(1), ())
    recorder.note(events.TimePassed(), Nanos(2), ())
    recorder.close()

    assert [each.event for each in read_events(life(tmp_path)[1:])] == [None, events.TimePassed()]


def test_old_lives_go_by_age_and_the_oldest_parts_by_size(tmp_path: Path) -> None:
    for began_at in (1, 2, 3):
        recorder = Recorder(tmp_path, header(began_at), QUICK)
        recorder.note(events.TimePassed(), Nanos(1), ())
        recorder.close()
    folder = tmp_path / "session-7"
    parts = [part for each in lives(folder) for part in each]
    os.utime(parts[0], (0, 0))

    forget_old(folder, Bounds(days=1), Nanos(parts[1].stat().st_mtime_ns))
    assert sorted(folder.iterdir()) == parts[1:]

    forget_old(folder, Bounds(session=parts[2].stat().st_size), Nanos(parts[1].stat().st_mtime_ns))
    assert sorted(folder.iterdir()) == parts[2:]


def test_only_the_owner_can_read_a_recording(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        recorder = Recorder(tmp_path, header(), QUICK)
        recorder.note(events.TimePassed(), Nanos(1), ())
        recorder.close()
    finally:
        os.umask(before)

    [part] = lives(tmp_path / "session-7")[0]
    assert part.stat().st_mode & 0o777 == 0o600
    assert part.parent.stat().st_mode & 0o777 == 0o700
