"""What people and earlier lives of ours left in files: read whole, or refused in one line."""

import functools
import gzip
import os
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import orjson

from tests.fuzz import mutations
from tests.fuzz.harness import Target
from tests.market.tape_files.test_file_reading import VENDORS
from tradeproc.bus.codec import encode_body
from tradeproc.cli.consent_listener import ConsentListener
from tradeproc.config import BadConfig, apply_market_hours, file, load, read_session
from tradeproc.config.database_url import check_database_url
from tradeproc.config.market_hours import file_of
from tradeproc.domain.answers import Known
from tradeproc.domain.records import BadValue
from tradeproc.domain.session import BadSession, SessionSpec
from tradeproc.domain.units import Nanos
from tradeproc.domain.wanted import wanted_now, window_of
from tradeproc.home import Home
from tradeproc.localbroker.tape import open_tape
from tradeproc.localbroker.tape_files import BadTape
from tradeproc.market.tape_files.file_reading import TapeHints
from tradeproc.procs.tokens.vault import LostToken, Stored, Vault
from tradeproc.store import kept
from tradeproc.store.journal import Journal, read_line
from tradeproc.supervision import groups
from tradeproc.supervision.deaths import read_deaths
from tradeproc.supervision.declared import read_declarations

NOW = Nanos(1_790_000_000_000_000_000)


@functools.cache
def folder() -> Path:
    """Return a folder for the files, in memory where there is such a place; it goes with the process."""
    memory = Path("/dev/shm")
    made = tempfile.TemporaryDirectory(prefix="tradeproc-fuzz-", dir=memory if os.access(memory, os.W_OK) else None)
    _kept.append(made)
    home = Path(made.name)
    for each in ("conf", "run", "run/groups", "run/secrets"):
        (home / each).mkdir(mode=0o700)
    return home


_kept: list[tempfile.TemporaryDirectory[str]] = []


# --- tapes and archives

_TRADES = (
    "ts_event_ns,price,size,side\n1703545200000000000,4800.25,1,B\n1703545200000000001,4800.5,2,A\n"
    "1703545260000000001,4800.75,3,N\n"
)
_TIMED = (
    "timestamp_utc,contract,price,size\n2023-12-25T23:00:00,ESH24,4800.25,1\n2023-12-25T23:00:01.5,ESH24,4800.5,2\n"
)
_BARS = (
    "time,open,high,low,close,volume\n2023-12-25T23:01:00Z,4800,4801,4799.75,4800.5,120\n"
    "2023-12-25T23:02:00+00:00,4800.5,4800.5,4799,4799.25,3\n"
)
_ARCHIVE = gzip.compress(_TRADES.encode(), mtime=0)


def _draw_tape(random: Random) -> tuple[str, bytes]:
    text = random.choice((_TRADES, _TIMED, _BARS, *VENDORS))
    found = mutations.lines(random, text) if random.random() < 0.5 else _cells(random, text)
    name = random.choice(("ESH24_x.csv", "ESH24_x.csv", "ESH4.csv", "trades.csv", "CLK0_x.csv"))
    return name, mutations.raw(random, found.encode("utf-8", "surrogatepass"), 1)


def _cells(random: Random, text: str) -> str:
    """Return a table with one cell changed."""
    rows = [line.split(",") for line in text.splitlines()]
    row = random.choice(rows)
    row[random.randrange(len(row))] = random.choice(mutations.TEXTS)
    return "\n".join(",".join(row) for row in rows) + random.choice(("\n", ""))


def _draw_archive(random: Random) -> tuple[str, bytes]:
    if random.random() < 0.5:
        return "ESH24_x.csv.gz", mutations.raw(random, _ARCHIVE)
    name, content = _draw_tape(random)
    return name + ".gz", mutations.raw(random, gzip.compress(content, 1, mtime=0), 1)


def _read_tape(drawn: tuple[str, bytes]) -> None:
    name, content = drawn
    path = folder() / name
    path.write_bytes(content)
    wanted = TapeHints("America/Chicago", "start", "ESH24") if len(content) % 2 else TapeHints()
    tape = open_tape(str(path), wanted)
    assert len(tape) and tape.first_at <= tape.last_at
    for code in tape.contracts:
        last = tape.last(code, tape.last_at)
        assert last is not None
        assert encode_body({"price": last.price, "at": last.at, "size": last.size})


# --- configuration

_CONFIG = """[desk]
name = "d"
[limits]
max_order = 5
max_position = 5
[database]
url = { env = "NOT_SET_ANYWHERE" }
connect_seconds = 3.0
[logins.paper]
broker = "tradestation"
environment = "paper"
base_url = "http://127.0.0.1:8765/v3"
auth_url = "http://127.0.0.1:8765"
redirect_uri = "http://localhost:31022/"
client_id = { public = "local" }
client_secret = { file = "run/secrets/x" }
idle_seconds = 60.0
[localbroker]
enabled = true
port = 8765
tape = "shipped"
speed = 60.0
history_minutes = 15.0
accounts = ["SIM0000001F"]
[health]
stale_stream = 120.0
calendar_days = 30
[supervision]
hung_seconds = 10.0
hung = { jobs = 30.0 }
"""
_SESSION: dict[str, Any] = {
    "name": "es",
    "login": "paper",
    "account": "SIM0000001F",
    "environment": "paper",
    "contract": "ESH26",
    "minutes": 1,
    "strategy": "moving_average_cross",
    "quantity": 1,
    "warmup": 5,
    "limits": {"max_order": 2, "max_position": 2},
    "arguments": {"fast": 3, "slow": 8},
    "stop_policy": "alarm",
    "notes": "x",
    "schedule": {"hours": "08:30-15:00", "zone": "America/Chicago", "weekdays": ["mon", "fri"], "warmup_minutes": 5},
}
_SESSION_TEXT = (
    'name = "es"\nlogin = "paper"\naccount = "SIM0000001F"\nenvironment = "paper"\ncontract = "ESH26"\nminutes = 1\n'
    'strategy = "moving_average_cross"\nquantity = 1\n[limits]\nmax_order = 2\nmax_position = 2\n[schedule]\n'
    'hours = "exchange"\n'
)


def _draw_config(random: Random) -> bytes:
    # sections are drawn, because most of the time is the TOML reader's own
    sections = _CONFIG.split("\n[")
    kept = [sections[0], sections[1], *(each for each in sections[2:] if random.random() < 0.4)]
    text = mutations.lines(random, "\n[".join(kept))
    return mutations.raw(random, text.encode("utf-8", "surrogatepass"), random.random() < 0.1)


def _read_config(content: bytes) -> None:
    home = Home(folder())
    (home.conf / "tradeproc.toml").write_bytes(content)
    settings = load(home)
    settings.external_database()
    for login in settings.logins.values():
        login.login()
        login.trouble()
    settings.check_session(SessionSpec.from_dict(_SESSION))


def _known_brokers(read: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Look at the installed packages once, not for every input."""
    known = functools.cache(file.broker_keys)

    def wrapped(content: bytes) -> None:
        file.broker_keys = known
        read(content)

    return wrapped


_HOURS = (
    '[cme_energy]\nclosed = ["2027-01-08"]\nearly_close = {"2027-11-26" = "13:45"}\nusual = ["2028-06-19"]\n'
    "[cme_equity]\nclosed = [2027-03-01]\n"
)


def _draw_hours(random: Random) -> bytes:
    return mutations.raw(random, mutations.lines(random, _HOURS).encode("utf-8", "surrogatepass"), 1)


def _read_hours(content: bytes) -> None:
    home = Home(folder())
    file_of(home).write_bytes(content)
    try:
        apply_market_hours(home)
    finally:
        file_of(home).unlink()
        apply_market_hours(home)


_SESSION_SEED = orjson.dumps(_SESSION)


def _draw_session(random: Random) -> Any:
    if random.random() < 0.8:
        return mutations.tree(random, _SESSION_SEED)
    return mutations.raw(random, mutations.lines(random, _SESSION_TEXT).encode("utf-8", "surrogatepass"), 1)


def _read_session(drawn: Any) -> None:
    if isinstance(drawn, bytes):
        path = folder() / "session.toml"
        path.write_bytes(drawn)
        spec = read_session(path)
    else:
        spec = SessionSpec.from_dict(drawn)
    sent = encode_body({"spec": spec.to_dict()})
    assert SessionSpec.from_dict(orjson.loads(sent)["spec"]) == spec
    assert b"\\u0000" not in sent, "PostgreSQL has no NUL in texts"
    assert spec.calendar
    window_of(spec, NOW)
    wanted_now(spec, "running", NOW)


# --- journals of rows, latches, tokens

_WRITE = orjson.dumps(["save_alarm", {"session": 1, "name": "x", "detail": "y", "at": 1}])


def _line(body: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _draw_journal(random: Random) -> bytes:
    bodies = [_WRITE] * random.randrange(1, 4)
    if random.random() < 0.4:
        # a line that is whole and yet not what we write
        bodies[0] = orjson.dumps(mutations.tree(random, _WRITE))
    return mutations.raw(random, b"".join(map(_line, bodies)), random.randrange(3))


def _read_journal(content: bytes) -> None:
    path = folder() / "session-1.jsonl"
    path.write_bytes(content)
    path.with_suffix(".refused").unlink(missing_ok=True)
    journal = Journal(path, wait_seconds=0)
    try:
        journal.is_empty()
        for line, _ in journal._lines():
            write = read_line(line)
            if write is not None:
                assert isinstance(write.statement, str) and isinstance(write.parameters, dict)
    finally:
        journal.close()


_FORMER_LATCHES = orjson.dumps({"host": ["halted", "operator", "why"], "session:1": ["reducing", "x", ""]})
_LATCHES = orjson.dumps([["host", "halted", "operator", "why", 5], ["session:1", "reducing", "x", "", 6]])


def _draw_latches(random: Random) -> bytes:
    whole = random.choice((_FORMER_LATCHES, _LATCHES))
    found = orjson.dumps(mutations.tree(random, whole), default=str, option=orjson.OPT_NON_STR_KEYS)
    return mutations.raw(random, _line(found) if whole is _LATCHES else found, random.randrange(3))


def _read_latches(content: bytes) -> None:
    path = folder() / "latches.json"
    path.write_bytes(content)
    for answer in (kept.read_kept(path), kept.read_former(path)):
        if isinstance(answer, Known):
            counting = kept.standing([], answer)
            assert all(isinstance(each.scope + each.state + each.by + each.reason, str) for each in counting)


_VAULT_SEED = orjson.dumps({"refresh_token": "r", "logged_in_at": 1_790_000_000_000_000_000})


@functools.cache
def _vault() -> Vault:
    return Vault(folder() / "run/secrets")


def _draw_stored(random: Random) -> tuple[bool, Any]:
    if random.random() < 0.2:
        return True, mutations.raw(random, b"gAAAAABp" + bytes(random.randrange(256) for _ in range(80)))
    return False, mutations.tree(random, _VAULT_SEED)


def _read_vault(drawn: tuple[bool, Any]) -> None:
    is_raw, content = drawn
    vault, path = _vault(), folder() / "run/secrets/paper.login"
    path.write_bytes(content if is_raw else vault._cipher.encrypt(orjson.dumps(content)))
    path.chmod(0o600)
    stored = vault.read("paper")
    assert isinstance(stored, Stored)
    encode_body({"logged_in_at": stored.logged_in_at})


# --- deaths, the address of a database, what a browser asks for

_DEATHS = orjson.dumps([{"at": 1_790_000_000_000_000_000, "pid": 7, "reason": "KeyError: 'x'", "code": 70}] * 2)


def _draw_deaths(random: Random) -> bytes:
    found = orjson.dumps(mutations.tree(random, _DEATHS), option=orjson.OPT_NON_STR_KEYS)
    return mutations.raw(random, found, random.randrange(3))


def _read_deaths(content: bytes) -> None:
    home = Home(folder())
    home.deaths.mkdir(parents=True, exist_ok=True)
    (home.deaths / "core.jobs.json").write_bytes(content)
    for death in read_deaths(home, "core.jobs"):
        assert encode_body({"at": death.at, "pid": death.pid, "reason": death.reason, "code": death.code})


_ADDRESSES = (
    "postgresql://me:secret@db.example:5432/trade?sslmode=require",
    "host=/run/postgresql port=5432 dbname=trade user=me password='se cret'",
)


def _draw_address(random: Random) -> str:
    return mutations.text(random, mutations.text(random, random.choice(_ADDRESSES)))


def _read_address(url: str) -> None:
    try:
        check_database_url(url)
    except BadValue as bad:
        assert "secret" not in str(bad), "a password is not shown"
        raise


_TARGET = "/?code=c0de&state=st"


class _Listener(ConsentListener):
    """A listener without sockets."""

    def _listen(self, *_: Any) -> None:
        """Listen to nobody."""


def _draw_target(random: Random) -> str:
    return mutations.text(random, mutations.text(random, _TARGET))


def _read_target(target: str) -> None:
    listener = _Listener("http://localhost:31022/", "st")
    assert listener.take(target) == bool(listener.answer)


# --- groups

_GROUPS = [
    groups.render(group, Home(Path("/srv/t p")))
    for group in (
        groups.session_group(7),
        groups.link_group("paper").with_program(groups.feed_program("paper", "bars-ESH24-1m")),
    )
]


def _draw_group(random: Random) -> str:
    found = mutations.lines(random, random.choice(_GROUPS).partition("\n")[2])
    if random.random() < 0.7:
        # a file of another version: as that wrote it, and yet not as this one does
        return groups._FIRST_LINE.format(zlib.crc32(found.encode(errors="replace"))) + found
    return mutations.lines(random, random.choice(_GROUPS))


def _read_group(text: str) -> None:
    home = Home(folder())
    path = home.groups / "session-7.conf"
    path.write_text(text, errors="replace")
    found = groups.GroupFiles(home).read("session-7")
    if found is not None:
        groups.render(found, home)


def _read_declared(text: str) -> None:
    home = Home(folder())
    (home.root / "supervisord.conf").write_text(text, errors="replace")
    for path in home.groups.glob("*.conf"):
        path.unlink()
    found = read_declarations(home)
    for each in found.groups.values():
        each.companions("link")


TARGETS = (
    Target("tape", _draw_tape, _read_tape, (BadTape,)),
    Target("archive", _draw_archive, _read_tape, (BadTape,)),
    Target("config", _draw_config, _known_brokers(_read_config), (BadConfig, file.NotAllowedHere)),
    Target("market_hours", _draw_hours, _read_hours, (BadConfig,)),
    Target("session", _draw_session, _read_session, (BadSession, BadConfig)),
    Target("journal", _draw_journal, _read_journal),
    Target("latches", _draw_latches, _read_latches),
    Target("vault", _draw_stored, _read_vault, (LostToken,)),
    Target("deaths", _draw_deaths, _read_deaths),
    Target("database_url", _draw_address, _read_address, (BadValue,)),
    Target("consent", _draw_target, _read_target),
    Target("groups", _draw_group, _read_group),
    Target("declared", _draw_group, _read_declared),
)
