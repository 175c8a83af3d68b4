"""Who needs which feed: a pure memory that forgets in time and never too early."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.procs.needs import FeedKey, Needs

NEED, IDLE = 45.0, 60.0
BARS = FeedKey("bars", ("ESH24", "1"))
ORDERS = FeedKey("orders", ("SIM1",))


def test_programs_are_named_by_what_they_carry() -> None:
    assert BARS.program == "bars-ESH24-1m"
    assert ORDERS.program == "orders-SIM1"
    assert FeedKey("positions", ("SIM1",)).program == "positions-SIM1"


def test_a_need_that_is_not_renewed_is_forgotten_and_the_others_stay() -> None:
    needs = Needs(NEED, IDLE, 0.0)
    needs.renew(BARS, "session-1.trader", 0.0)
    needs.renew(BARS, "session-2.trader", 30.0)
    needs.renew(ORDERS, "session-1.account", 0.0)

    assert needs.wanted(NEED) == {BARS: ["session-1.trader", "session-2.trader"], ORDERS: ["session-1.account"]}
    assert needs.wanted(NEED + 1) == {BARS: ["session-2.trader"]}
    assert needs.wanted(30 + NEED + 1) == {}


def test_a_fresh_link_that_nobody_asks_is_idle_only_after_its_time() -> None:
    needs = Needs(NEED, IDLE, 100.0)

    assert not needs.is_idle(100.0 + IDLE)
    assert needs.is_idle(100.1 + IDLE)


def test_what_nobody_needs_is_stale_and_a_fresh_link_does_not_know_yet() -> None:
    needs, idle_at_once = Needs(NEED, IDLE, 0.0), Needs(NEED, 1.0, 0.0)
    there = ["orders-OLD", BARS.program, "bars-ESM24-1m"]
    needs.renew(BARS, "session-1.trader", 10.0)

    assert needs.stale(NEED)(there) == []
    assert needs.stale(NEED + 1)(there) == ["bars-ESM24-1m", "orders-OLD"]
    assert needs.stale(10 + NEED + 1)(there) == sorted(there)
    assert idle_at_once.stale(2.0)(there) == sorted(there), "who ends prunes all"


act = st.tuples(
    st.floats(0, 30), st.sampled_from([BARS, ORDERS, FeedKey("bars", ("NQH24", "5"))]), st.sampled_from("abc")
)


@settings(max_examples=60, deadline=None)
@given(st.lists(act, max_size=30), st.floats(0, 200))
def test_wanted_is_exactly_what_was_renewed_in_time_and_idleness_needs_both_times(
    acts: list[tuple[float, FeedKey, str]], later: float
) -> None:
    needs, now, renewed = Needs(NEED, IDLE, 0.0), 0.0, dict[tuple[FeedKey, str], float]()
    for pause, key, who in acts:
        now += pause
        needs.renew(key, who, now)
        renewed[key, who] = now
        needs.wanted(now)  # asking in between must not lose anything
    last = now
    now += later

    living = {(key, who) for (key, who), at in renewed.items() if now - at <= NEED}
    assert {(key, who) for key, users in needs.wanted(now).items() for who in users} == living
    assert needs.is_idle(now) == (not living and now - last > IDLE)
