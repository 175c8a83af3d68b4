"""Signing in: consent, codes, refresh tokens, PKCE, expiry, and who is let in."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tradeproc.domain.units import SECOND
from tradeproc.localbroker.tradestation.oauth import OAuthError, OAuthSettings, TradeStationSignIn
from tradeproc.testing.brokers import RunningBroker, running_local_broker

NOW = 1_700_000_000 * SECOND
BACK = "http://localhost:31022/"
ASK = {
    "response_type": "code",
    "client_id": "local",
    "redirect_uri": BACK,
    "audience": "https://api.tradestation.com",
    "scope": "openid offline_access MarketData ReadAccount Trade",
    "state": "a b&c",
}
CLIENT = {"client_id": "local", "client_secret": "local"}


@pytest.fixture(scope="module")
def broker() -> Iterator[RunningBroker]:
    with running_local_broker(paused=True) as running:
        yield running


@pytest.fixture
def sign_in(tmp_path: Path) -> TradeStationSignIn:
    return TradeStationSignIn(tmp_path, OAuthSettings(token_seconds=1200))


def code_of(sign_in: TradeStationSignIn, **changes: str) -> str:
    return parse_qs(urlsplit(sign_in.authorize(ASK | changes, NOW)).query)["code"][0]


def refresh_token(sign_in: TradeStationSignIn) -> str:
    form = CLIENT | {"grant_type": "authorization_code", "code": code_of(sign_in), "redirect_uri": BACK}
    return str(sign_in.token(form, NOW)["refresh_token"])


def refused(sign_in: TradeStationSignIn, form: dict[str, str], now: int = NOW) -> tuple[int, str]:
    with pytest.raises(OAuthError) as caught:
        sign_in.token(form, now)
    return caught.value.status, caught.value.error


def test_the_whole_dance_over_http(broker: RunningBroker) -> None:
    consent = httpx.get(f"{broker.url}/authorize", params=ASK, trust_env=False)
    back = urlsplit(consent.headers["location"])
    given = parse_qs(back.query)
    form = CLIENT | {"grant_type": "authorization_code", "code": given["code"][0], "redirect_uri": BACK}

    answer = httpx.post(f"{broker.url}/oauth/token", data=form, trust_env=False).raise_for_status().json()

    assert (consent.status_code, f"{back.scheme}://{back.netloc}{back.path}", given["state"]) == (
        302,
        BACK,
        ["a b&c"],
    )
    assert set(answer) == {"access_token", "expires_in", "scope", "token_type", "id_token", "refresh_token"}
    assert (answer["expires_in"], answer["token_type"], answer["scope"]) == (1200, "Bearer", ASK["scope"])
    accounts = f"{broker.url}/v3/brokerage/accounts"
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    assert httpx.get(accounts, headers=headers, trust_env=False).status_code == 200


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer a.b.c", "Basic bG9jYWw="])
def test_without_a_good_token_nothing_is_told(broker: RunningBroker, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    paths = ["brokerage/accounts", "marketdata/quotes/ESH24", "brokerage/stream/accounts/SIM0000001F/orders"]
    for path in paths:
        answer = httpx.get(f"{broker.url}/v3/{path}", headers=headers, trust_env=False)

        assert (answer.status_code, answer.json()["Error"]) == (401, "Unauthorized"), path


def test_errors_over_http_are_in_oauths_own_words(broker: RunningBroker) -> None:
    form = CLIENT | {"grant_type": "refresh_token", "refresh_token": "dead"}

    answer = httpx.post(f"{broker.url}/oauth/token", data=form, trust_env=False)

    assert answer.status_code == 403
    expected = {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}
    assert answer.json() == expected


def test_a_client_may_name_itself_by_basic_authentication_or_json(broker: RunningBroker) -> None:
    grant = {"grant_type": "refresh_token", "refresh_token": "local"}

    basic = httpx.post(f"{broker.url}/oauth/token", data=grant, auth=("local", "local"), trust_env=False)
    json = httpx.post(f"{broker.url}/oauth/token", json=grant | CLIENT, trust_env=False)
    wrong = httpx.post(f"{broker.url}/oauth/token", data=grant, auth=("local", "x"), trust_env=False)

    assert [answer.status_code for answer in (basic, json, wrong)] == [200, 200, 401]


def test_all_tokens_can_be_made_worthless_at_once(broker: RunningBroker) -> None:
    headers, accounts = broker.headers(), f"{broker.url}/v3/brokerage/accounts"

    broker.control.expire_tokens()

    assert httpx.get(accounts, headers=headers, trust_env=False).status_code == 401
    assert httpx.get(accounts, headers=broker.headers(), trust_env=False).status_code == 200


def test_an_access_token_lives_twenty_minutes(sign_in: TradeStationSignIn) -> None:
    form = CLIENT | {"grant_type": "refresh_token", "refresh_token": refresh_token(sign_in)}
    header = f"bearer {sign_in.token(form, NOW)['access_token']}"

    assert sign_in.is_good(header, NOW + 1199 * SECOND)
    assert not sign_in.is_good(header, NOW + 1200 * SECOND)


def test_a_refresh_answer_carries_no_refresh_token_unless_tokens_rotate(
    sign_in: TradeStationSignIn, tmp_path: Path
) -> None:
    form = CLIENT | {"grant_type": "refresh_token", "refresh_token": refresh_token(sign_in)}

    assert "refresh_token" not in sign_in.token(form, NOW)
    assert "refresh_token" not in sign_in.token(form, NOW)
    rotating = TradeStationSignIn(tmp_path, OAuthSettings(rotates=True))
    fresh = rotating.token(form, NOW)["refresh_token"]
    assert fresh != form["refresh_token"]
    assert refused(rotating, form) == (403, "invalid_grant")
    assert rotating.token(form | {"refresh_token": fresh}, NOW)["refresh_token"] != fresh


def test_tokens_survive_a_restart_and_revocation_does_too(sign_in: TradeStationSignIn, tmp_path: Path) -> None:
    form = CLIENT | {"grant_type": "refresh_token", "refresh_token": refresh_token(sign_in)}
    header = f"Bearer {sign_in.token(form, NOW)['access_token']}"

    again = TradeStationSignIn(tmp_path, OAuthSettings())

    assert again.is_good(header, NOW)
    again.revoke(CLIENT, NOW + 1)
    assert refused(TradeStationSignIn(tmp_path, OAuthSettings()), form) == (403, "invalid_grant")
    assert (tmp_path / "sign_in.key").stat().st_mode & 0o777 == 0o600


def test_no_refresh_token_without_offline_access(sign_in: TradeStationSignIn) -> None:
    code = code_of(sign_in, scope="openid MarketData")
    form = CLIENT | {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}

    assert "refresh_token" not in sign_in.token(form, NOW)


def test_a_code_works_once_for_its_client_and_redirect_within_ten_minutes(sign_in: TradeStationSignIn) -> None:
    form = CLIENT | {"grant_type": "authorization_code", "redirect_uri": BACK}

    used = form | {"code": code_of(sign_in)}
    sign_in.token(used, NOW)
    assert refused(sign_in, used) == (403, "invalid_grant")
    assert (
        refused(sign_in, form | {"code": code_of(sign_in), "redirect_uri": "http://localhost:1/"})[1]
        == "invalid_grant"
    )
    assert refused(sign_in, form | {"code": code_of(sign_in)}, NOW + 601 * SECOND)[1] == "invalid_grant"
    assert refused(sign_in, form | {"code": code_of(sign_in), "client_secret": "wrong"}) == (401, "access_denied")
    assert refused(sign_in, form | {"code": code_of(sign_in), "client_id": "other"}) == (401, "invalid_client")


def test_pkce_takes_the_place_of_the_secret_of_a_client_that_has_none(tmp_path: Path) -> None:
    sign_in = TradeStationSignIn(tmp_path, OAuthSettings({"local": ""}))
    verifier = "v" * 64
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    ask = {"code_challenge": challenge, "code_challenge_method": "S256"}
    form = {"client_id": "local", "grant_type": "authorization_code", "redirect_uri": BACK}

    answer = sign_in.token(form | {"code": code_of(sign_in, **ask), "code_verifier": verifier}, NOW)

    refresh = {"client_id": "local", "grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    assert sign_in.token(refresh, NOW)["token_type"] == "Bearer"
    assert refused(sign_in, form | {"code": code_of(sign_in, **ask), "code_verifier": "x" * 64})[1] == "invalid_grant"
    assert refused(sign_in, form | {"code": code_of(sign_in)}) == (401, "access_denied")


def test_pkce_does_not_replace_the_secret_of_a_client_that_has_one(sign_in: TradeStationSignIn) -> None:
    verifier = "v" * 64
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    ask = {"code_challenge": challenge, "code_challenge_method": "S256"}
    form = {"client_id": "local", "grant_type": "authorization_code", "redirect_uri": BACK, "code_verifier": verifier}

    assert refused(sign_in, form | {"code": code_of(sign_in, **ask)}) == (401, "access_denied")
    answer = sign_in.token(form | {"code": code_of(sign_in, **ask), "client_secret": "local"}, NOW)
    refresh = {"client_id": "local", "grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    assert refused(sign_in, refresh) == (401, "access_denied")
    assert sign_in.token(refresh | {"client_secret": "local"}, NOW)["token_type"] == "Bearer"


def test_who_asks_for_many_codes_fills_no_memory(sign_in: TradeStationSignIn) -> None:
    for _ in range(1100):
        code_of(sign_in)

    assert len(sign_in._codes) == 1000


def test_a_browser_is_only_sent_to_this_machine_and_told_what_was_wrong(sign_in: TradeStationSignIn) -> None:
    with pytest.raises(OAuthError):
        sign_in.authorize(ASK | {"redirect_uri": "https://elsewhere.example/"}, NOW)
    with pytest.raises(OAuthError):
        sign_in.authorize(ASK | {"client_id": "stranger"}, NOW)
    told = parse_qs(urlsplit(sign_in.authorize(ASK | {"response_type": "token"}, NOW)).query)
    assert (told["error"], told["state"]) == (["unsupported_response_type"], ["a b&c"])


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "é.é.é", "A" * 5000, "e30.e30.e30"])
def test_no_text_is_taken_for_a_token(sign_in: TradeStationSignIn, token: str) -> None:
    assert not sign_in.is_good(f"Bearer {token}", NOW)
    assert refused(sign_in, CLIENT | {"grant_type": "refresh_token", "refresh_token": token})[0] == 403


@pytest.mark.parametrize("found", [b"", b"short"])
def test_a_key_with_which_everybody_could_sign_is_made_anew(tmp_path: Path, found: bytes) -> None:
    (tmp_path / "sign_in.key").write_bytes(found)

    TradeStationSignIn(tmp_path, OAuthSettings())

    assert len((tmp_path / "sign_in.key").read_bytes()) == 32


@pytest.mark.parametrize("found", ["[]", "1", '{"access": "x"}', '{"access": null}', "["])
def test_a_list_of_revoked_tokens_that_is_none_refuses_nobody(tmp_path: Path, found: str) -> None:
    (tmp_path / "revoked.json").write_text(found)
    sign_in = TradeStationSignIn(tmp_path, OAuthSettings())
    names = ("client_id", "client_secret", "refresh_token")

    token = sign_in.token({"grant_type": "refresh_token", **dict.fromkeys(names, "local")}, SECOND)["access_token"]

    assert sign_in.is_good(f"Bearer {token}", SECOND)
