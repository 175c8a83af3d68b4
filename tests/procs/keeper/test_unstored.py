"""A switch that was confirmed holds, whoever dies, whatever becomes of its file, and in whatever order all return.

Keeper, trader and the job queue's process are real, and so is the database; there is no supervisord.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.procs.shut import away
from tests.store.book import SPEC
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.codec import Body
from tradeproc.bus.requests import RequestRefused
from tradeproc.domain.answers import Known
from tradeproc.domain.units import Nanos
from tradeproc.home import Home
from tradeproc.procs.keeper.unstored import REFUSED_ALARM, UNREAD_ALARM, Unstored
from tradeproc.store import DatabaseDown, Latch, Store
from tradeproc.store.kept import kept_file, read_kept, standing, write_kept
from tradeproc.store.writes import latch_write
from tradeproc.testing.running import Child, furnish, kill, temporary_home
from tradeproc.testing.waiting import wait_until

KEPT = "kept until the database is back"
HALTED = Latch("host", "halted", "me", "drill", Nanos(1_700_000_000_000_000_000))


class Host:
    """A home, a database and the processes that a test starts and kills."""

    def __init__(self, home: Home, url: str) -> None:
        self.home, self.url = home, url
        furnish(home)
        self.store, self.client = Store(url), Client(Directory(home.sockets))
        self.session = self.store.create_session(replace(SPEC, strategy="moving_average_cross", arguments={}))
        self.names = {"trader": f"session-{self.session}.trader", "keeper": "core.keeper", "jobs": "core.jobs"}
        self.file = kept_file(home)
        self._alive: dict[str, Child] = {}

    def start(self, kind: str) -> None:
        arguments = [self.session] if kind == "trader" else []
        self._alive[kind] = Child(self.home, kind, *arguments, database=self.url)

    def begin(self, kind: str) -> None:
        """Start a process and wait until it has looked around."""
        self.start(kind)
        looks = {"jobs": self._has_swept, "trader": lambda: bool(self.trading_state()), "keeper": self._has_looked}
        wait_until(kind, looks[kind])

    def _has_swept(self) -> bool:
        return bool(self.ask("jobs", "status")["state"] == "ready")

    def _has_looked(self) -> bool:
        assert self._alive["keeper"].is_alive, self.log("keeper")
        return bool(self.ask("keeper", "status")["statistics"]["looks"] > 1)

    def kill(self, *kinds: str) -> None:
        """Kill processes as a loss of power does: all at once, and none can say goodbye."""
        kill(*(self._alive.pop(kind) for kind in kinds))

    def ask(self, kind: str, method: str, **params: Any) -> Body:
        return self.client.call(self.names[kind], method, params, 15.0)

    def trading_state(self) -> str:
        return str(self.ask("trader", "state")["trading_state"])

    def log(self, kind: str) -> str:
        return (self.home.log / f"{kind}.log").read_text()

    def alarms(self) -> list[str]:
        return [alarm.name for alarm in self.store.alarms(only_standing=True) if alarm.session is None]

    def close(self) -> None:
        self.kill(*self._alive)
        self.client.close()
        self.store.close()


@pytest.fixture
def host(book_url: str) -> Iterator[Host]:
    with temporary_home() as home:
        made = Host(home, book_url)
        yield made
        made.close()


def halt_while_the_database_is_away(host: Host) -> None:
    """Halt the host; the keeper has died at the end, and the database is back."""
    with away(host.url):
        host.begin("keeper")
        assert host.ask("keeper", "halt", by="me", reason="drill")["latch"] == KEPT
        host.kill("keeper")


@pytest.mark.parametrize(
    "order", [("jobs", "trader", "keeper"), ("trader", "keeper", "jobs"), ("keeper", "jobs", "trader")]
)
def test_a_halt_that_was_kept_holds_in_whatever_order_the_processes_return(
    host: Host, order: tuple[str, ...]
) -> None:
    halt_while_the_database_is_away(host)

    for kind in order:
        host.begin(kind)
        if kind == "trader":
            assert host.trading_state() == "halted"
    wait_until("the latch stored", lambda: host.store.latch("host").state == "halted")

    assert (host.store.latch("host").by, host.store.latch("host").reason) == ("me", "drill")
    wait_until("nothing waits", lambda: not host.file.exists())
    assert host.trading_state() == "halted"
    assert host.alarms() == []
    assert host.ask("keeper", "resume", by="me")["latch"] == "stored"
    wait_until("it trades again", lambda: host.trading_state() == "active")
    host.kill(*order)
    for kind in order:
        host.begin(kind)
    assert host.trading_state() == "active", "a latch that is stored is not read from a file again"


def test_a_session_that_cannot_be_read_holds_up_no_halt(host: Host) -> None:
    with psycopg.connect(host.url, autocommit=True) as admin:
        admin.execute("update sessions set spec = '{}'")

    with away(host.url):
        host.begin("keeper")
        assert host.ask("keeper", "halt", by="me", reason="drill")["latch"] == KEPT

    wait_until("the latch stored", lambda: host.store.latch("host").state == "halted")
    wait_until("it says so", lambda: "cannot be read" in host.ask("keeper", "status")["detail"])
    again = host.ask("keeper", "reduce", by="me")
    assert (again["latch"], again["standing"]) == ("stored", None)


def test_a_session_is_not_resumed_without_a_reason_while_nobody_can_say_why_it_is_latched(host: Host) -> None:
    scope = f"session:{host.session}"
    host.store.write(
        latch_write(
            Latch(scope, "reducing", "external_policy", "sold by hand", Nanos(host.store.latch(scope).at + 1))
        )
    )
    with away(host.url):
        host.begin("keeper")
        with pytest.raises(RequestRefused, match=r"the database is away .* resume it with --reason WHY"):
            host.ask("keeper", "resume", session=host.session, by="me")
        assert not host.file.exists()
        assert host.ask("keeper", "resume", by="me")["latch"] == KEPT, "nothing of the kind latches the host"

    wait_until("stored", lambda: not host.file.exists())
    assert host.store.latch(scope).state == "reducing"


def truncated(file: Path) -> None:
    file.write_bytes(b"")


def torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def changed(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"halted", b"active"))


def zeroed(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("damage", [truncated, torn, changed, zeroed, a_folder])
def test_a_file_that_cannot_be_read_halts_the_host_until_a_person_resumes(
    host: Host, damage: Callable[[Path], None]
) -> None:
    halt_while_the_database_is_away(host)
    damage(host.file)

    host.begin("jobs")
    host.begin("trader")
    assert host.trading_state() == "halted"
    host.begin("keeper")

    wait_until("the alarm", lambda: host.alarms() == [UNREAD_ALARM])
    latch = host.store.latch("host")
    assert (latch.state, latch.by) == ("halted", "keeper")
    assert "look at each session, then resume" in latch.reason
    assert "Traceback" not in host.log("keeper")
    wait_until("it is put aside", lambda: [each.suffix for each in host.home.latches.iterdir()] == [".unread"])
    host.kill("keeper", "trader")
    host.begin("keeper")
    host.begin("trader")
    assert host.trading_state() == "halted"
    assert len(list(host.home.latches.iterdir())) == 1, "the next start finds nothing new"
    host.ask("keeper", "resume", by="me")
    wait_until("it trades again", lambda: host.trading_state() == "active")
    assert host.alarms() == []


@contextmanager
def refusing_halts(url: str) -> Iterator[None]:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("alter table latches add constraint no_halts check (state <> 'halted')")
        try:
            yield
        finally:
            admin.execute("alter table latches drop constraint no_halts")


def test_a_latch_that_the_database_refuses_kills_nobody_is_told_and_holds(host: Host) -> None:
    host.begin("keeper")
    with refusing_halts(host.url):
        answer = host.ask("keeper", "halt", by="me", reason="drill")
        assert answer["latch"] == "kept on the disk, because the database refuses it"
        wait_until("the alarm", lambda: host.alarms() == [REFUSED_ALARM])
        wait_until("the keeper says so", lambda: "no_halts" in host.ask("keeper", "status")["detail"])
        assert host.ask("keeper", "reduce", session=host.session)["latch"] == "stored", "it stops no other"
        host.kill("keeper")
        host.begin("trader")
        assert host.trading_state() == "halted"
        host.begin("keeper")

    wait_until("it is stored", lambda: host.store.latch("host").state == "halted")
    wait_until("the alarm over", lambda: host.alarms() == [])
    assert not host.file.exists()


def test_the_alarm_of_a_refusal_ends_though_its_keeper_or_its_switch_is_another_one_by_then(host: Host) -> None:
    latches = Unstored(host.store, host.home)
    with refusing_halts(host.url):
        latches.set("host", "halted", "me", "drill")
        assert host.alarms() == [REFUSED_ALARM]
        assert latches.set("host", "reducing", "me", "drill") == "stored"
        assert host.alarms() == []
        latches.set("host", "halted", "me", "drill")
        assert host.alarms() == [REFUSED_ALARM]

    Unstored(host.store, host.home).store_all()

    assert host.store.latch("host").state == "halted"
    assert host.alarms() == []


@pytest.mark.parametrize("reason", ["half a pair \udce4", "nothing \x00 at all", "both \x00\udcff"])
def test_a_reason_that_no_database_can_hold_stops_no_halt(host: Host, reason: str) -> None:
    host.begin("keeper")

    assert host.ask("keeper", "halt", by=reason, reason=reason)["latch"] == "stored"

    latch = host.store.latch("host")
    assert latch.state == "halted"
    assert latch.reason == latch.by == reason.translate(dict.fromkeys((0, 0xDCE4, 0xDCFF), "�"))
    host.kill("keeper")
    with away(host.url):
        host.begin("keeper")
        assert host.ask("keeper", "reduce", reason=reason)["latch"] == KEPT
    wait_until("it is stored", lambda: host.store.latch("host").state == "reducing")


def test_a_byte_that_is_no_text_on_the_command_line_stops_no_halt(host: Host) -> None:
    host.begin("keeper")
    command = [sys.executable.encode(), b"-m", b"tradeproc.cli.tradectl", b"halt", b"--reason", b"f\xfcr NUL: \xff"]

    done = subprocess.run(command, cwd=host.home.root, capture_output=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (0, b"")
    assert host.store.latch("host").reason == "f\N{REPLACEMENT CHARACTER}r NUL: \N{REPLACEMENT CHARACTER}"
    command[3:] = [b"halt", b"--session", b"f\xfcr"]
    unknown = subprocess.run(command, cwd=host.home.root, capture_output=True, check=False, timeout=60)
    assert unknown.returncode == 4
    assert b"Traceback" not in unknown.stderr


def test_what_an_earlier_version_kept_in_the_journals_folder_is_taken_over(host: Host) -> None:
    former = host.home.journal / "latches.json"
    former.write_text('{"host": ["reducing", "me", "before the upgrade"]}')
    host.store.set_latch("host", "active", "me", "long ago")
    os.utime(former)

    Unstored(host.store, host.home).store_all()

    assert host.store.latch("host").reason == "before the upgrade"
    assert not former.exists()
    former.touch()
    Unstored(host.store, host.home).store_all()
    assert (host.store.latch("host").state, host.store.latch("host").by) == ("halted", "keeper")
    assert [each.suffix for each in host.home.journal.iterdir()] == [".unread"]


def test_what_an_earlier_keeper_left_undoes_nothing_that_was_stored_since(host: Host) -> None:
    """A full disk may keep a file from being removed after its latch was stored, and others are stored since."""
    for state, newer, expected in (("active", "halted", "halted"), ("reducing", "active", "reducing")):
        host.store.set_latch("host", newer, "me", "newer")
        write_kept(host.file, [replace(HALTED, state=state)])

        Unstored(host.store, host.home).store_all()

        assert host.store.latch("host").state == expected
        assert not host.file.exists()


class Book:
    """The latches of a database that can be away; `keep_latch` decides as the statement `set_latch` does."""

    def __init__(self) -> None:
        self.rows: dict[str, Latch] = {}
        self.is_up = True

    def latches(self) -> list[Latch]:
        return list(self.rows.values())

    def keep_latch(self, latch: Latch, *, is_late: bool = False) -> None:
        if not self.is_up:
            raise DatabaseDown("away")
        known = self.rows.get(latch.scope)
        is_news = known is None or latch.at > known.at
        if not is_late or is_news or STATES.index(latch.state) > STATES.index(known.state):  # type: ignore[union-attr]
            self.rows[latch.scope] = latch

    def save_alarm(self, *_: object) -> None:
        """Take an alarm."""

    def clear_alarms(self, *_: object) -> None:
        """Take the end of one."""


STATES = ["active", "reducing", "halted"]
MOMENT = st.tuples(
    st.sampled_from(["host", "session:1"]),
    st.sampled_from(STATES),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["goes on", "dies", "dies and its file is damaged"]),
    st.sampled_from([1, 1, 1, -5]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(MOMENT, max_size=12))
def test_no_order_of_switches_outages_full_disks_and_deaths_opens_what_was_confirmed_closed(
    moments: list[tuple[str, str, bool, bool, str, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        home, book, now = Home(Path(folder)), Book(), [100]
        home.journal.mkdir(parents=True)
        home.latches.mkdir()
        patch.setattr("tradeproc.procs.keeper.unstored.wall_ns", lambda: now[0])
        keeper = Unstored(book, home)  # type: ignore[arg-type]
        file, full = kept_file(home), home.latches / ".unstored.json.new"
        confirmed: dict[str, str] = {}
        has_clock_gone_back = False
        for scope, state, is_up, is_full, end, step in moments:
            now[0] += step
            has_clock_gone_back |= step < 0
            book.is_up = is_up
            if is_full and not full.exists():
                full.mkdir()
            elif not is_full and full.exists():
                full.rmdir()
            said = keeper.set(scope, state, "me", "")
            if said == "not stored":
                # nothing was promised; it may count or not
                confirmed.pop(scope, None)
            else:
                confirmed[scope] = state
            if end != "goes on":
                if "damaged" in end and file.exists():
                    file.write_bytes(file.read_bytes()[:-3])
                    confirmed["host"] = "halted"
                    confirmed.pop("session:1", None)
                keeper = Unstored(book, home)  # type: ignore[arg-type]
            counting = {each.scope: each.state for each in standing(book.latches(), read_kept(file))}
            for each, promised in confirmed.items():
                counts = STATES.index(counting.get(each, "active"))
                assert counts >= STATES.index(promised), (each, promised, counting)
                assert has_clock_gone_back or counts == STATES.index(promised), (each, promised, counting)


def test_a_latch_that_the_disk_does_not_take_is_not_called_kept_and_is_kept_as_soon_as_it_can_be(host: Host) -> None:
    latches = Unstored(host.store, host.home)
    with away(host.url):
        host.file.mkdir()
        assert latches.set("host", "halted", "me", "drill") == "not stored"
        host.file.rmdir()
        assert latches.set("session:1", "halted", "me", "drill") == KEPT

        kept = read_kept(host.file)
    assert isinstance(kept, Known)
    assert [latch.scope for latch in kept.value] == ["host", "session:1"]
    wait_until("stored", lambda: latches.store_all() or not host.file.exists())
    assert {latch.scope for latch in host.store.latches()} == {"host", "session:1"}
