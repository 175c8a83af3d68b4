"""`tradectl session create` beside a keeper that the test plays."""

from pathlib import Path

import pytest

from tests.actor import acting
from tradeproc.cli.tradectl import main
from tradeproc.home import Home
from tradeproc.protocol.names import KEEPER

EXAMPLE = Path(__file__).parents[2] / "conf" / "sessions" / "example.toml"


@pytest.mark.parametrize(
    ("unchecked", "expected"),
    [
        ("", "session 7 created; scripts/tradectl session start 7\n"),
        (
            "account A could not be checked: no answer",
            "session 7 created; scripts/tradectl session start 7; account A could not be checked: no answer\n",
        ),
    ],
)
def test_what_of_a_new_session_could_not_be_checked_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], unchecked: str, expected: str
) -> None:
    home = Home(tmp_path)
    home.make_folders()
    (tmp_path / "supervisord.conf").touch()
    answers = {
        "sessions": lambda _: {"sessions": []},
        "create": lambda _: {"session": 7, "unchecked": unchecked},
    }
    with acting(home.sockets, KEEPER, answers):
        code = main(["session", "create", str(EXAMPLE), "--home", str(tmp_path)])

    assert (code, " ".join(capsys.readouterr().out.split()) + "\n") == (0, expected)


@pytest.mark.parametrize(("contract", "is_told"), [("LEJ24", True), ("ESH24", False)])
def test_a_product_whose_last_day_is_not_sure_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], contract: str, is_told: bool
) -> None:
    home = Home(tmp_path)
    home.make_folders()
    (tmp_path / "supervisord.conf").touch()
    answers = {"sessions": lambda _: {"sessions": []}, "create": lambda _: {"session": 7, "unchecked": ""}}
    with acting(home.sockets, KEEPER, answers):
        code = main(["session", "create", str(EXAMPLE), "--contract", contract, "--home", str(tmp_path)])

    told = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert told.startswith("session 7 created;")
    assert ("which day it is when that Monday is a holiday): compare scripts/tradectl roll --list" in told) == is_told
