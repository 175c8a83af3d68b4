"""Logins of every kind: signed in to with a password, for a while only, or not at all."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from cryptography.fernet import Fernet

from tests.procs.sign_in_host import PATIENCE, configure, running_tokens, secret_file, temporary_home
from tradeproc.brokers.contract import (
    ClientCredentials,
    ConsentAnswer,
    CredentialKind,
    Login,
    Proof,
    SignInDelayed,
    Tokens,
    UserPassword,
)
from tradeproc.bus.client import Client
from tradeproc.bus.requests import NoReply, RequestRefused
from tradeproc.clock import SECOND, wall_ns
from tradeproc.errors import Halt
from tradeproc.home import Home
from tradeproc.procs.tokens import main
from tradeproc.procs.tokens.vault import KEY_FILE, Stored, Vault
from tradeproc.protocol.names import TOKENS
from tradeproc.protocol.token_messages import AUTHORIZE, BeginLogin, LoginBegun
from tradeproc.testing.waiting import wait_until


class Wrong(Halt):
    """What the host says of a proof or a renewal that it does not take."""


@dataclass
class PasswordHost:
    """A broker and its sign-in host in one: notes what it was asked, and does what a test wants."""

    key: str = "scripted"
    credential_kind: CredentialKind = CredentialKind.PASSWORD
    good: UserPassword = UserPassword("me", "sesame")
    life: float = 1200.0
    renewable_for: float | None = 1200.0
    penalty: float = 0.0
    proofs: list[Proof] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    renewals: list[str] = field(default_factory=list)
    alive: set[str] = field(default_factory=set)

    def authorization(self, _login: Login, _client: ClientCredentials) -> "PasswordHost":
        return self

    def url(self, state: str) -> str:
        return f"https://sign-in.example/?state={state}"

    def acquire(self, proof: Proof) -> Tokens:
        self.proofs.append(proof)
        self.asked_at.append(time.monotonic())
        if self.penalty:
            seconds, self.penalty = self.penalty, 0.0
            raise SignInDelayed("time penalty", seconds)
        if not isinstance(proof, ConsentAnswer) and proof != self.good:
            raise Wrong("user or password is wrong")
        return self._tokens()

    def renew(self, renewal: str) -> Tokens:
        self.renewals.append(renewal)
        if renewal not in self.alive:
            raise Wrong("it cannot be renewed")
        self.alive.discard(renewal)
        return self._tokens()

    def _tokens(self) -> Tokens:
        token = f"access-{len(self.proofs) + len(self.renewals)}"
        self.alive.add(token)
        return Tokens(token, self.life, token, self.renewable_for)


@pytest.fixture
def home() -> Iterator[Home]:
    with temporary_home() as made:
        yield made


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> PasswordHost:
    made = PasswordHost()
    monkeypatch.setattr(main, "broker", lambda _key: made)
    return made


def configured(home: Home, password: str) -> None:
    configure(home, "http://127.0.0.1:1", user='"me"', password=secret_file(home, "password", password))


def begun(client: Client) -> LoginBegun:
    return client.call(TOKENS, AUTHORIZE, BeginLogin("paper"), PATIENCE)


def ask(client: Client, method: str, **params: Any) -> dict[str, Any]:
    return dict(client.call(TOKENS, method, params, PATIENCE))


def token(client: Client) -> str:
    return str(ask(client, "token", login="paper", refused="")["access_token"])


def row(client: Client) -> dict[str, Any]:
    (found,) = ask(client, "logins")["logins"]
    return dict(found)


def test_a_password_is_sent_once_and_its_token_is_renewed_ahead_of_its_end(home: Home, host: PasswordHost) -> None:
    host.life = host.renewable_for = 2.0
    configured(home, "sesame")
    with running_tokens(home) as client:
        wait_until("it is renewed again and again", lambda: len(host.renewals) >= 2)
        assert row(client)["state"] == "ok"

    assert host.proofs == [UserPassword("me", "sesame")]
    assert host.renewals[:2] == ["access-1", "access-2"]


def test_after_a_restart_the_token_on_disk_is_renewed_and_no_password_is_sent(home: Home, host: PasswordHost) -> None:
    configured(home, "sesame")
    with running_tokens(home) as client:
        assert token(client) == "access-1"
    with running_tokens(home) as client:
        assert token(client) == "access-2"

    assert len(host.proofs) == 1
    assert host.renewals == ["access-1"]


def test_a_typed_password_is_kept_and_signs_in_again_when_nothing_can_be_renewed(
    home: Home, host: PasswordHost
) -> None:
    configure(home, "http://127.0.0.1:1", user='"me"')
    with running_tokens(home) as client:
        wait_until("it needs a person", lambda: row(client)["state"] == "needs_login")
        assert begun(client) == LoginBegun("password", user="me")
        with pytest.raises(RequestRefused, match="user or password is wrong"):
            ask(client, "complete", login="paper", user="me", password="sesam")
        assert row(client)["state"] == "needs_login"

        ask(client, "complete", login="paper", user="me", password="sesame")

        assert row(client)["state"] == "ok"
        assert row(client)["person_needed_at"] is None, "the password is kept"
    host.alive.clear()
    with running_tokens(home) as client:
        assert token(client)
    assert host.proofs[1:] == [UserPassword("me", "sesame")] * 2


def test_a_refused_password_is_never_sent_again_until_it_is_another_one(home: Home, host: PasswordHost) -> None:
    configured(home, "sesam")
    for _ in range(2):
        with running_tokens(home) as client:
            wait_until("it needs a person", lambda client=client: row(client)["state"] == "needs_login")  # type: ignore[misc]
            with pytest.raises(RequestRefused, match="needs a person"):
                token(client)
    assert len(host.proofs) == 1

    configured(home, "sesame")

    with running_tokens(home) as client:
        assert token(client)
    assert len(host.proofs) == 2


def test_a_time_penalty_is_waited_out_whoever_asks_and_no_longer(home: Home, host: PasswordHost) -> None:
    host.penalty = 3.0
    configured(home, "sesame")
    with running_tokens(home) as client:
        wait_until("the penalty is told", lambda: "time penalty" in row(client)["detail"])
        with pytest.raises(NoReply, match="time penalty"):
            token(client)
        wait_until("it is over", lambda: row(client)["state"] == "ok")

    first, second = host.asked_at
    assert second - first >= 3.0


def test_a_time_penalty_that_a_person_meets_is_told_and_counts_for_the_next_try_too(
    home: Home, host: PasswordHost
) -> None:
    configure(home, "http://127.0.0.1:1")
    with running_tokens(home) as client:
        wait_until("it needs a person", lambda: row(client)["state"] == "needs_login")
        host.penalty = 3.0
        for _ in range(2):
            with pytest.raises(NoReply, match="time penalty"):
                ask(client, "complete", login="paper", user="me", password="sesame")
        assert len(host.proofs) == 1

        wait_until("it is over", lambda: "time penalty" not in row(client)["detail"])
        ask(client, "complete", login="paper", user="me", password="sesame")
        assert token(client)


def test_a_login_that_ends_for_good_says_when_over_restarts_and_renewing_does_not_move_it(
    home: Home, host: PasswordHost
) -> None:
    host.credential_kind, host.renewable_for = CredentialKind.OAUTH2_CODE, 7 * 86_400.0
    configure(home, "http://127.0.0.1:1", client_id=secret_file(home, "id", "key"))
    began = wall_ns()
    with running_tokens(home) as client:
        consent = ask(client, "authorize", login="paper")
        assert consent["kind"] == "oauth2_code"
        ask(client, "complete", login="paper", redirected_to="http://localhost/?code=1", state=consent["state"])
        ends = row(client)["person_needed_at"]
    assert began <= ends - 7 * 86_400 * SECOND <= wall_ns()

    host.renewable_for = None
    with running_tokens(home) as client:
        assert token(client) == "access-2"
        assert row(client)["person_needed_at"] == ends


def test_a_login_that_ends_soon_is_told_in_the_log_once(
    home: Home, host: PasswordHost, caplog: pytest.LogCaptureFixture
) -> None:
    host.credential_kind, host.renewable_for, host.life = CredentialKind.OAUTH2_CODE, 36 * 3600.0, 2.0
    configure(home, "http://127.0.0.1:1", client_id=secret_file(home, "id", "key"))
    with running_tokens(home) as client:
        consent = ask(client, "authorize", login="paper")
        ask(client, "complete", login="paper", redirected_to="http://localhost/?code=1", state=consent["state"])
        wait_until("it is renewed again and again", lambda: len(host.renewals) >= 2)

    told = [record.getMessage() for record in caplog.records if "login_ends_soon" in record.getMessage()]
    assert told == ["login_ends_soon login=paper hours=36: run scripts/tradectl login paper"]


def test_a_login_is_completed_only_with_what_its_broker_takes(home: Home, host: PasswordHost) -> None:
    configure(home, "http://127.0.0.1:1")
    with running_tokens(home) as client, pytest.raises(RequestRefused, match="of kind password"):
        ask(client, "complete", login="paper", redirected_to="http://localhost/?code=1", state="x")
    host.credential_kind = CredentialKind.OAUTH2_CODE
    configure(home, "http://127.0.0.1:1", client_id=secret_file(home, "id", "key"))
    with running_tokens(home) as client, pytest.raises(RequestRefused, match="of kind oauth2_code"):
        ask(client, "complete", login="paper", user="me", password="sesame")

    assert host.proofs == []


def test_a_login_that_proves_nothing_is_well_and_its_token_is_empty(home: Home, host: PasswordHost) -> None:
    host.credential_kind = CredentialKind.NONE
    configure(home, "http://127.0.0.1:1")
    with running_tokens(home) as client:
        assert token(client) == ""
        assert begun(client) == LoginBegun("none")
        assert (row(client)["state"], row(client)["detail"]) == ("ok", "needs no login")
        assert ask(client, "status")["state"] == "ready"

    assert host.proofs == []


def test_no_password_reaches_the_log_or_the_disk_in_the_clear(
    home: Home, host: PasswordHost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    host.good = UserPassword("me", "open-sesame")
    configure(home, "http://127.0.0.1:1")
    with running_tokens(home) as client:
        with pytest.raises(RequestRefused) as refused:
            ask(client, "complete", login="paper", user="me", password="close-sesame")
        ask(client, "complete", login="paper", user="me", password="open-sesame")
        said = str(row(client)) + str(ask(client, "status")) + str(refused.value)

    said += "".join(record.getMessage() for record in caplog.records)
    for path in home.run.rglob("*"):
        said += path.read_bytes().decode("latin-1") if path.is_file() else ""
    for secret in ("sesame", "access-1", "access-2"):
        assert secret not in said


def test_the_vault_reads_what_an_earlier_version_wrote(home: Home) -> None:
    vault = Vault(home.secrets)
    cipher = Fernet((home.secrets / KEY_FILE).read_bytes())
    file = home.secrets / "paper.login"
    file.touch(mode=0o600)
    file.write_bytes(cipher.encrypt(orjson.dumps({"refresh_token": "r1", "logged_in_at": 7})))

    assert vault.read("paper") == Stored("r1", 7)  # type: ignore[arg-type]


def test_the_vault_gives_back_a_password_and_shows_none(home: Home) -> None:
    stored = Stored("r1", wall_ns(), wall_ns(), user="me", password="sesame", refused="0f0f")
    Vault(home.secrets).save("paper", stored)

    assert Vault(home.secrets).read("paper") == stored
    assert "sesame" not in repr(stored)


def test_a_password_that_is_no_text_spoils_its_own_login_only(
    home: Home, host: PasswordHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(home, "http://127.0.0.1:1", user='"me"', password='{ env = "DRILL_PASSWORD" }')
    monkeypatch.setenv("DRILL_PASSWORD", "ses\udcfcme")  # as a shell in another encoding sets it
    with running_tokens(home) as client:
        wait_until("it is in error", lambda: row(client)["state"] == "error")
        assert "DRILL_PASSWORD is not UTF-8 text" in row(client)["detail"]
        assert ask(client, "status")["state"] == "degraded"
    assert host.proofs == []


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 1e300, -1.0])
def test_a_life_that_is_no_number_of_seconds_is_an_outage_of_its_login(
    home: Home, host: PasswordHost, seconds: float
) -> None:
    host.life = host.renewable_for = seconds
    configured(home, "sesame")
    with running_tokens(home) as client:
        wait_until("it was asked", lambda: "number of seconds" in str(row(client)["detail"]))
        assert row(client)["state"] == "error"
        host.life = 1200.0
        wait_until("it is well", lambda: row(client)["state"] == "ok")
    assert len(host.proofs) == 1, "the renewal that came with it was kept"
