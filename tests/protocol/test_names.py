"""Names of processes: what is built is read back, and a stranger's name is nobody's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeproc.protocol import names
from tradeproc.protocol.names import GroupName, ProcessName

LOGINS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,15}", fullmatch=True)
ACCOUNTS = st.from_regex(r"[A-Za-z0-9._-]{1,16}", fullmatch=True)


@pytest.mark.parametrize(
    ("name", "text", "group", "kind"),
    [
        (names.trader(7), "session-7.trader", "session-7", "trader"),
        (names.account(7), "session-7.account", "session-7", "account"),
        (names.link("paper"), "link-paper.link", "link-paper", "link"),
        (names.bars_feed("paper", "ESH24", 5), "link-paper.bars-ESH24-5m", "link-paper", "bars"),
        (names.account_feed("paper", "orders", "SIM1"), "link-paper.orders-SIM1", "link-paper", "orders"),
        (names.account_feed("paper", "positions", "SIM1"), "link-paper.positions-SIM1", "link-paper", "positions"),
        (names.KEEPER, "core.keeper", "core", "keeper"),
        (names.WARDEN, "warden.warden", "warden", "warden"),
        (names.LOCAL_BROKER, "localbroker.localbroker", "localbroker", "localbroker"),
        (names.NOTIFIER, "notifier.notifier", "notifier", "notifier"),
    ],
)
def test_a_name_says_what_runs_there(name: ProcessName, text: str, group: str, kind: str) -> None:
    assert (name, name.group, name.kind) == (text, group, kind)
    assert name.at_supervisord == text.replace(".", ":", 1)
    assert names.process_at_supervisord(name.at_supervisord) == name


@given(st.integers(0, 2**62))
def test_a_session_is_found_in_the_names_of_its_processes(session: int) -> None:
    assert names.trader(session).session == session
    assert names.trader(session).is_trader
    assert names.account(session).session == session
    assert not names.account(session).is_trader
    assert names.session_group(session).is_generated


@given(LOGINS, ACCOUNTS)
def test_a_login_is_found_in_the_names_of_its_processes_whatever_the_account(login: str, account: str) -> None:
    for name in (names.link(login), names.account_feed(login, "orders", account)):
        assert ProcessName(str(name)).login == login
        assert name.session is None
        assert not name.is_trader


@pytest.mark.parametrize(
    "text", ["", ".", "session-", "session-x.trader", "session-07.trader", "session-7", "link-.link"]
)
def test_a_text_that_is_no_name_of_ours_belongs_to_nobody(text: str) -> None:
    name = ProcessName(text)

    assert (name.session, name.login, name.is_trader) == (None, None, False)


def test_only_groups_of_sessions_and_logins_come_and_go() -> None:
    assert not GroupName("core").is_generated
    assert GroupName("link-paper").is_generated


@pytest.mark.parametrize(
    ("kind", "subject", "program"),
    [
        ("bars", ("ESH24", "5"), "bars-ESH24-5m"),
        ("orders", ("SIM-1",), "orders-SIM-1"),
        ("positions", ("SIM1",), "positions-SIM1"),
    ],
)
def test_what_a_feed_is_of_is_read_back_from_its_name(kind: str, subject: tuple[str, ...], program: str) -> None:
    feed = names.feed("paper", kind, subject)

    assert (feed.program, feed.kind, feed.feed) == (program, kind, subject)


@pytest.mark.parametrize("text", ["link-paper.link", "link-paper.bars-ESH24", "session-7.orders-SIM1", "core.keeper"])
def test_what_is_no_feed_is_of_nothing(text: str) -> None:
    assert ProcessName(text).feed == ()
