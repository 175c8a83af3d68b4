"""How logins stand travels whole, and a process of a version before may leave out what it does not know."""

from tradeproc.protocol.token_messages import (
    AUTHORIZE,
    COMPLETE,
    LOGINS,
    ConsentGiven,
    LoginBegun,
    LoginsStanding,
    LoginStanding,
    PasswordGiven,
)

ROW = {
    "login": "paper",
    "state": "ok",
    "detail": "",
    "expires_at": 5,
    "refreshed_at": None,
    "logged_in_at": 1,
    "person_needed_at": None,
}


def test_how_a_login_stands_is_read_and_written_as_it_was_told() -> None:
    told = LOGINS.answer_codec.read({"logins": [ROW]})

    assert told == LoginsStanding((LoginStanding("paper", "ok", "", 5, None, 1, None),))
    assert LOGINS.answer_codec.plain(told) == {"logins": [ROW]}


def test_a_version_that_knows_consents_only_tells_no_kind() -> None:
    begun = AUTHORIZE.answer_codec.read({"url": "https://x", "state": "s"})

    assert begun == LoginBegun("", "https://x", "s")


def test_a_password_and_a_consent_are_told_apart_by_their_keys_and_never_shown() -> None:
    password = {"login": "paper", "user": "me", "password": "sesame"}
    consent = {"login": "paper", "redirected_to": "http://localhost/?code=sesame", "state": "sesame"}

    given = [COMPLETE.question_codec.read(each) for each in (password, consent)]

    assert given == [
        PasswordGiven("paper", "me", "sesame"),
        ConsentGiven("paper", "http://localhost/?code=sesame", "sesame"),
    ]
    assert [COMPLETE.question_codec.plain(each) for each in given] == [password, consent]
    assert "sesame" not in repr(given)
