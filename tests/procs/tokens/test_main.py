import logging
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.procs.sign_in_host import (
    PATIENCE,
    SignInHost,
    configure,
    running_tokens,
    secret_file,
    sign_in_host,
    temporary_home,
)
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.requests import NoReply, RequestRefused
from tradeproc.clock import wall_ns
from tradeproc.errors import Outage
from tradeproc.home import Home
from tradeproc.procs.token_source import BusTokenSource, digest_of
from tradeproc.procs.tokens.vault import KEY_FILE, BadKey, LostToken, OpenSecret, Stored, Vault
from tradeproc.protocol.names import TOKENS
from tradeproc.testing.waiting import wait_until


@pytest.fixture
def home() -> Iterator[Home]:
    with temporary_home() as made:
        yield made


@pytest.fixture
def host(home: Home) -> Iterator[SignInHost]:
    """A sign-in host, and a login with a real client's key that has the refresh token `first` from a file."""
    with sign_in_host() as (host, server):
        configure(
            home,
            server.url,
            client_id=secret_file(home, "id", "key"),
            client_secret=secret_file(home, "secret", "hush"),
            refresh_token=secret_file(home, "refresh", "first"),
        )
        yield host


def ask(client: Client, method: str, **params: Any) -> dict[str, Any]:
    return dict(client.call(TOKENS, method, params, PATIENCE))


def token(client: Client, refused: str = "") -> str:
    return str(ask(client, "token", login="paper", refused=refused)["access_token"])


def row(client: Client) -> dict[str, Any]:
    (found,) = ask(client, "logins")["logins"]
    return dict(found)


def test_a_public_client_of_this_machine_logs_itself_in_once_and_for_all(home: Home) -> None:
    with sign_in_host() as (host, server):
        configure(home, server.url)
        with running_tokens(home) as client:
            assert token(client) == "access-1"
            assert row(client)["state"] == "ok"
        with running_tokens(home) as client:
            assert token(client) == "access-2"

    assert host.consents == 1
    assert host.refreshed_with == ["refresh-1"]


def test_a_real_client_never_consents_by_itself(home: Home, host: SignInHost) -> None:
    host.good.clear()
    with running_tokens(home) as client, pytest.raises(RequestRefused, match="needs a person"):
        token(client)

    assert host.consents == 0


def test_many_who_ask_at_once_wait_for_one_refresh(home: Home, host: SignInHost) -> None:
    host.answering.clear()
    with running_tokens(home) as client, ThreadPoolExecutor(6) as pool:
        found = [pool.submit(token, client) for _ in range(6)]
        wait_until("the refresh is under way", lambda: bool(host.refreshed_with))
        host.answering.set()

        assert {one.result(PATIENCE) for one in found} == {"access-1"}

    assert host.issued == 1


def test_a_token_counts_as_work_only_when_it_is_given_out(home: Home, host: SignInHost) -> None:
    host.answering.clear()
    with running_tokens(home) as client:
        with pytest.raises(NoReply):
            client.call(TOKENS, "token", {"login": "paper", "refused": ""}, 0.3)
        work_while_it_is_fetched = ask(client, "status")["work"]
        host.answering.set()
        token(client)
        work_with_it = ask(client, "status")["work"]

    assert work_while_it_is_fetched == 0
    assert work_with_it > 0


def test_a_refused_token_is_replaced_once_however_many_complain(home: Home, host: SignInHost) -> None:
    with running_tokens(home) as client:
        first = token(client)
        assert token(client, digest_of(first)) == "access-2"
        assert token(client, digest_of(first)) == "access-2"
        with pytest.raises(NoReply, match="one token after the other"):
            token(client, digest_of("access-2"))

    assert host.issued == 2


def test_a_token_is_renewed_ahead_of_its_end_though_nobody_asks(home: Home, host: SignInHost) -> None:
    host.life = 2.0
    with running_tokens(home):
        wait_until("it is renewed again and again", lambda: host.issued >= 3)


def test_a_rotated_refresh_token_is_on_disk_before_its_access_token_is_given_out(
    home: Home, host: SignInHost
) -> None:
    host.rotates = True
    with running_tokens(home) as client:
        access = token(client)

        stored = Vault(home.secrets).read("paper")
        assert stored is not None
        assert stored.renewal == access.replace("access", "refresh")
    with running_tokens(home) as client:
        assert token(client) == "access-2"
    assert host.refreshed_with == ["first", "refresh-1"]


def test_a_refresh_token_that_cannot_be_saved_holds_its_access_token_back(home: Home, host: SignInHost) -> None:
    host.rotates = True
    in_the_way = home.secrets / "paper.login"
    with running_tokens(home) as client:
        wait_until("the first one is there", lambda: row(client)["state"] == "ok")
        first = token(client)
        in_the_way.unlink()
        in_the_way.mkdir()
        with pytest.raises(NoReply, match="cannot refresh"):
            token(client, digest_of(first))
        in_the_way.rmdir()

        wait_until("it was saved after all", lambda: not row(client)["detail"])
        assert token(client, digest_of(first)) == "access-2"

    assert host.issued == 2


def test_a_dead_refresh_token_needs_a_person_who_then_mends_it(home: Home, host: SignInHost) -> None:
    host.good.clear()
    with running_tokens(home) as client:
        wait_until("it needs a person", lambda: row(client)["state"] == "needs_login")
        begun = ask(client, "authorize", login="paper")
        assert begun["url"].endswith("/authorize?") or "/authorize?" in begun["url"]
        with pytest.raises(RequestRefused, match="begin again"):
            ask(client, "complete", login="paper", redirected_to="http://localhost/?code=1&state=x", state="x")

        back = f"http://localhost:31022/?code=c1&state={begun['state']}"
        assert ask(client, "complete", login="paper", redirected_to=back, state=begun["state"]) == {}

        assert token(client) == "access-1"
        assert row(client)["state"] == "ok"
    stored = Vault(home.secrets).read("paper")
    assert stored is not None
    assert stored.renewal == "refresh-1"


def test_a_state_that_changes_is_told_to_all(home: Home, host: SignInHost) -> None:
    host.answering.clear()
    host.good.clear()
    told: list[Any] = []
    with running_tokens(home) as client:
        listener = threading.Thread(target=lambda: told.append(next(client.tail(TOKENS, "login", PATIENCE))))
        listener.start()
        wait_until("the refresh is under way", lambda: bool(host.refreshed_with))
        beats = client.tail(TOKENS, "heartbeat", PATIENCE)
        next(beats)
        beats.close()  # type: ignore[attr-defined]
        host.answering.set()
        listener.join(PATIENCE)

    assert told[0].body["login"] == "paper"
    assert told[0].body["state"] == "needs_login"


def test_a_sign_in_host_that_is_down_is_an_outage_that_ends_by_itself(home: Home, host: SignInHost) -> None:
    host.is_down = True
    with running_tokens(home) as client:
        with pytest.raises(NoReply, match="503"):
            token(client)
        assert row(client)["state"] == "error"
        host.is_down = False
        wait_until("it recovers though nobody asks", lambda: row(client)["state"] == "ok")

        assert token(client) == "access-1"


def test_a_login_whose_secret_is_missing_says_so(home: Home, host: SignInHost) -> None:
    (home.root / "secret").unlink()
    with running_tokens(home) as client:
        with pytest.raises(RequestRefused, match="client_secret"):
            token(client)
        # logging in would not help: the detail says what does
        assert row(client)["state"] == "error"
        assert "restart core:tokens" in row(client)["detail"]
        with pytest.raises(RequestRefused, match="has no tokens"):
            ask(client, "token", login="other", refused="")


def test_a_login_added_to_a_running_desk_gets_its_tokens_without_a_restart(home: Home, host: SignInHost) -> None:
    file = home.conf / "tradeproc.toml"
    table = file.read_text().partition("[logins.paper]")[2]
    with running_tokens(home) as client:
        file.write_text(f"{file.read_text()}\n[logins.second]{table}\n[logins.third]{table}")
        file.write_text(file.read_text()[::-1].replace('"secret"'[::-1], '"later"'[::-1], 1)[::-1])

        assert ask(client, "token", login="second", refused="")["access_token"]
        rows = {row["login"]: row["state"] for row in ask(client, "logins")["logins"]}
        assert rows == {"paper": "ok", "second": "ok", "third": "error"}
        with pytest.raises(RequestRefused, match="later cannot be read"):
            ask(client, "token", login="third", refused="")

        secret_file(home, "later", "hush")

        assert ask(client, "token", login="third", refused="")["access_token"], "its secret has come"


def test_a_configuration_that_cannot_be_read_any_more_costs_no_login_its_tokens(home: Home, host: SignInHost) -> None:
    with running_tokens(home) as client:
        (home.conf / "tradeproc.toml").write_text("[desk")

        assert token(client)
        with pytest.raises(RequestRefused, match="is no TOML"):
            ask(client, "token", login="other", refused="")


def test_stopping_waits_for_a_refresh_token_on_its_way(home: Home, host: SignInHost) -> None:
    host.rotates = True
    host.answering.clear()
    release = threading.Timer(0.3, host.answering.set)
    with running_tokens(home):
        wait_until("the refresh is under way", lambda: bool(host.refreshed_with))
        release.start()
    release.join()

    stored = Vault(home.secrets).read("paper")
    assert stored is not None
    assert stored.renewal == "refresh-1"


def test_no_token_reaches_the_log_or_the_disk_in_the_clear(
    home: Home, host: SignInHost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    host.rotates = True
    with running_tokens(home) as client:
        token(client)
        said = str(row(client)) + str(ask(client, "status"))

    said += "".join(record.getMessage() for record in caplog.records)
    for path in home.run.rglob("*"):
        said += path.read_bytes().decode("latin-1") if path.is_file() else ""
    for secret in ("access-1", "refresh-1", "first", "hush"):
        assert secret not in said


# --- the vault ------------------------------------------------------------


def test_the_vault_keeps_private_files_and_gives_back_what_was_saved(home: Home) -> None:
    stored = Stored("r1", wall_ns())
    Vault(home.secrets).save("paper", stored)

    assert Vault(home.secrets).read("paper") == stored
    assert Vault(home.secrets).read("other") is None
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.secrets.iterdir()} == {0o600}
    assert "r1" not in repr(stored)


def test_a_secret_that_others_may_read_is_not_used(home: Home) -> None:
    vault = Vault(home.secrets)
    vault.save("paper", Stored("r1", wall_ns()))
    (home.secrets / "paper.login").chmod(0o640)

    with pytest.raises(OpenSecret, match="chmod 600"):
        vault.read("paper")
    (home.secrets / KEY_FILE).chmod(0o604)
    with pytest.raises(OpenSecret):
        Vault(home.secrets)


def test_a_lost_key_or_a_spoiled_file_is_told_apart_from_nothing(home: Home) -> None:
    Vault(home.secrets).save("paper", Stored("r1", wall_ns()))
    (home.secrets / KEY_FILE).unlink()

    with pytest.raises(LostToken):
        Vault(home.secrets).read("paper")
    (home.secrets / KEY_FILE).write_bytes(b"no key")
    with pytest.raises(BadKey):
        Vault(home.secrets)


# --- the source over the bus ------------------------------------------------------------


def test_a_source_keeps_its_token_until_it_is_refused(home: Home, host: SignInHost) -> None:
    with running_tokens(home):
        source = BusTokenSource(Directory(home.sockets), "paper")
        with ThreadPoolExecutor(4) as pool:
            found = {one.result(PATIENCE) for one in [pool.submit(source.token) for _ in range(20)]}
        assert found == {"access-1"}

        source.refused("another one")
        assert source.token() == "access-1"
        source.refused("access-1")
        assert source.token() == "access-2"
        source.close()


def test_a_source_uses_its_token_to_the_end_while_nobody_gives_a_new_one(home: Home, host: SignInHost) -> None:
    source = BusTokenSource(Directory(home.sockets), "paper", seconds=30.0)
    with running_tokens(home):
        token = source.token()
    source._good_until = 0  # it is time for a new one, and `tokens` is gone
    began = time.monotonic()

    assert source.token() == token
    assert time.monotonic() - began < 20.0, "an order does not wait for it as long as without a token"

    source._good_until = source._ends_at = 0  # now it is over
    source._seconds = 0.2
    with pytest.raises(Outage):
        source.token()
    source.close()


def test_who_has_little_time_waits_no_longer_for_a_token_than_that_whoever_else_waits(
    home: Home, host: SignInHost
) -> None:
    host.answering.clear()
    source = BusTokenSource(Directory(home.sockets), "paper", seconds=PATIENCE)
    with running_tokens(home), ThreadPoolExecutor(1) as pool:
        patient = pool.submit(source.token, PATIENCE)
        wait_until("it asks", lambda: source._asking.locked())

        with pytest.raises(Outage, match="in the time that was left"):
            source.token(0.05)
        source.refused("another one")

        assert not patient.done(), "it still waits, and held up nobody"
        host.answering.set()
        assert patient.result(PATIENCE) == "access-1"
    source.close()


def test_while_a_new_token_is_fetched_the_old_one_is_used_as_long_as_it_is_valid(
    home: Home, host: SignInHost
) -> None:
    source = BusTokenSource(Directory(home.sockets), "paper", seconds=PATIENCE)
    with running_tokens(home):
        token = source.token()
    source._good_until = 0  # it is time for a new one, and another thread asks for it

    with source._asking:
        assert source.token(0.05) == token

    source._ends_at = 0  # now it is over
    with source._asking, pytest.raises(Outage, match="in the time that was left"):
        source.token(0.05)
    source.close()


def test_a_source_without_a_tokens_process_is_an_outage(home: Home) -> None:
    source = BusTokenSource(Directory(home.sockets), "paper", seconds=0.2)

    with pytest.raises(Outage):
        source.token()
    source.close()


def test_a_source_of_a_login_that_needs_a_person_is_an_outage(home: Home, host: SignInHost) -> None:
    host.good.clear()
    with running_tokens(home):
        source = BusTokenSource(Directory(home.sockets), "paper")
        with pytest.raises(Outage, match="needs a person"):
            source.token()
        source.close()
