"""What a start of the desk makes sure of before supervisord is started."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradeproc.cli import configured, tradectl
from tradeproc.cli.commands import desks
from tradeproc.cli.desk import Desk
from tradeproc.home import Home

ROOT = Path(__file__).parents[2]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk that is configured and not up, and cannot come up: it has no environment."""
    shutil.copy(ROOT / "supervisord.conf", tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    with Desk(Home(tmp_path)) as idle:
        yield idle


def rewrite(desk: Desk, old: str, new: str) -> None:
    file = desk.home.conf / "tradeproc.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("max_order = 5", "max_ordr = 5", "[limits] max_ordr: unknown key; did you mean 'max_order'?"),
        ("[desk]", "[desk", "(at line 5, column 6)"),
        ("port = 8765", 'port = "8765"', "[localbroker] port: expected a whole number"),
        ('tape = "shipped"', 'tape = "nope.csv"', "nope.csv: cannot be read"),
        ('tape = "shipped"', 'tape = "ESH24_odd.csv"', "ESH24_odd.csv, line 1: has no time"),
        ('tape = "shipped"', 'tape = "ESH24_empty.csv"', "ESH24_empty.csv: holds no trade"),
        ('tape = "shipped"', 'tape = "generated:QQH24:7"', "generated:QQH24:7: unknown instrument 'QQ'"),
        ("# url = { env", "url = { env", "[database.url] env: MY_DATABASE_URL is not set"),
    ],
)
def test_up_refuses_a_configuration_that_cannot_be_used_and_starts_nothing(
    desk: Desk, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    (desk.home.root / "ESH24_odd.csv").write_text("when,price,size\n1,2,3\n")
    (desk.home.root / "ESH24_empty.csv").write_text("time,price,size\n")
    rewrite(desk, old, new)

    code = tradectl.main(["up", "--home", str(desk.home.root)])

    told = capsys.readouterr()
    assert (code, told.out) == (1, "")
    assert said in told.err
    assert told.err.count("\n") == 1
    assert not desk.home.run.exists()
    assert not desks.is_up(desk)


def test_the_shipped_configuration_can_be_used(desk: Desk) -> None:
    configured.check(desk)

    assert configured.warnings(desk) == []


def test_a_tape_is_nobodys_concern_while_the_local_broker_is_off(desk: Desk) -> None:
    rewrite(desk, 'tape = "shipped"', 'tape = "nope.csv"')
    rewrite(desk, "enabled = true", "enabled = false")

    configured.check(desk)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ('{ file = "run/secrets/key" }', ["run/secrets/key cannot be read: No such file", "restart core:tokens"]),
        ('{ env = "NO_SUCH_KEY" }', ["NO_SUCH_KEY is not set", "scripts/stop && scripts/tradectl up"]),
    ],
)
def test_a_secret_that_is_not_there_is_one_warning_with_login_key_and_remedy(
    desk: Desk, secret: str, said: list[str]
) -> None:
    rewrite(desk, 'client_secret = { public = "local" }', f"client_secret = {secret}")

    configured.check(desk)

    [line] = configured.warnings(desk)
    assert line.startswith("login paper cannot be used: [logins.paper.client_secret] ")
    assert [each for each in said if each not in line] == []
    assert "\n" not in line
