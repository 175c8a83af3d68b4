"""The address of a database holds a password: one that cannot be right is told in one line that shows none of it."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tradeproc.config import BadConfig, load
from tradeproc.config.database_url import check_database_url
from tradeproc.domain.records import BadValue
from tradeproc.home import Home

SHIPPED = Path(__file__).parents[2] / "conf" / "tradeproc.toml"
SECRET = "hunter2"

GOOD = [
    "postgresql://u:hunter2@db.example.org/desk",
    "postgres://u:hunter%402@127.0.0.1:5432/desk?sslmode=require",
    "postgresql://u:hunter2@[::1]:5432/desk",
    "postgresql://u@/desk?host=%2Fvar%2Frun%2Fpostgresql",
    "postgresql://u:hunter2@a,b:5432,5433/desk",
    "host=localhost user=u password='hunter2' dbname=desk",
    "postgresql:///desk",
    "postgresql://u:a?hunter2@host/desk",
]
BAD = [
    "postgresql://u:hun/hunter2@host/desk",
    "postgresql://u:1/hunter2@host/desk",
    "postgresql://u:a@hunter2@host/desk",
    "postgresql://u:a%hunter2@host/desk",
    "postgresql://u:hunter2@host:port/desk",
    "postgresql://u:hunter2@host:99999/desk",
    "postgresql://u:hunter2@[host/desk",
    "postgres//u:hunter2@host/desk",
    "mysql://u:hunter2@host/desk",
    "host=h passwort=hunter2",
    "hunter2",
    "postgresql://u:hunter2@ho st/desk",
    "postgresql://u:hunter2@host/desk\n",
]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.conf.mkdir()
    return home


@pytest.mark.parametrize("url", GOOD)
def test_an_address_in_either_form_is_taken(url: str) -> None:
    check_database_url(url)


@pytest.mark.parametrize("url", BAD)
def test_an_address_that_cannot_be_right_stops_the_start_and_is_not_shown(
    home: Home, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    (home.conf / "tradeproc.toml").write_text(SHIPPED.read_text())
    monkeypatch.setenv("TRADEPROC_DATABASE_URL", url)

    with pytest.raises(BadConfig, match="TRADEPROC_DATABASE_URL of the environment: the address of the data") as told:
        load(home)

    assert SECRET not in str(told.value)
    assert "\n" not in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.parametrize("source", ["env", "file"])
def test_an_address_of_the_file_is_looked_at_where_it_is(
    home: Home, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.delenv("TRADEPROC_DATABASE_URL", raising=False)
    monkeypatch.setenv("MY_URL", BAD[0])
    secret = home.root / "url"
    secret.write_text(BAD[0])
    secret.chmod(0o600)
    where = '{ env = "MY_URL" }' if source == "env" else '{ file = "url" }'
    text = SHIPPED.read_text().replace('# url = { env = "MY_DATABASE_URL" }', f"url = {where}")
    (home.conf / "tradeproc.toml").write_text(text)

    with pytest.raises(BadConfig, match=r"\[database.url\] url: the address") as told:
        load(home)

    assert SECRET not in str(told.value)


@given(password=st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=6, max_size=12))
@example(password="hunter2:")
@example(password="5432/hunter2")
def test_whatever_the_password_is_it_is_never_told(password: str) -> None:
    secret = f"S3cr3t{password}S3cr3t"
    try:
        check_database_url(f"postgresql://u:{secret}@host:5432/desk")
    except BadValue as bad:
        assert "S3cr3t" not in str(bad)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('# url = { env = "MY_DATABASE_URL" }', f'url = "postgresql://u:{SECRET}@host/desk"'),
        ('# url = { env = "MY_DATABASE_URL" }', f'url = {{ env = "postgresql://u:{SECRET}@host/desk" }}'),
        ('# url = { env = "MY_DATABASE_URL" }', f'url = {{ file = "postgresql://u:{SECRET}@host/desk" }}'),
        ('"http://127.0.0.1:8765/v3"', f'"http://u:{SECRET}@127.0.0.1:8765/v3"'),
        ('"http://127.0.0.1:8765/v3"', f'"https://u:{SECRET}@[x/v3"'),
        ('auth_url = "http://127.0.0.1:8765"', f'auth_url = "https://u:{SECRET}@host"'),
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_shown(home: Home, old: str, new: str) -> None:
    text = SHIPPED.read_text()
    assert old in text
    (home.conf / "tradeproc.toml").write_text(text.replace(old, new, 1))

    with pytest.raises(BadConfig) as told:
        load(home)

    assert SECRET not in str(told.value)


@pytest.mark.parametrize("value", ["http://[x", "http://localhost:port/", "localhost", "http://localhost:99999/", ""])
def test_a_redirect_that_is_no_address_is_told_in_one_line(home: Home, value: str) -> None:
    text = SHIPPED.read_text().replace("http://localhost:31022/", value)
    (home.conf / "tradeproc.toml").write_text(text)

    with pytest.raises(BadConfig, match="redirect_uri"):
        load(home)
