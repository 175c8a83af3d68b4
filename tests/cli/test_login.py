"""What a person is asked for at a login: a consent, a password, or nothing."""

import io
import sys
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tradeproc.cli.commands.login import login
from tradeproc.desk.exit_status import WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.protocol.definitions import Method, NoBody
from tradeproc.protocol.token_messages import AUTHORIZE


class FakeDesk:
    """A desk whose tokens process says what a login needs, and is told what a person gave."""

    def __init__(self, folder: Path, **asked: str) -> None:
        self.home = SimpleNamespace(root=folder)
        self.config = SimpleNamespace(logins={"mine": SimpleNamespace(broker="toy")})
        self.asked = asked
        self.given: list[dict[str, Any]] = []

    def ask(self, _process: str, method: Method[Any, Any], question: Any, **_more: float) -> Any:
        if method is AUTHORIZE:
            return AUTHORIZE.answer_codec.read(self.asked)
        self.given.append(method.question_codec.plain(question))
        return NoBody()


def run(desk: FakeDesk, **options: Any) -> Any:
    given: dict[str, Any] = {"login": "mine", "paste": False, "seconds": 1, "user": None, "password_file": None}
    asked: Desk = desk  # type: ignore[assignment]  # what the command uses of one
    return login(asked, Namespace(**(given | options)))


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    made = io.StringIO()
    monkeypatch.setattr(sys, "stdin", made)
    return made


def test_a_password_comes_from_a_pipe_for_the_user_of_the_configuration(tmp_path: Path, pipe: io.StringIO) -> None:
    desk = FakeDesk(tmp_path, kind="password", user="me")
    pipe.write("open sesame \n")
    pipe.seek(0)

    run(desk)

    assert desk.given == [{"login": "mine", "user": "me", "password": "open sesame "}]


def test_a_password_comes_from_a_file_that_only_its_owner_can_read(tmp_path: Path, pipe: io.StringIO) -> None:
    desk = FakeDesk(tmp_path, kind="password", user="")
    file = tmp_path / "password"
    file.write_text("sesame\n")
    file.chmod(0o644)

    with pytest.raises(WrongUsage, match="0600"):
        run(desk, user="you", password_file=file)
    file.chmod(0o600)
    run(desk, user="you", password_file=file)

    assert desk.given == [{"login": "mine", "user": "you", "password": "sesame"}]


@pytest.mark.parametrize("typed", ["", "me\n"])
def test_without_user_or_password_nothing_is_sent(tmp_path: Path, pipe: io.StringIO, typed: str) -> None:
    desk = FakeDesk(tmp_path, kind="password", user="")
    pipe.write(typed)
    pipe.seek(0)

    with pytest.raises(WrongUsage, match=r"no (user|password) was given"):
        run(desk)

    assert desk.given == []


def test_a_login_that_needs_nothing_says_so(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path, kind="none")

    assert str(run(desk).shown) == "login mine needs no login"
    assert desk.given == []


@pytest.mark.parametrize(
    ("user", "raw"),
    [("me\udcff", b"sesame\n"), ("me", b"ses\xfcme\n"), ("me", b"ses\0me\n")],
    ids=["user", "latin", "nul"],
)
def test_user_and_password_in_another_encoding_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str, raw: bytes
) -> None:
    desk = FakeDesk(tmp_path, kind="password", user="")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))

    with pytest.raises(WrongUsage, match="no UTF-8 text"):
        run(desk, user=user)

    assert desk.given == []
