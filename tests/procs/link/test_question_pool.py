"""When a link asks: within the quota, newer than the question, in time, and fair to all who ask."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeproc.brokers.contract import QuestionKind, Quota
from tradeproc.domain.units import SECOND
from tradeproc.engine.resting import SLOW, SLOW_WITHIN
from tradeproc.procs.link.question_pool import (
    FAILURES_TOGETHER,
    LEAST_PAUSE,
    USUAL_QUOTA,
    Flight,
    QuestionPool,
)

ORDERS = QuestionKind.ORDERS
PATIENCE = 10.0


@dataclass
class Asker:
    """Asks about an account, and again `every` seconds after its answer; `answers` are (asked, begun, answered)."""

    account: str
    every: float = 5.0
    within: float = 1.0
    starts: float = 0.0
    answers: list[tuple[int, int, int]] = field(default_factory=list)
    unanswered: int = 0

    def longest_blindness(self, since: float = 0.0) -> float:
        """Return the longest time from the beginning of a question to the answer of the next one, in seconds.

        What happens at the broker just after the first is told by the second.
        """
        pairs = pairwise(self.answers)
        return max((later[2] - begun) / SECOND for (_, begun, _), later in pairs if begun >= since * SECOND)


@dataclass
class World:
    """Askers, a pool and a broker that takes `takes` seconds and `requests` requests for an answer; virtual time.

    It answers about `together` accounts at once. It fails a question about several that names one it `refuses`, and
    leaves those that it `omits` out of such an answer.
    """

    askers: Sequence[Asker]
    quota: Quota = USUAL_QUOTA
    takes: float = 0.3
    requests: int = 1
    together: int = 1
    refuses: frozenset[str] = frozenset()
    omits: frozenset[str] = frozenset()
    made: list[int] = field(default_factory=list)
    flights: list[tuple[int, str]] = field(default_factory=list)
    asked: dict[int, tuple[Asker, int]] = field(default_factory=dict)
    out: set[int] = field(default_factory=set)
    agenda: list[tuple[int, int, Asker | Flight | None]] = field(default_factory=list)
    planned: int = 0
    wakes_at: int = 0
    pool: QuestionPool = field(default_factory=QuestionPool)

    def run(self, seconds: float) -> "World":
        for asker in self.askers:
            self.plan(int(asker.starts * SECOND), asker)
        self.pool = QuestionPool({ORDERS: self.quota}, {ORDERS: self.together})
        while self.agenda and self.agenda[0][0] < seconds * SECOND:
            now, _, what = heapq.heappop(self.agenda)
            self.happen(what, now)
            self.give_up(now)
            for flight in self.pool.begin(now):
                self.flights += [(now, account) for account in flight.accounts]
                self.made += [now] * self.requests
                self.out |= set(flight.numbers)
                self.plan(now + int(self.takes * SECOND), flight)
            at = self.pool.next_at(now)
            assert at is None or at > now
            if at is not None and not now < self.wakes_at <= at:
                self.wakes_at = at
                self.plan(at, None)
        return self

    def plan(self, at: int, what: Asker | Flight | None) -> None:
        self.planned += 1
        heapq.heappush(self.agenda, (at, self.planned, what))

    def happen(self, what: Asker | Flight | None, now: int) -> None:
        """Somebody asks, the broker answers, or the pool wakes (None)."""
        if isinstance(what, Asker):
            self.asked[self.pool.add((ORDERS, what.account), now, what.within, PATIENCE)] = what, now
        elif what is not None:
            listed = self.listed(what)
            self.pool.ended(what, now, self.requests, listed)
            for number in what.numbers:
                asker, since = self.asked.pop(number)
                if asker.account not in listed:
                    asker.unanswered += 1
                    self.plan(now + 2 * SECOND, asker)
                    continue
                asker.answers.append((since, now - int(self.takes * SECOND), now))
                self.plan(now + int(asker.every * SECOND), asker)

    def listed(self, flight: Flight) -> frozenset[str]:
        """Return the accounts of which an answer lists something."""
        accounts = frozenset(flight.accounts)
        if len(accounts) == 1:
            return accounts - self.refuses
        return frozenset() if accounts & self.refuses else accounts - self.omits

    def give_up(self, now: int) -> None:
        for number, (asker, since) in list(self.asked.items()):
            if number not in self.out and since + PATIENCE * SECOND <= now:
                del self.asked[number]
                asker.unanswered += 1
                self.plan(now + 2 * SECOND, asker)

    def most_in_a_period(self) -> int:
        """Return the most requests within any period of the quota."""
        period, most, first = int(self.quota.seconds * SECOND), 0, 0
        for last, at in enumerate(self.made):
            while self.made[first] <= at - period:
                first += 1
            most = max(most, last - first + 1)
        return most


def sessions(count: int, accounts: int = 1) -> list[Asker]:
    """Return the polls of so many sessions, spread over accounts, that start one after the other."""
    return [Asker(f"SIM{number % accounts}", starts=0.37 * number) for number in range(count)]


def test_a_question_that_may_not_wait_is_asked_at_once() -> None:
    pool = QuestionPool()

    number = pool.add((ORDERS, "SIM1"), 5, 0.0, PATIENCE)

    assert [(each.accounts, each.numbers) for each in pool.begin(5)] == [(("SIM1",), (number,))]


def test_what_is_asked_while_a_question_is_out_is_answered_by_the_next_one() -> None:
    pool = QuestionPool()
    first = pool.add((ORDERS, "SIM1"), 0, 0.0, PATIENCE)
    (flight,) = pool.begin(0)
    second, third = [pool.add((ORDERS, "SIM1"), SECOND, 0.0, PATIENCE) for _ in range(2)]
    assert pool.begin(SECOND) == []

    pool.ended(flight, 2 * SECOND)

    assert flight.numbers == (first,)
    assert [each.numbers for each in pool.begin(2 * SECOND)] == [(second, third)]


def test_a_question_that_may_wait_waits_for_others_and_goes_with_one_that_may_not() -> None:
    pool = QuestionPool()
    patient = pool.add((ORDERS, "SIM1"), 0, 4.0, PATIENCE)
    assert (pool.begin(0), pool.next_at(0)) == ([], 4 * SECOND)

    urgent = pool.add((ORDERS, "SIM1"), SECOND, 0.0, PATIENCE)

    assert [each.numbers for each in pool.begin(SECOND)] == [(patient, urgent)]


def test_accounts_and_kinds_do_not_wait_for_each_other() -> None:
    pool = QuestionPool()
    for place in ((ORDERS, "SIM1"), (ORDERS, "SIM2"), (QuestionKind.POSITIONS, "SIM1")):
        pool.add(place, 0, 0.0, PATIENCE)

    assert len(pool.begin(0)) == 3


def test_a_question_whose_asker_gave_up_is_not_asked() -> None:
    pool = QuestionPool()
    pool.add((ORDERS, "SIM1"), 0, 4.0, 2.0)

    assert pool.begin(2 * SECOND) == []
    assert pool.next_at(2 * SECOND) is None


def test_accounts_that_nobody_asks_about_any_more_are_forgotten() -> None:
    pool = QuestionPool()
    for number in range(50):
        now = number * 400 * SECOND
        pool.add((ORDERS, f"SIM{number}"), now, 0.0, PATIENCE)
        (flight,) = pool.begin(now)
        pool.ended(flight, now + SECOND)

    assert len(pool._lines) < 10


@pytest.mark.parametrize("accounts", [1, 2, 4, 6])
def test_sixteen_sessions_on_one_login_see_what_a_stream_dropped_within_ten_seconds(accounts: int) -> None:
    world = World(sessions(16, accounts)).run(1_000)

    assert max(asker.longest_blindness() for asker in world.askers) <= 10.0
    assert sum(asker.unanswered for asker in world.askers) == 0
    assert world.most_in_a_period() <= USUAL_QUOTA.questions


def test_sixteen_sessions_of_one_account_take_as_many_requests_as_one() -> None:
    one, many = World(sessions(1)).run(900), World(sessions(16)).run(900)

    assert len(many.flights) <= len(one.flights) + 5


def busy(count: int) -> list[Asker]:
    """Return what so many accounts ask while the market reaches order after order: traders and account managers.

    They begin at phases of their own, and each asks again 5 s after its answer, as `engine/resting.py` and the
    account managers do.
    """
    traders = [Asker(f"SIM{number}", within=0.0, starts=0.31 * number) for number in range(count)]
    return traders + [Asker(f"SIM{number}", starts=2.3 + 0.37 * number) for number in range(count)]


def test_sixteen_accounts_that_trade_all_the_time_see_what_a_stream_dropped_within_ten_seconds() -> None:
    """One request about each account every 5 s would take 960 requests in five minutes."""
    world = World(busy(16), together=10).run(1_000)
    alone = World(busy(16)).run(1_000)

    assert max(asker.longest_blindness(since=60.0) for asker in world.askers) <= 10.0
    assert max(asker.longest_blindness(since=60.0) for asker in alone.askers) > 10.0
    assert sum(asker.unanswered for asker in world.askers) == 0
    assert world.most_in_a_period() <= USUAL_QUOTA.questions


@settings(deadline=None, max_examples=20, derandomize=True)
@given(
    st.lists(st.floats(0, 6), min_size=32, max_size=32),
    st.sampled_from([(0.02, 1), (0.02, 2), (0.3, 1), (0.3, 2), (1.5, 1)]),
)
def test_it_is_seen_at_every_phase_of_their_pace(phases: list[float], answer: tuple[float, int]) -> None:
    takes, pages = answer
    askers = busy(16)
    for asker, phase in zip(askers, phases, strict=True):
        asker.starts = phase

    world = World(askers, takes=takes, requests=pages, together=10).run(200)

    assert max(asker.longest_blindness(since=60.0) for asker in askers) <= 10.0
    assert world.most_in_a_period() <= USUAL_QUOTA.questions


def test_an_account_is_asked_about_with_others_once_an_answer_has_listed_something_of_it() -> None:
    pool, now = QuestionPool(together={ORDERS: 10}), 0

    def ask(*listed: str) -> list[tuple[str, ...]]:
        nonlocal now
        now += 10 * SECOND
        for account in ("SIM1", "SIM2", "SIM3"):
            pool.add((ORDERS, account), now, 0.0, PATIENCE)
        flights = pool.begin(now)
        for flight in flights:
            pool.ended(flight, now, 1, set(listed) & set(flight.accounts))
        return sorted(flight.accounts for flight in flights)

    assert ask("SIM1", "SIM2") == [("SIM1",), ("SIM2",), ("SIM3",)]
    assert ask("SIM1", "SIM3") == [("SIM1", "SIM2"), ("SIM3",)], "what was left out may be there all the same"
    assert ask("SIM1", "SIM2", "SIM3") == [("SIM1", "SIM3"), ("SIM2",)]
    assert ask("SIM1", "SIM2", "SIM3") == [("SIM1", "SIM2", "SIM3")]


def test_questions_of_other_kinds_and_of_accounts_that_are_asked_about_do_not_go_along() -> None:
    pool = QuestionPool(together={ORDERS: 10})
    for account in ("SIM1", "SIM2", "SIM3"):
        pool.add((ORDERS, account), 0, 0.0, PATIENCE)
    for flight in pool.begin(0):
        pool.ended(flight, 0, 1, flight.accounts)
    pool.add((ORDERS, "SIM3"), SECOND, 0.0, PATIENCE)
    (out,) = pool.begin(SECOND)

    patient = pool.add((ORDERS, "SIM2"), 2 * SECOND, 4.0, PATIENCE)
    numbers = [pool.add((ORDERS, account), 2 * SECOND, 0.0, PATIENCE) for account in ("SIM1", "SIM3")]
    pool.add((QuestionKind.BALANCES, "SIM2"), 2 * SECOND, 4.0, PATIENCE)

    (flight,) = pool.begin(2 * SECOND)
    assert (flight.accounts, flight.numbers) == (("SIM1", "SIM2"), (numbers[0], patient))
    pool.ended(out, 3 * SECOND, 1, out.accounts)
    assert [each.accounts for each in pool.begin(3 * SECOND)] == [("SIM3",)]


def test_no_question_is_about_more_accounts_than_the_broker_takes() -> None:
    world = World(busy(16), together=3).run(300)

    moments: dict[int, int] = {}
    for at, _ in world.flights:
        moments[at] = moments.get(at, 0) + 1
    assert max(moments[at] / world.made.count(at) for at in moments) == 3


def test_an_account_that_the_broker_refuses_or_leaves_out_does_not_cost_others_their_answers() -> None:
    refused, omitted = frozenset({"SIM3"}), frozenset({"SIM5"})
    world = World(busy(16), together=10, refuses=refused, omits=omitted).run(1_000)

    others = [asker for asker in world.askers if asker.account not in refused | omitted]
    assert max(asker.longest_blindness(since=60.0) for asker in others) <= 10.0
    assert sum(asker.unanswered for asker in others) == 0
    assert all(asker.answers for asker in world.askers if asker.account in omitted)
    assert world.most_in_a_period() <= USUAL_QUOTA.questions


def test_a_broker_that_fails_every_question_about_several_accounts_is_asked_about_each_alone() -> None:
    class Failing(World):
        def listed(self, flight: Flight) -> frozenset[str]:
            return frozenset(flight.accounts) if len(flight.accounts) == 1 else frozenset()

    asked = sessions(6, 6)
    Failing(asked, together=10).run(600)

    assert max(asker.longest_blindness(since=60.0) for asker in asked) <= 10.0
    assert sum(asker.unanswered for asker in asked) <= FAILURES_TOGETHER * 6


def test_a_link_that_had_no_lane_in_time_has_learned_nothing_about_the_broker() -> None:
    pool = QuestionPool(together={ORDERS: 10})
    for now in range(0, 50 * SECOND, 10 * SECOND):
        for account in ("SIM1", "SIM2"):
            pool.add((ORDERS, account), now, 0.0, PATIENCE)
        flights = pool.begin(now)
        assert len(flights) == (2 if now == 0 else 1)
        for flight in flights:
            pool.ended(flight, now, 0, flight.accounts if now == 0 else None)


def test_an_account_in_trouble_does_not_keep_others_from_being_asked_about() -> None:
    """Two sessions ask again as soon as they are answered, for ever, as when an order's fate stays unknown."""
    troubled = [Asker("BAD1", every=0.0, within=0.0), Asker("BAD2", every=0.0, within=0.0)]
    others = sessions(6, 3)

    world = World([*troubled, *others]).run(1_000)

    assert max(asker.longest_blindness() for asker in others) <= 15.0
    assert max(asker.longest_blindness() for asker in troubled) <= 15.0
    assert world.most_in_a_period() <= USUAL_QUOTA.questions


def test_a_question_that_may_not_wait_finds_room_when_routine_is_more_than_the_quota_allows() -> None:
    """Twelve accounts are more than can be asked about every 5 s; what is urgent does not stand behind them all."""
    urgent = Asker("SIM0", every=20.0, within=0.0, starts=400.0)
    world = World([*sessions(12, 12), urgent]).run(1_000)

    assert max((answered - asked) / SECOND for asked, _, answered in urgent.answers) <= 5.0
    assert world.most_in_a_period() <= USUAL_QUOTA.questions


def test_balances_never_use_what_is_left_for_orders_and_positions() -> None:
    """The broker tells no quota: all kinds share one, and balances of many accounts want all of it at once."""
    pool, burst = QuestionPool(), int(USUAL_QUOTA.questions / 8)
    for number in range(3 * burst):
        pool.add((QuestionKind.BALANCES, f"SIM{number}"), 0, 0.0, 300.0)
    now, asked = 0, 0
    for now in range(0, 60 * SECOND, SECOND // 4):
        for flight in pool.begin(now):
            asked += 1
            pool.ended(flight, now)
    assert burst / 2 - 1 <= asked <= burst / 2 + 60 * USUAL_QUOTA.questions / USUAL_QUOTA.seconds

    for kind in (ORDERS, QuestionKind.POSITIONS):
        for number in range(int(burst / 4)):
            pool.add((kind, f"SIM{number}"), now, 0.0, PATIENCE)

    begun = pool.begin(now)
    assert [flight.kind for flight in begun].count(ORDERS) == int(burst / 4)
    assert [flight.kind for flight in begun].count(QuestionKind.POSITIONS) == int(burst / 4)


def test_sixteen_accounts_whose_orders_rest_leave_room_for_a_market_that_reaches_them_all() -> None:
    """Each is asked for as the engine asks for resting orders; at 600 s all are reached and asked for at once."""
    resting = [
        Asker(f"SIM{number}", every=SLOW / SECOND, within=SLOW_WITHIN, starts=1.4 * number) for number in range(16)
    ]
    reached = [Asker(f"SIM{number}", every=1_000.0, within=0.0, starts=600.0) for number in range(16)]

    world = World([*resting, *reached]).run(900)

    assert max((answered - asked) / SECOND for each in reached for asked, _, answered in each.answers) <= 8.0
    assert all(len(each.answers) == 1 for each in reached)
    assert sum(each.unanswered for each in resting) == 0
    assert world.most_in_a_period() <= USUAL_QUOTA.questions


def test_what_a_broker_has_forbidden_for_a_while_is_tried_twice_a_second_at_most_and_uses_nothing_up() -> None:
    """After a 429 the adapter answers at once that it may not ask, so that no request is made."""
    hasty = [Asker("SIM1", every=0.0, within=0.0) for _ in range(16)]
    world = World(hasty, takes=0.001, requests=0).run(60)

    assert len(world.flights) <= 60 * SECOND // LEAST_PAUSE + 1
    assert world.pool.asked()[ORDERS.value] == 0
    number = world.pool.add((ORDERS, "SIM2"), 60 * SECOND, 0.0, PATIENCE)
    assert number in {each for flight in world.pool.begin(60 * SECOND) for each in flight.numbers}


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.builds(
            Asker,
            st.sampled_from(["SIM1", "SIM2", "SIM3"]),
            every=st.sampled_from([0.0, 0.5, 3.0, 5.0, 30.0]),
            within=st.sampled_from([0.0, 0.001, 1.0, 4.0, 20.0]),
            starts=st.floats(0, 30),
        ),
        min_size=1,
        max_size=12,
    ),
    st.builds(Quota, st.integers(20, 240), st.sampled_from([10.0, 60.0, 300.0])),
    st.sampled_from([0.01, 0.3, 4.0, 30.0]),
    st.integers(1, 4),
    st.sampled_from([1, 2, 10]),
)
def test_no_quota_is_exceeded_and_no_answer_is_older_than_its_question(
    askers: list[Asker], quota: Quota, takes: float, requests: int, together: int
) -> None:
    world = World(askers, quota, takes, requests, together).run(400)

    assert world.most_in_a_period() <= quota.questions
    for asker in askers:
        assert all(asked <= begun for asked, begun, _ in asker.answers)
        assert asker.answers or asker.unanswered or asker.starts + takes > 300
    for account in {account for _, account in world.flights}:
        begun = [at for at, each in world.flights if each == account]
        pause = max(LEAST_PAUSE if together == 1 else 0, takes * SECOND)
        assert all(later - at >= pause for at, later in pairwise(begun))
