"""What a start of the desk makes sure of before supervisord is started."""

import pytest

from tests.cli.conftest import rewrite
from tradeproc.cli import configured, tradectl
from tradeproc.desk.installation import Desk


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
    idle_desk: Desk, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    (idle_desk.home.root / "ESH24_odd.csv").write_text("when,price,size\n1,2,3\n")
    (idle_desk.home.root / "ESH24_empty.csv").write_text("time,price,size\n")
    rewrite(idle_desk, old, new)

    code = tradectl.main(["up", "--home", str(idle_desk.home.root)])

    told = capsys.readouterr()
    assert (code, told.out) == (1, "")
    assert said in told.err
    assert told.err.count("\n") == 1
    assert not idle_desk.home.run.exists()
    assert not idle_desk.supervisor.is_up()


def test_the_shipped_configuration_can_be_used(idle_desk: Desk) -> None:
    configured.check(idle_desk)

    assert configured.warnings(idle_desk) == []


def test_a_tape_is_nobodys_concern_while_the_local_broker_is_off(idle_desk: Desk) -> None:
    rewrite(idle_desk, 'tape = "shipped"', 'tape = "nope.csv"')
    rewrite(idle_desk, "enabled = true", "enabled = false")

    configured.check(idle_desk)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ('{ file = "run/secrets/key" }', ["run/secrets/key cannot be read: No such file", "restart core:tokens"]),
        ('{ env = "NO_SUCH_KEY" }', ["NO_SUCH_KEY is not set", "scripts/stop && scripts/tradectl up"]),
    ],
)
def test_a_secret_that_is_not_there_is_one_warning_with_login_key_and_remedy(
    idle_desk: Desk, secret: str, said: list[str]
) -> None:
    rewrite(idle_desk, 'client_secret = { public = "local" }', f"client_secret = {secret}")

    configured.check(idle_desk)

    [line] = configured.warnings(idle_desk)
    assert line.startswith("login paper cannot be used: [logins.paper.client_secret] ")
    assert [each for each in said if each not in line] == []
    assert "\n" not in line
