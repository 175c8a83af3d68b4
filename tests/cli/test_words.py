"""Fields of messages as people read them: times, durations and words; nothing of it is lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.test_tables import printed
from tests.desk.states import state
from tradeproc.bus.codec import Envelope
from tradeproc.cli import tables, words
from tradeproc.cli.commands import sessions
from tradeproc.cli.commands.watching import _as_text
from tradeproc.clock import wall_ns
from tradeproc.desk.listed import SessionListed

CHRISTMAS = 1703545200000000000


@pytest.mark.parametrize(
    ("key", "value", "whole", "short"),
    [
        ("market_at", CHRISTMAS, "2023-12-25 23:00:00", "market_at=2023-12-25T23:00:00"),
        ("at", CHRISTMAS, "2023-12-25 23:00:00", "at=2023-12-25T23:00:00"),
        ("as_of", CHRISTMAS, "2023-12-25 23:00:00", "as_of=2023-12-25T23:00:00"),
        ("closed_at", 0, "–", "closed_at=never"),
        ("lag_ns", 1_500_000, "1.50 ms", "lag=1.50ms"),
        ("lag_ns", 2_500_000_000, "2.5 s", "lag=2.5s"),
        ("warm", True, "loaded", "warm=yes"),
        ("warm", False, "still being fetched", "warm=no"),
        ("lease", False, "lost: another trader may have the session", "lease=no"),
        ("is_closed", True, "yes", "is_closed=yes"),
        ("weekdays", ["mon", "tue"], "mon, tue", "weekdays=2 items"),
        ("schedule", {"hours": "exchange", "holidays": True}, "hours = exchange, holidays = yes", "schedule={…}"),
        ("quantity", 2, "2", "quantity=2"),
        ("average", "4800.25", "4800.25", "average=4800.25"),
    ],
)
def test_a_field_in_words(key: str, value: Any, whole: str, short: str) -> None:
    assert words.said(key, value).replace(tables.when(0), "–") == whole
    assert words.pair(key, value) == short


def test_a_time_of_today_has_no_date_in_a_line() -> None:
    assert words.pair("at", wall_ns()) == f"at={tables.clock(wall_ns())}"


bodies = st.dictionaries(
    st.sampled_from(["at", "market_at", "warm", "session", "lag_ns", "orders", "name", "average", "limits"]),
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(), st.lists(st.integers()),
        st.dictionaries(st.text(), st.text()), st.floats(allow_nan=False),
    ),
)  # fmt: skip


@given(bodies)
def test_every_body_can_be_told(body: dict[str, Any]) -> None:
    for key, value in body.items():
        assert isinstance(words.said(key, value), str)
        assert words.pair(key, value).startswith(key.removesuffix("_ns"))


def test_tail_and_show_have_neither_nanoseconds_nor_true_and_false() -> None:
    body = {"session": 1, "market_at": CHRISTMAS, "warm": True, "lease": True, "reconciled": False}
    row = {"id": 1, "name": "mine", "created_at": CHRISTMAS, "is_due": True, "desired": "running"}
    line = _as_text(Envelope("session-1.trader", "state", 1, 1, CHRISTMAS, body))

    shown = printed(sessions._shown(SessionListed.of(row), state(market_at=CHRISTMAS, reconciled=False)), 200)

    assert line == (
        "23:00:00 session-1.trader state session=1 market_at=2023-12-25T23:00:00 warm=yes lease=yes reconciled=no"
    )
    for text in ("True", "False", str(CHRISTMAS), "warm "):
        assert text not in shown
    assert "loaded" in shown
    assert "not confirmed by the broker" in shown
    assert "2023-12-25 23:00:00" in shown
