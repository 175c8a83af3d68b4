"""The ledger of heat: who may add to it, and that no order of messages, loss or death lets in more than the block."""

import dataclasses
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.procs.portfolio.heat_model import SMALL, World, check, explore, new_world, portfolios
from tradeproc.domain.portfolio import HeatLimits, PortfolioSpec
from tradeproc.domain.units import SECOND, Money, Nanos
from tradeproc.procs.portfolio import ledger as led
from tradeproc.procs.portfolio.ledger import step
from tradeproc.procs.portfolio.ledger_values import (
    BLOCKED,
    UNKNOWN,
    WARNED,
    ClockTicked,
    Grant,
    HeatAsked,
    HeatReported,
    KnownPortfolio,
    Ledger,
    LedgerEffect,
    LedgerEvent,
    Membership,
    PortfoliosRead,
    Refuse,
    StandingChanged,
)
from tradeproc.protocol.heat_messages import HeatQuestion, HeatReport

SPEC = PortfolioSpec(name="main", warn_percent=40, block_percent=60, worst_case=1000, equity=1000)


def report(session: int, heat: int | None = 0, **changes: Any) -> HeatReport:
    values: dict[str, Any] = {
        "session": session, "fence": 1, "sequence": 1, "life": "us", "asked": 0, "portfolio": "main", "revision": 1,
        "heat": None if heat is None else Money(Decimal(heat)), "currency": "USD", "account": "A", "equity": None,
    }  # fmt: skip
    return HeatReport(**{**values, **changes})


def question(session: int, number: int, heat: int, **changes: Any) -> HeatQuestion:
    values: dict[str, Any] = {
        "session": session, "fence": 1, "life": "us", "number": number, "portfolio": "main",
        "order_id": f"{session}-{number}", "heat": Money(Decimal(heat)), "currency": "USD",
    }  # fmt: skip
    return HeatQuestion(**{**values, **changes})


class Host:
    """A ledger with a clock that we turn."""

    def __init__(self, spec: PortfolioSpec = SPEC, **groups: str) -> None:
        self.now, self.key = Nanos(100 * SECOND), 0
        self.ledger = Ledger("us")
        self.members = {1: Membership(groups.get("one", "equity_index")), 2: Membership("energy")}
        self.spec = spec
        self.read()

    def read(self) -> None:
        self.tell(PortfoliosRead((KnownPortfolio(self.spec, 1, dict(self.members)),)))

    def tell(self, event: LedgerEvent) -> tuple[LedgerEffect, ...]:
        return step(self.ledger, event, self.now)

    def reported(self, *reports: HeatReport) -> "Host":
        for each in reports:
            self.tell(HeatReported(each))
        return self

    def ask(self, session: int, number: int, heat: int, seconds: int = 4, **changes: Any) -> str:
        """Return granted, waiting, or why it was refused."""
        self.key += 1
        until = Nanos(self.now + seconds * SECOND)
        found = self.tell(HeatAsked(self.key, question(session, number, heat, **changes), until))
        return self.verdict(found)

    def verdict(self, effects: tuple[LedgerEffect, ...]) -> str:
        for effect in effects:
            match effect:
                case Grant(key) if key == self.key:
                    return "granted"
                case Refuse(key, _, reason) if key == self.key:
                    return reason
        return "waiting"

    def wait(self, seconds: float) -> tuple[LedgerEffect, ...]:
        self.now = Nanos(self.now + int(seconds * SECOND))
        return self.tell(ClockTicked())

    @property
    def heat(self) -> Decimal | None:
        return led.standing(self.ledger, KnownPortfolio(self.spec, 1, self.members), self.now).heat


def test_two_sessions_cannot_both_take_the_last_of_it() -> None:
    host = Host().reported(report(1, 100), report(2, 100))

    assert host.ask(1, 1, 300) == "granted"
    assert host.ask(2, 1, 300) == "portfolio main: heat 500.00 and 300.00 more are above its block at 600.00 USD"
    assert host.ask(2, 2, 100) == "granted", "what fits exactly is let in"
    assert host.heat == 600


def test_a_reservation_ends_with_the_report_that_includes_it_and_not_before() -> None:
    host = Host().reported(report(1), report(2))
    host.ask(1, 1, 300)

    host.reported(report(1, 0, sequence=2, asked=1, unanswered=(1,)))
    assert host.heat == 300, "the report crossed the grant"
    host.reported(report(1, 280, sequence=3, asked=1))
    assert host.heat == 280, "it is the position's now"
    host.reported(report(1, 0, sequence=2, asked=1, unanswered=(1,)))
    assert host.heat == 280, "an older report does not count"


def test_before_each_session_has_reported_questions_wait_and_are_refused_with_the_reason() -> None:
    host = Host().reported(report(1))

    assert host.ask(1, 1, 10) == "waiting"
    assert host.verdict(host.wait(3.9)) == "waiting"
    host.reported(report(1, sequence=2))
    assert host.verdict(host.wait(0.2)) == "the heat of portfolio main is unknown: session 2 has not reported"


def test_a_question_that_waits_is_granted_when_the_last_session_reports() -> None:
    host = Host().reported(report(1))
    host.ask(1, 1, 10)

    assert host.verdict(host.tell(HeatReported(report(2)))) == "granted"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"life": "before"}, "session 2 has not reported"),
        ({"revision": 2}, "session 2 does not know the portfolio as it is now"),
        ({"portfolio": ""}, "session 2 does not know the portfolio as it is now"),
        ({"currency": "EUR"}, "session 2 trades in EUR, the portfolio counts in USD"),
        ({"heat": None, "unknown": "says so"}, "session 2 says so"),
    ],
)
def test_a_report_that_cannot_be_added_up_makes_the_heat_unknown(told: dict[str, Any], reason: str) -> None:
    host = Host().reported(report(1), report(2, **told))

    host.ask(1, 1, 10)

    assert host.verdict(host.wait(4)) == f"the heat of portfolio main is unknown: {reason}"


def test_a_session_that_is_silent_makes_the_heat_unknown() -> None:
    host = Host().reported(report(1), report(2))

    host.wait(6)
    host.reported(report(1, sequence=2))

    assert host.ask(1, 1, 10, seconds=0) == (
        "the heat of portfolio main is unknown: session 2 has not reported for 6 s"
    )


def test_a_session_that_is_stopped_and_flat_need_not_report() -> None:
    host = Host().reported(report(1), report(2, 300))
    host.members[2] = dataclasses.replace(host.members[2], may_have_heat=False)
    host.read()

    host.wait(6)
    host.reported(report(1, sequence=2))

    assert host.heat == 0


def test_a_reservation_of_a_session_that_is_gone_for_good_expires_and_no_other() -> None:
    host = Host().reported(report(1), report(2))
    assert host.ask(2, 1, 300) == "granted"

    host.wait(61)
    host.reported(report(1, sequence=2), report(2, 0, sequence=2))
    assert host.heat == 300, "its trader may be about to send"
    host.members[2] = dataclasses.replace(host.members[2], may_have_heat=False)
    host.read()
    host.wait(0)

    assert host.heat == 0


def test_the_next_life_of_a_trader_takes_over_what_the_one_before_reserved_once_it_knows_its_heat() -> None:
    host = Host().reported(report(1), report(2))
    host.ask(1, 1, 300)

    host.reported(report(1, None, fence=2, unknown="is starting"))
    assert host.heat is None
    host.reported(report(1, 250, fence=2, sequence=2))
    assert host.heat == 250
    assert host.ask(1, 1, 300) == "the trader has given the question up", "a late question of the life before"


def test_a_group_has_a_threshold_of_its_own() -> None:
    spec = dataclasses.replace(SPEC, groups={"energy": HeatLimits(10, 20)})
    host = Host(spec).reported(report(1), report(2, 150))

    assert host.ask(2, 1, 60) == (
        "group energy of portfolio main: heat 150.00 and 60.00 more are above its block at 200.00 USD"
    )
    assert host.ask(1, 1, 400) == "granted"


def test_the_equity_of_an_account_is_what_its_sessions_tell_and_unknown_before() -> None:
    spec = dataclasses.replace(SPEC, equity=0, account="A")
    host = Host(spec).reported(report(1), report(2))
    assert host.heat is None

    host.reported(report(1, sequence=2, equity=Money(Decimal(1000)), equity_currency="USD"))
    assert host.ask(1, 1, 600) == "granted"
    host.reported(report(1, 600, sequence=3, asked=1, equity=Money(Decimal(-5)), equity_currency="USD"))
    assert "above its block at 0.00 USD" in host.ask(1, 2, 1)
    host.reported(report(1, 600, sequence=4, asked=2, equity=Money(Decimal(1000)), equity_currency="EUR"))
    assert host.ask(1, 3, 1, seconds=0).endswith("account A is in EUR, the portfolio in USD")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"currency": "EUR"}, "portfolio main counts in USD, not EUR"),
        ({"portfolio": "other"}, "session 1 is not in portfolio other"),
        ({"heat": Money(Decimal("NaN"))}, "a heat of NaN is none"),
        ({"heat": Money(Decimal(-1))}, "a heat of -1 is none"),
        ({"session": 9}, "session 9 is not in portfolio main"),
    ],
)
def test_what_waiting_cannot_mend_is_refused_at_once(changes: dict[str, Any], reason: str) -> None:
    host = Host().reported(report(1), report(2))

    assert host.ask(**{"session": 1, "number": 1, "heat": 10, **changes}) == reason


def told(effects: tuple[LedgerEffect, ...]) -> list[tuple[str, bool]]:
    return [(each.what, bool(each.detail)) for each in effects if isinstance(each, StandingChanged)]


def test_warning_and_block_are_told_once_when_they_begin_and_once_when_they_end() -> None:
    host = Host().reported(report(1, 100), report(2, 100))

    assert told(host.tell(HeatReported(report(1, 350, sequence=2)))) == [(WARNED, True)]
    host.ask(1, 1, 200)
    assert told(host.wait(0.1)) == [(BLOCKED, True)]
    assert told(host.wait(0.1)) == []
    # the trader gave the refused order up; what was refused fits again
    assert (
        told(host.tell(HeatReported(report(1, 250, sequence=3, asked=1))))
        == [(WARNED, False), (BLOCKED, False)][::-1]
    )


def test_a_heat_above_the_block_blocks_though_nobody_asks() -> None:
    host = Host().reported(report(1, 100), report(2, 100))

    assert told(host.tell(HeatReported(report(1, 550, sequence=2)))) == [(BLOCKED, True), (WARNED, True)]
    assert told(host.tell(HeatReported(report(1, 500, sequence=3)))) == [(BLOCKED, False)]


def test_a_heat_that_stays_unknown_is_told_after_a_minute_and_again_when_it_is_known() -> None:
    host = Host().reported(report(1, 100))
    assert host.wait(1) == ()
    assert host.wait(58) == ()

    (long,) = host.wait(2)

    assert long == StandingChanged("main", UNKNOWN, long.detail)
    assert long.detail == (
        "the heat of portfolio main is unknown for 60 s, so entries of its sessions are refused: "
        "session 1 has not reported for 61 s"
    )
    assert host.wait(60) == ()
    host.reported(report(1, 100, sequence=2))
    assert told(host.tell(HeatReported(report(2, 100)))) == [(UNKNOWN, False)]
    assert host.wait(1) == ()


def test_a_heat_that_is_unknown_again_and_again_but_never_for_long_is_no_alarm() -> None:
    host = Host()

    for sequence in range(1, 20):
        assert host.wait(30) == ()
        host.reported(report(1, 100, sequence=sequence), report(2, 100, sequence=sequence))
        assert host.heat == 200
        assert host.wait(3) == ()


@pytest.mark.parametrize("equity", [0, 1000])
def test_a_night_in_which_no_session_runs_is_no_alarm(equity: int) -> None:
    host = Host(dataclasses.replace(SPEC, equity=equity, account="" if equity else "A"))
    host.members = {1: Membership("energy", may_have_heat=False)}
    host.read()

    assert [host.wait(50) for _ in range(4)] == [()] * 4


def test_an_unknown_heat_that_a_life_before_told_stands_until_it_is_known_or_the_portfolio_is_gone() -> None:
    host = Host()
    host.ledger.told["main", UNKNOWN] = "as before"

    assert host.wait(1) == ()
    assert host.wait(100) == (), "it is told already"
    assert told(host.reported(report(1)).tell(HeatReported(report(2)))) == [(UNKNOWN, False)]
    host.wait(30)
    host.wait(61)
    assert told(host.tell(PortfoliosRead(()))) == [(UNKNOWN, False)]


def test_of_two_balances_that_sessions_of_one_account_tell_the_smaller_counts() -> None:
    spec = dataclasses.replace(SPEC, equity=0, account="A")
    balances = [{"equity": Money(Decimal(each)), "equity_currency": "USD"} for each in (1000, 500)]

    for first, second in (balances, reversed(balances)):
        host = Host(spec).reported(report(1, **first), report(2, **second))
        assert host.ask(1, 1, 301) == "portfolio main: heat 0.00 and 301.00 more are above its block at 300.00 USD"


@pytest.mark.parametrize("equity", [0, -1, -1000])
def test_without_any_equity_nothing_that_costs_is_let_in(equity: int) -> None:
    told = {"equity": Money(Decimal(equity)), "equity_currency": "USD"}
    host = Host(dataclasses.replace(SPEC, equity=0, account="A")).reported(report(1, **told), report(2, **told))

    assert "above its block at 0.00 USD" in host.ask(1, 1, 1)
    assert host.ask(1, 2, 0) == "granted"


def test_an_entry_that_would_never_fit_is_refused_and_blocks_nobody() -> None:
    host = Host().reported(report(1, 0), report(2, 0))

    assert host.ask(1, 1, 700) == "portfolio main: heat 0.00 and 700.00 more are above its block at 600.00 USD"

    assert told(host.wait(0.1)) == [], "an alarm would stand for ever, because 700 never fit"
    assert host.ask(1, 2, 600) == "granted"


def test_a_block_ends_without_heat_also_when_the_equity_has_shrunk_meanwhile() -> None:
    host = Host().reported(report(1, 100), report(2, 0))
    host.ask(1, 1, 550)
    assert told(host.wait(0.1)) == [(BLOCKED, True)]
    host.spec = dataclasses.replace(SPEC, equity=500)
    host.read()

    assert told(host.tell(HeatReported(report(1, 0, sequence=2, asked=1)))) == [(BLOCKED, False)]


def test_a_portfolio_that_is_removed_ends_its_alarms() -> None:
    host = Host().reported(report(1, 700), report(2))

    assert told(host.tell(PortfoliosRead(()))) == [(BLOCKED, False), (WARNED, False)]
    assert host.ask(1, 1, 1) == "session 1 is not in portfolio main"


@pytest.mark.parametrize("name", SMALL)
def test_whatever_the_order_of_messages_no_more_is_admitted_than_the_block(name: str) -> None:
    wishes, changes = SMALL[name]

    assert explore(new_world(*wishes, **changes), check) > 500


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(0, 2))
@example(328, 1, 1)
def test_with_losses_doubles_deaths_and_changes_of_members_no_more_is_admitted_than_the_block(
    seed: int, deaths: int, outs: int
) -> None:
    chance = random.Random(seed)
    world = new_world(
        [60, 30, 10], [60, 20], [40, 50],
        deaths=deaths, reports=12, losses=4, doubles=4, server_deaths=deaths, ends=4, outs=outs,
    )  # fmt: skip

    for _ in range(120):
        moves = list(world.moves())
        if not moves:
            break
        chance.choice(moves)[1](world)
        check(world)


def test_the_walk_finds_what_one_revision_for_both_memberships_of_a_session_would_admit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Show that the check bites: a session that was out would be taken for one that asked for all it has."""

    def put_in(world: World, session: int) -> None:
        world.revisions[session] = 1
        world.ledger_step(portfolios(world.revisions))

    monkeypatch.setattr(World, "put_in", put_in)

    with pytest.raises(AssertionError):
        explore(new_world([60], [60], outs=1), check)


def test_the_walk_finds_what_a_ledger_without_lives_would_admit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show that the check bites: with reports of before a restart counted, too much is let in."""
    real = led._reported

    def without_lives(ledger: Ledger, told: HeatReport, now: Nanos) -> None:
        real(ledger, dataclasses.replace(told, life=ledger.life), now)

    monkeypatch.setattr(led, "_reported", without_lives)

    with pytest.raises(AssertionError):
        for seed in range(20_000):
            chance, world = random.Random(seed), new_world([60], [60], reports=3, server_deaths=1)
            while moves := list(world.moves()):
                chance.choice(moves)[1](world)
                check(world)


def test_each_session_is_shown_with_what_it_reserved_and_with_why_its_heat_is_unknown() -> None:
    host = Host().reported(report(1, 100), report(2, 50))
    host.ask(1, 1, 200)
    host.reported(report(2, None, sequence=2, unknown="orders and position are not confirmed"))

    stands = led.standing(host.ledger, KnownPortfolio(SPEC, 1, host.members), host.now)

    one, two = stands.members
    assert (one.session, one.group, one.heat, one.reserved, one.unknown) == (1, "equity_index", 300, 200, "")
    assert (two.session, two.group, two.heat, two.unknown) == (
        2, "energy", None, "orders and position are not confirmed",
    )  # fmt: skip
    assert (stands.heat, stands.unknown) == (None, "session 2 orders and position are not confirmed")


def test_a_root_may_count_in_another_group_than_the_table_of_instruments_has_it_in() -> None:
    spec = dataclasses.replace(SPEC, group_of={"ES": "energy"}, groups={"energy": HeatLimits(10, 20)})
    host = Host(spec, one=spec.group("ES")).reported(report(1, 100), report(2, 100))

    assert host.ask(1, 1, 1) == (
        "group energy of portfolio main: heat 200.00 and 1.00 more are above its block at 200.00 USD"
    )
