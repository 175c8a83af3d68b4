"""The schema is brought up to date once, whoever comes first, and never backwards."""

import threading

import psycopg
import pytest

from tradeproc.store import DatabaseTooNew, MigrationChanged, Store
from tradeproc.store.migrate import MigrationSet, migrate, own_part, queue_part


def test_migrating_twice_does_nothing_the_second_time(empty_url: str) -> None:
    assert migrate(empty_url)
    assert migrate(empty_url) == []


def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    done: list[list[str]] = []
    threads = [threading.Thread(target=lambda: done.append(migrate(empty_url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(map(len, done))[:3] == [0, 0, 0]
    assert len(done) == 4
    store = Store(empty_url)
    assert store.sessions() == []
    store.close()


def test_a_later_migration_is_applied_to_a_database_that_has_the_first(empty_url: str) -> None:
    migrate(empty_url)
    own = own_part()
    newer = MigrationSet(
        own.name, {**own.files, "0002_more.sql": "create table more (id int); insert into more values (1);"}
    )

    assert migrate(empty_url, (newer,)) == ["0002_more.sql"]
    with pytest.raises(DatabaseTooNew, match=r"0002_more\.sql.*newer tradeproc"):
        migrate(empty_url)


def test_a_migration_that_fails_leaves_no_trace(empty_url: str) -> None:
    own = own_part()
    broken = MigrationSet(
        own.name, {"0000_a.sql": "create table a (id int);", "0001_b.sql": "create table a (id int);"}
    )

    with pytest.raises(Exception, match="already exists"):
        migrate(empty_url, (broken,))

    with psycopg.connect(empty_url) as direct:
        assert direct.execute("select to_regclass('a'), to_regclass('schema_migrations')").fetchone() == (None, None)


def test_an_applied_migration_may_not_change(empty_url: str) -> None:
    migrate(empty_url)
    changed = MigrationSet("tradeproc", {name: text + "\n-- other" for name, text in own_part().files.items()})

    with pytest.raises(MigrationChanged):
        migrate(empty_url, (changed,))


def test_the_queue_of_an_older_library_is_brought_forward_and_a_newer_one_refused(empty_url: str) -> None:
    queue = queue_part()
    migrate(empty_url)
    newer = MigrationSet(
        queue.name, {**queue.files, "99.00.00_01_x.sql": "create table procrastinate_x (id int);"}, queue.whole
    )

    assert migrate(empty_url, (newer,)) == ["99.00.00_01_x.sql"]
    with pytest.raises(DatabaseTooNew):
        migrate(empty_url)


def test_every_column_is_told_its_meaning() -> None:
    for name, text in own_part().files.items():
        tables = text.split("create table ")[1:]
        for table in tables:
            body = table[table.index("(") + 1 : table.index("\n)")]
            columns = [line for line in body.splitlines() if line[:4] == "    " and line[4:5].isalpha()]
            told = [line for line in columns if not line.strip().startswith(("primary key", "unique"))]
            silent = [line for line in told if "--" not in line and line.split()[0] not in KNOWN]
            assert not silent, (name, silent)


KNOWN = {"session", "state", "by", "reason", "number", "side", "type", "role", "time_in_force", "key"}


def test_a_session_of_before_has_the_login_of_its_orders_as_its_data_login(empty_url: str) -> None:
    own = own_part()
    before = MigrationSet(own.name, {name: text for name, text in own.files.items() if name < "0009"})
    migrate(empty_url, (before,))
    with psycopg.connect(empty_url, autocommit=True) as direct:
        direct.execute(
            "insert into sessions (key, name, spec, created_at, changed_at) "
            "values ('a', 'a', '{\"login\": \"paper\"}', 1, 1)"
        )
        migrate(empty_url)
        direct.execute(
            "insert into sessions (key, name, spec, created_at, changed_at) "
            'values (\'b\', \'b\', \'{"login": "paper", "data_login": "data"}\', 1, 1)'
        )

        found = direct.execute("select data_login from sessions order by id").fetchall()

    assert found == [("paper",), ("data",)]
