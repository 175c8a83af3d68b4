"""Scopes of latches and alarms: one text each, read back to what it names."""

import pytest

from tradeproc.protocol import scopes
from tradeproc.protocol.scopes import BadScope, Scope


@pytest.mark.parametrize(
    ("scope", "text", "session", "login", "portfolio", "in_words"),
    [
        (scopes.HOST, "host", None, None, None, "the desk"),
        (scopes.of_session(7), "session:7", 7, None, None, "session 7"),
        (scopes.of_login("paper"), "login:paper", None, "paper", None, "login paper"),
        (scopes.of_portfolio("index"), "portfolio:index", None, None, "index", "portfolio index"),
    ],
)
def test_a_scope_says_what_it_names(
    scope: Scope, text: str, session: int | None, login: str | None, portfolio: str | None, in_words: str
) -> None:
    assert scope == text
    assert Scope.parse(text) == scope
    assert (scope.session, scope.login, scope.portfolio, scope.in_words) == (session, login, portfolio, in_words)


@pytest.mark.parametrize(
    "text",
    ["", "hosts", "session", "session:", "session:x", "session:-1", "session:07", "login:", "login:a b", "desk:1"],
)
def test_a_text_that_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(BadScope, match="scope"):
        Scope.parse(text)


def test_a_latch_of_the_host_of_its_portfolio_or_of_the_session_itself_counts_for_a_session() -> None:
    counts = (scopes.HOST, scopes.of_portfolio("index"), scopes.of_session(7))

    assert all(scope.concerns(7, portfolio="index") for scope in counts)
    assert not scopes.of_portfolio("index").concerns(7)
    assert not scopes.of_portfolio("index").concerns(7, portfolio="rates")
    assert not any(
        scope.concerns(7) for scope in (scopes.of_session(77), scopes.of_login("paper"), Scope("session:07"))
    )


def test_a_damaged_text_names_no_session() -> None:
    assert Scope("session:x").session is None


def test_a_latch_of_a_login_counts_for_a_session_that_orders_or_takes_its_bars_through_it() -> None:
    assert scopes.of_login("paper").concerns(7, ("paper", "data"))
    assert scopes.of_login("data").concerns(7, ("paper", "data"))
    assert not scopes.of_login("other").concerns(7, ("paper", "data"))
