"""Limits of portfolios and accounts in the ledger: what is refused, what waits, what latches, what re-arms."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tradeproc.domain.joint_limits import JointLimits, JointMarks
from tradeproc.domain.portfolio import PortfolioSpec
from tradeproc.domain.units import SECOND, Contracts, Money, Nanos, Times, WholeMoney
from tradeproc.procs.portfolio import joint_book
from tradeproc.procs.portfolio.ledger import step
from tradeproc.procs.portfolio.ledger_values import (
    ClockTicked,
    Grant,
    HeatAsked,
    HeatReported,
    JointRead,
    JointScope,
    KnownPortfolio,
    Ledger,
    LedgerEffect,
    LedgerEvent,
    LimitReached,
    Membership,
    PortfoliosRead,
    Refuse,
)
from tradeproc.protocol.heat_messages import HeatQuestion, HeatReport, JointStanding

MAIN, ACCOUNT = "portfolio:main", "account:A"
WALL = Nanos(1_703_509_200 * SECOND)
LOSSES = JointLimits(max_daily_loss=WholeMoney(500), max_drawdown=WholeMoney(800))
ORDERS = JointLimits(
    max_position={"ES": Contracts(3)}, max_orders_per_minute=Times(4), max_notional=WholeMoney(1_000_000)
)


class Host:
    """A ledger of two sessions in one account and one portfolio, with a clock that we turn."""

    def __init__(self, limits: JointLimits = LOSSES, *, is_account: bool = False) -> None:
        self.now, self.key = Nanos(100 * SECOND), 0
        self.ledger = Ledger("us")
        self.is_account = is_account
        self.members = {1: Membership("equity_index"), 2: Membership("equity_index")}
        self.known = JointScope(MAIN, limits, "USD", self.members)
        if is_account:
            self.known = JointScope(ACCOUNT, limits, "USD", self.members, "A")
        spec = PortfolioSpec(name="main", warn_percent=99, block_percent=100, worst_case=1, equity=10**9)
        self.tell(PortfoliosRead(() if is_account else (KnownPortfolio(spec, 1, self.members),)))
        self.read()
        self.made = 0

    def read(self, **changes: Any) -> None:
        self.tell(JointRead((self.known,), **changes))

    def tell(self, event: LedgerEvent) -> tuple[LedgerEffect, ...]:
        return step(self.ledger, event, self.now)

    def report(self, session: int, profit: int | None = 0, **changes: Any) -> None:
        self.made += 1
        values: dict[str, Any] = {
            "session": session, "fence": 1, "sequence": self.made, "life": "us", "asked": 0, "account": "A",
            "portfolio": "" if self.is_account else "main", "revision": 0 if self.is_account else 1,
            "heat": Money(Decimal(0)), "currency": "USD", "equity": Money(Decimal(10_000)),
            "equity_currency": "USD", "day_profit": Money(Decimal(0)), "product": "ES",
            "notional": Money(Decimal(0)), "profit": None if profit is None else Money(Decimal(profit)),
            "profit_unknown": "" if profit is not None else "no price was heard",
        }  # fmt: skip
        self.tell(HeatReported(HeatReport(**{**values, **changes})))

    def both(self, one: int = 0, two: int = 0, **changes: Any) -> list[str]:
        """Let both report, and return what limits are reached then."""
        self.report(1, one, **changes)
        self.report(2, two, **changes)
        return self.tick()

    def tick(self, seconds: float = 0.25) -> list[str]:
        self.now = Nanos(self.now + int(seconds * SECOND))
        found = self.tell(ClockTicked(Nanos(WALL + self.now)))
        return [each.reason for each in found if isinstance(each, LimitReached)]

    def ask(self, session: int, number: int, contracts: int = 1, price: int = 200_000, **changes: Any) -> str:
        """Return granted, waiting, or why it was refused."""
        self.key += 1
        values: dict[str, Any] = {
            "session": session, "fence": 1, "life": "us", "number": number, "order_id": f"{session}-{number}",
            "portfolio": "" if self.is_account else "main", "heat": Money(Decimal(0)), "currency": "USD",
            "product": "ES", "contracts": contracts, "notional": Money(Decimal(abs(contracts) * price)),
        }  # fmt: skip
        until = Nanos(self.now + 4 * SECOND)
        for effect in self.tell(HeatAsked(self.key, HeatQuestion(**{**values, **changes}), until)):
            match effect:
                case Grant(key) if key == self.key:
                    return "granted"
                case Refuse(key, _, reason) if key == self.key:
                    return reason
        return "waiting"

    @property
    def standing(self) -> JointStanding:
        return joint_book.standing(self.ledger, self.ledger.joint[self.known.scope], self.now)


def test_a_loss_of_both_latches_the_portfolio_once_and_refuses_entries_from_that_moment() -> None:
    host = Host()
    assert host.both() == []
    assert host.both(-250, -249) == []
    assert host.ask(1, 1) == "granted"

    assert host.both(-250, -250) == ["portfolio main: max_daily_loss 500 USD is reached: 500.00 lost this market day"]
    assert host.tick() == [], "it is told once"
    assert host.ask(2, 1).startswith("portfolio main: max_daily_loss 500 USD is reached")
    assert (host.standing.used["max_daily_loss"], host.standing.limits["max_daily_loss"]) == ("500.00", "500")
    assert host.standing.reached


def test_a_loss_between_two_looks_is_not_latched_before_it_is_reviewed_but_nothing_is_granted_on_a_latch() -> None:
    host = Host()
    host.both()
    host.both(-900)

    host.read(tripped={MAIN: ("portfolio main: lost", Nanos(5))}, closed=frozenset((MAIN,)))

    assert host.ask(1, 1) == "portfolio main: lost"


def test_while_a_profit_is_unknown_entries_wait_and_the_latch_does_not_fall() -> None:
    host = Host()
    host.both()
    host.report(1, -900)
    host.report(2, None)

    assert host.tick() == []
    assert host.ask(1, 1) == "waiting"
    host.tick(4.0)
    host.report(1, -900)
    assert host.standing.unknown == "session 2: no price was heard"
    assert host.standing.used == {"max_daily_loss": "unknown", "max_drawdown": "unknown"}
    assert host.both(-100, 0) == []
    assert host.ask(1, 2) == "granted"


def test_a_waiting_entry_is_refused_with_the_reason_when_its_time_is_over() -> None:
    host = Host()
    host.both()
    host.report(2, None)
    assert host.ask(1, 1) == "waiting"
    host.now = Nanos(host.now + 4 * SECOND)

    (refused,) = host.tell(ClockTicked())

    assert isinstance(refused, Refuse)
    assert refused.reason == "portfolio main: the profit is unknown: session 2: no price was heard"


def test_a_session_that_is_silent_makes_the_sum_unknown_unless_it_is_stopped_and_flat() -> None:
    host = Host()
    host.both()
    host.tick(6.0)
    host.report(1, 0)

    assert host.ask(1, 1) == "waiting"
    host.members[2] = Membership("equity_index", may_have_heat=False)
    host.tick()
    assert host.ask(1, 2) == "granted"


def test_the_next_life_goes_on_from_the_marks_and_the_latch_of_the_one_before() -> None:
    host = Host()
    host.both()
    host.both(-400, 0)
    marks = host.ledger.joint[MAIN].marks
    assert marks is not None

    after = Host()
    after.ledger.joint.clear()
    after.read(marks={MAIN: marks})
    assert after.both(-499, 0) == []
    assert len(after.both(-400, -100)) == 1, "what was lost before counts"

    latched = Host()
    latched.ledger.joint.clear()
    latched.read(marks={MAIN: marks}, tripped={MAIN: ("portfolio main: lost", Nanos(5))}, closed=frozenset((MAIN,)))
    assert latched.both(0, 0) == []
    assert latched.ask(1, 1) == "portfolio main: lost"


@pytest.mark.parametrize(("later", "used"), [(1, "490.00"), (48 * 3600, "0.00")], ids=["same day", "later day"])
def test_a_portfolio_that_is_created_again_has_lost_what_it_had_lost_on_the_same_market_day(
    later: int, used: str
) -> None:
    host = Host()
    host.known = replace(host.known, created_at=WALL)
    host.read()
    host.both(0, 0)
    host.both(-300, -100)
    marks = host.ledger.joint[MAIN].marks
    assert marks is not None
    host.tell(JointRead(()))
    assert host.ledger.joint == {}

    host.known = replace(host.known, created_at=Nanos(WALL + later * SECOND))
    host.read(marks={MAIN: marks})

    assert host.both(-300, -190) == []
    assert host.standing.used["max_daily_loss"] == used


def test_a_portfolio_that_is_created_again_before_anybody_noticed_goes_on_counting() -> None:
    host = Host()
    host.both(0, 0)
    host.both(-300, -100)

    host.known = replace(host.known, created_at=WALL)
    host.read()

    assert host.both(-300, -190) == []
    assert host.standing.used["max_daily_loss"] == "490.00"


def test_what_was_lost_while_the_server_was_dead_counts() -> None:
    marks = JointMarks(MAIN, Nanos(0), profits={"1": "0", "2": "0"})
    host = Host()
    host.ledger.joint.clear()
    host.read(marks={MAIN: marks})

    assert len(host.both(-300, -200)) == 1


def test_a_person_who_lifts_the_latch_re_arms_the_limit_from_that_moment() -> None:
    host = Host()
    host.both()
    assert host.both(-500)

    host.read(lifted={MAIN: Nanos(7)})
    assert host.ask(1, 1) == "waiting", "from where losses count is not known yet"
    assert host.both(-500) == []
    assert host.ask(1, 2) == "granted"
    assert host.both(-999) == []
    assert len(host.both(-1000)) == 1
    host.read(lifted={MAIN: Nanos(7)}, tripped={MAIN: ("lost", Nanos(9))})
    assert host.both(-1000) == []
    assert host.ask(1, 3) == "lost", "the same lifting re-arms once"


def test_what_a_person_closed_already_is_not_latched_and_the_limit_speaks_when_it_is_opened_again() -> None:
    host = Host()
    host.both()
    host.read(closed=frozenset((MAIN,)))
    assert host.both(-500) == []

    host.read()

    assert len(host.tick()) == 1


def test_an_account_latches_by_the_money_that_the_broker_tells() -> None:
    host = Host(is_account=True)
    assert host.both(equity=Money(Decimal(10_000)), day_profit=Money(Decimal(-499))) == []
    assert host.ask(1, 1) == "granted"
    assert host.both(equity=Money(Decimal(9_999)), day_profit=Money(Decimal(-500))) == [
        "account A: max_daily_loss 500 USD is reached: 500.00 lost this market day"
    ]

    silent = Host(is_account=True)
    silent.both(equity=None, day_profit=None)
    assert silent.ask(1, 1) == "waiting"
    assert silent.standing.unknown == "no session has told the money of account A for 5 min"
    euros = Host(is_account=True)
    euros.both(equity_currency="EUR")
    assert euros.standing.unknown == "it is in EUR, its limits in USD"


# --- contracts, worth and number of entries


@pytest.mark.parametrize("is_account", [True, False])
def test_two_sessions_cannot_both_take_the_last_contract(is_account: bool) -> None:
    host = Host(ORDERS, is_account=is_account)
    host.both()
    host.report(1, long=1)

    assert host.ask(1, 1, 1) == "granted"
    assert host.ask(2, 1, 1) == "granted"
    assert host.ask(2, 2, 1).endswith("max_position ES 3: 3 to that side and 1 more would pass it")
    assert host.ask(2, 3, -3) == "granted", "the other side is counted for itself"
    host.report(2, asked=3, long=1, short=3)
    host.report(1, asked=1, long=2)
    assert host.standing.used["max_position ES"] == "3"
    assert "3 to that side" in host.ask(1, 2, 1)
    host.report(2, asked=3, long=0, short=3)
    assert host.ask(1, 3, 1) == "granted", "an order that has ended counts no more"


def test_entries_of_a_minute_are_counted_together_each_once() -> None:
    host = Host(ORDERS)
    host.both()
    host.report(1, entries_made=2, asked=2)
    assert host.ask(1, 3, -1) == "granted"
    host.report(1, entries_made=3, asked=3)
    host.report(2, entries_made=1, asked=1)
    assert host.ask(2, 1, -1) == "the trader has given the question up"

    assert host.ask(2, 2, -1).endswith("max_orders_per_minute: 4 entries were made in the last minute")
    assert host.ask(2, 3, -1, is_change=True) == "granted", "a change is no new entry"
    host.report(2, entries_made=0, asked=3)
    assert host.ask(2, 4, 1) == "granted"


def test_what_all_is_worth_is_counted_with_what_was_granted() -> None:
    host = Host(ORDERS)
    host.both()
    host.report(1, notional=Money(Decimal(500_000)))

    assert host.ask(2, 1, 1, 400_000) == "granted"
    assert host.ask(2, 2, 1, 100_001).endswith("max_notional 1000000 USD: 900000.00 and 100001.00 more would pass it")
    assert host.ask(2, 3, 1, 100_000) == "granted"
    host.report(1, notional=None)
    assert host.ask(2, 4, -1, 1).endswith("max_notional: no last price is known")


def test_a_trader_that_does_not_say_what_works_makes_entries_wait() -> None:
    host = Host(ORDERS)
    host.both(product="")

    assert host.ask(1, 1) == "waiting"
    assert host.standing.unknown == "session 1: its trader is of an earlier version"
    assert set(host.standing.used.values()) == {"unknown"}
    host.both(heat=None, unknown="orders and position are not confirmed")
    assert host.standing.unknown == "session 1: orders and position are not confirmed"


def test_a_session_of_a_limited_account_that_was_put_into_a_portfolio_waits_until_it_knows() -> None:
    host = Host(ORDERS, is_account=True)
    host.both()
    spec = PortfolioSpec(name="main", warn_percent=99, block_percent=100, worst_case=1, equity=10**9)

    host.tell(PortfoliosRead((KnownPortfolio(spec, 1, host.members),)))

    assert host.ask(1, 1) == "waiting"


def test_a_session_that_was_taken_out_and_put_in_again_must_know_the_new_membership() -> None:
    """What it did between the two was not asked for, so the report of before must not count."""
    host = Host()
    host.both()
    assert host.ask(1, 1) == "granted"
    spec = PortfolioSpec(name="main", warn_percent=99, block_percent=100, worst_case=1, equity=10**9)
    members = {**host.members, 1: Membership("equity_index", added_at=9)}

    host.tell(PortfoliosRead((KnownPortfolio(spec, 1, members),)))
    assert host.ask(1, 2) == "waiting"
    assert host.ask(2, 1) == "waiting", "the heat of the whole portfolio is unknown"
    host.report(1, revision=9, asked=2)
    assert host.ask(1, 3) == "granted"
