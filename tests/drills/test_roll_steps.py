"""A roll whose trader is killed before and after each step's row, with real processes: it closes once and opens once.

The database itself holds the row of one step back, so that the kill falls exactly between two steps: the held row
is either thrown away (killed before it was stored) or kept (killed after that, and before what follows from it).
"""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.drills.desk import Desk
from tests.drills.rolling import NEXT, OLD, TAPE, assert_rolled, held, holding, protection, roll, step
from tradeproc.protocol import names
from tradeproc.testing.desk import wait_for

pytestmark = pytest.mark.drill

STEPS = ("closing", "closing with its order", "flat", "switched", "reopening", "rolled")
ALL = [(place, when) for place in STEPS for when in ("before", "after")]
# the others by `scripts/chaos --rolls`, because each costs seconds of CI; tests/engine/test_rolls.py has all of them
SOME = [("closing with its order", "before"), ("reopening", "after")]
CASES = ALL if os.environ.get("TRADEPROC_ALL_ROLLS") else SOME
# one for each case, so that all orders of an account are those of one session
ACCOUNTS = [f"SIM{number:07}F" for number in range(1, len(CASES) + 1)]

_LOCK = 77
_HOLD = f"""
create schema drill;
create table drill.held (session bigint, step text, has_order boolean);
create function drill.hold() returns trigger language plpgsql as $$ begin
    if exists (select from drill.held h where h.session = new.session and h.step = new.step
            and (h.has_order is null or h.has_order = (new.close_orders <> ''))) then
        perform pg_advisory_xact_lock_shared({_LOCK}, new.session::int);
    end if;
    return new;
end $$;
create trigger held before insert on public.rolls for each row execute function drill.hold();
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk on a tape of two contracts, whose database can hold back a step's row."""
    folder: Path = tmp_path_factory.mktemp("desk")
    shutil.copy(Path(__file__).parent / "holder.py", folder)
    made = Desk(folder, speed=20.0, history_minutes=20, tape=TAPE)
    file = made.home.conf / "tradeproc.toml"
    lines = [
        f"accounts = {ACCOUNTS}" if line.startswith("accounts") else line for line in file.read_text().splitlines()
    ]
    file.write_text("\n".join(lines))
    with made as running:
        with psycopg.connect(running.database_url, autocommit=True) as connection:
            connection.execute(_HOLD.encode())
        yield running


@contextmanager
def row_held_back(desk: Desk, session: int, place: str) -> Iterator[psycopg.Connection]:
    """Hold back the row of a step until the connection lets go."""
    name, _, with_order = place.partition(" ")
    has_order = bool(with_order) if name == "closing" else None
    with psycopg.connect(desk.database_url, autocommit=True) as connection:
        connection.execute("insert into drill.held values (%s, %s, %s)", (session, name, has_order))
        connection.execute("select pg_advisory_lock(%s, %s)", (_LOCK, session))
        try:
            yield connection
        finally:
            connection.execute("delete from drill.held where session = %s", (session,))
            connection.execute("select pg_advisory_unlock(%s, %s)", (_LOCK, session))


def waiting(connection: psycopg.Connection, session: int) -> list[int]:
    """Return the server's process that waits with the held row."""
    found = connection.execute(
        "select pid from pg_locks where locktype = 'advisory' and not granted and classid = %s and objid = %s",
        (_LOCK, session),
    )
    return [pid for (pid,) in found.fetchall()]


def count(desk: Desk, session: int, place: str) -> int:
    name, _, with_order = place.partition(" ")
    orders = "" if name != "closing" else " and close_orders <> ''" if with_order else " and close_orders = ''"
    query = f"select count(*) as n from rolls where session = %s and step = %s{orders}"
    return int(desk.rows(query, session, name)[0]["n"])


@pytest.mark.parametrize(("place", "when"), CASES, ids=[f"{when} {place}" for place, when in CASES])
def test_a_trader_killed_at_a_step_goes_on_from_it_and_does_nothing_twice(desk: Desk, place: str, when: str) -> None:
    number = CASES.index((place, when))
    account = ACCOUNTS[number]
    session, before = holding(desk, account, {"name": f"roll-{number}"})
    victim = desk.pid(names.trader(session))

    with row_held_back(desk, session, place) as connection:
        roll(desk, session)
        if place in ("reopening", "rolled"):
            # these are written by the life after the switch of the contract
            wait_for("the next contract", lambda: step(desk, session) in ("switched", "reopening"))
        (backend,) = wait_for("the row is held back", lambda: waiting(connection, session))
        if place in ("reopening", "rolled"):
            victim = desk.pid(names.trader(session))
        os.kill(victim, signal.SIGKILL)
        if when == "before":
            connection.execute("select pg_terminate_backend(%s)", (backend,))
            wait_for("the row is thrown away", lambda: not waiting(connection, session))
            assert count(desk, session, place) == 0
    if when == "after":
        wait_for("the row is kept", lambda: count(desk, session, place))

    if (place, when) == ("closing", "before"):
        # nothing was stored of the wish, so nothing has happened: a person asks again
        wait_for("it lives again", lambda: desk.state(session)["reconciled"] and desk.state(session)["warm"])
        assert (held(desk, account), protection(desk, account, OLD)) == ({OLD: 1}, before)
        roll(desk, session)

    assert_rolled(desk, session, account, before)
    desk.assert_books_agree(session, account)
    desk.flatten(session)
    desk.ask(names.KEEPER, "stop", {"session": session}, 30.0)
    assert desk.rows("select spec ->> 'contract' as contract from sessions where id = %s", session) == [
        {"contract": NEXT}
    ]
