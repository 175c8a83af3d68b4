import base64
import hashlib
import json
import logging
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.brokers.tradestation.wire_server import Script, WireServer, answer, cut
from tradeproc.brokers.contract import ClientCredentials, ConsentAnswer, Tokens
from tradeproc.brokers.tradestation.authorization import (
    ClientRefused,
    ConsentMissing,
    RefreshTokenDead,
    SignInDown,
    TradeStationAuthorization,
)

CLIENT = ClientCredentials("key", "secret", "http://localhost:31022/")
PUBLIC = ClientCredentials("key", "", "http://localhost:31022/")
GOOD = {"access_token": "a1", "token_type": "Bearer", "expires_in": 1200, "scope": "openid Matrix", "id_token": "i"}
BACK = "http://localhost:31022/?code=c1&state=s1"


def form_of(server: WireServer) -> dict[str, str]:
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/oauth/token")
    assert "authorization" not in request.headers
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def test_the_consent_address_asks_for_what_a_futures_bot_needs() -> None:
    url = urlsplit(TradeStationAuthorization("https://signin.example", CLIENT).url("s1"))

    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert query.pop("code_challenge_method") == "S256"
    assert len(query.pop("code_challenge")) == 43
    assert (url.netloc, url.path) == ("signin.example", "/authorize")
    assert query == {
        "response_type": "code",
        "client_id": "key",
        "redirect_uri": "http://localhost:31022/",
        "audience": "https://api.tradestation.com",
        "scope": "openid offline_access MarketData ReadAccount Trade",
        "state": "s1",
    }


def test_a_code_is_traded_with_the_secret_in_the_form() -> None:
    with WireServer(answer(200, GOOD | {"refresh_token": "r1"})) as server:
        tokens = TradeStationAuthorization(server.url, CLIENT).acquire(ConsentAnswer(BACK, "s1"))

    assert tokens == Tokens("a1", 1200.0, "r1")
    assert form_of(server) == {
        "grant_type": "authorization_code",
        "client_id": "key",
        "client_secret": "secret",
        "code": "c1",
        "redirect_uri": "http://localhost:31022/",
    }


def test_a_code_is_protected_by_a_verifier_also_beside_a_secret() -> None:
    with WireServer(answer(200, GOOD)) as server:
        authorization = TradeStationAuthorization(server.url, CLIENT)
        challenge = parse_qs(urlsplit(authorization.url("s1")).query)["code_challenge"][0]
        authorization.acquire(ConsentAnswer(BACK, "s1"))

    form = form_of(server)
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == challenge
    assert form["client_secret"] == "secret"


def test_without_a_secret_the_code_is_protected_by_a_verifier() -> None:
    with WireServer(answer(200, GOOD)) as server:
        authorization = TradeStationAuthorization(server.url, PUBLIC)
        url = authorization.url("s1")
        authorization.acquire(ConsentAnswer(BACK, "s1"))

    assert "code_challenge_method=S256" in url
    form = form_of(server)
    assert 43 <= len(form["code_verifier"]) <= 128
    assert "client_secret" not in form


@pytest.mark.parametrize(
    "back",
    [
        "http://localhost:31022/?error=access_denied&error_description=no",
        "http://localhost:31022/?code=c1&state=other",
        "http://localhost:31022/?state=s1",
    ],
)
def test_a_browser_that_comes_back_without_a_fitting_code_trades_nothing(back: str) -> None:
    with WireServer(answer(200, GOOD)) as server, pytest.raises(ConsentMissing):
        TradeStationAuthorization(server.url, CLIENT).acquire(ConsentAnswer(back, "s1"))

    assert server.requests == []


@pytest.mark.parametrize(
    ("told", "kept"), [({}, None), ({"refresh_token": "r1"}, None), ({"refresh_token": "r2"}, "r2")]
)
def test_a_refresh_tells_a_refresh_token_only_when_it_is_another(told: dict[str, str], kept: str | None) -> None:
    with WireServer(answer(200, GOOD | told)) as server:
        tokens = TradeStationAuthorization(server.url, CLIENT).renew("r1")

    assert tokens == Tokens("a1", 1200.0, kept)
    assert form_of(server) == {
        "grant_type": "refresh_token",
        "refresh_token": "r1",
        "client_id": "key",
        "client_secret": "secret",
    }


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (
            answer(403, {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}),
            RefreshTokenDead,
        ),
        (answer(400, {"error": "invalid_grant"}), RefreshTokenDead),
        (answer(401, {"error": "access_denied", "error_description": "Unauthorized"}), ClientRefused),
        (answer(401, {"error": "invalid_client"}), ClientRefused),
        (answer(503, b"<html>"), SignInDown),
        (answer(500, {"error": "invalid_grant"}), SignInDown),
        (answer(429, {"error": "too_many_requests"}), SignInDown),
        (answer(200, b"<html>"), SignInDown),
        (answer(200, {}), SignInDown),
        (cut, SignInDown),
    ],
)
def test_only_a_clear_no_needs_a_person(script: Script, error: type[Exception]) -> None:
    with WireServer(script) as server, pytest.raises(error):
        TradeStationAuthorization(server.url, CLIENT).renew("r1")

    assert len(server.requests) == 1


def test_no_secret_reaches_the_log_even_when_everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with WireServer(answer(200, GOOD | {"refresh_token": "refresh-2"})) as server:
        tokens = TradeStationAuthorization(server.url, CLIENT).renew("refresh-1")

    said = json.dumps([record.getMessage() for record in caplog.records]) + repr(tokens) + repr(CLIENT)
    for secret in ("secret", "refresh-1", "refresh-2", "a1"):
        assert secret not in said
