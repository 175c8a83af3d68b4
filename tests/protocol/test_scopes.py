"""Scopes of latches and alarms: one text each, read back to what it names."""

import pytest

from tradeproc.protocol import scopes
from tradeproc.protocol.scopes import BadScope, Scope


@pytest.mark.parametrize(
    ("scope", "text", "kind", "name", "in_words"),
    [
        (scopes.HOST, "host", "host", None, "the desk"),
        (scopes.of_session(7), "session:7", "session", 7, "session 7"),
        (scopes.of_login("paper"), "login:paper", "login", "paper", "login paper"),
        (scopes.of_account("SIM.1-F"), "account:SIM.1-F", "account", "SIM.1-F", "account SIM.1-F"),
        (scopes.of_portfolio("index"), "portfolio:index", "portfolio", "index", "portfolio index"),
    ],
)
def test_a_scope_says_what_it_names(scope: Scope, text: str, kind: str, name: object, in_words: str) -> None:
    assert scope == text
    assert Scope.parse(text) == scope
    assert (scope.kind, scope.in_words) == (kind, in_words)
    for other in ("session", "login", "account", "portfolio"):
        assert getattr(scope, other) == (name if other == kind else None)


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


def test_a_latch_of_an_account_counts_for_the_sessions_that_trade_in_it_and_for_no_other() -> None:
    assert scopes.of_account("SIM1").concerns(7, ("paper",), "index", "SIM1")
    assert not scopes.of_account("SIM1").concerns(7, ("paper",), "index", "SIM2")
    assert not scopes.of_account("SIM1").concerns(7, ("SIM1",), "SIM1"), "who names no account has none"
    assert not scopes.of_login("SIM1").concerns(7, (), "", "SIM1")
