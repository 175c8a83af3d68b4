"""Where a session belongs is read again and again, and what cannot be read ends no trader."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.engine.desk import Desk, Scripted, spec
from tradeproc.domain.portfolio import BadPortfolio, HeatTerms, PortfolioSpec
from tradeproc.engine import events
from tradeproc.procs.trader.heat_reporter import HeatReporter, terms_of
from tradeproc.protocol.heat_messages import JointStanding, PortfoliosHeat
from tradeproc.store.database import DatabaseDown, StatementRefused

SPEC = PortfolioSpec(name="main", warn_percent=50, block_percent=60, worst_case=1000, equity=1000)


class Shell:
    """A reporter with a node that keeps what it is to do, and a database that we answer for."""

    def __init__(self, terms: HeatTerms | events.HeatTermsRead | None) -> None:
        self.answer: Any = None
        self.told: list[object] = []
        self.timers: list[Any] = []
        self.is_down = False
        node = SimpleNamespace(
            subscribe=self.subscribe, every=lambda _, call: self.timers.append(call), publish=lambda *_: None
        )
        audit = SimpleNamespace(
            timing=SimpleNamespace(heat=1.0), clock=SimpleNamespace(now=lambda: 0), is_up=True, session=7, fence=1,
            store=SimpleNamespace(portfolios=SimpleNamespace(of_session=self.of_session)),
            went_down=self.went_down,
        )  # fmt: skip
        self.state = Desk(Scripted()).start().state
        row = SimpleNamespace(id=7, spec=spec())
        self.reached: list[JointStanding] = []
        reporter = HeatReporter(
            cast(Any, node), cast(Any, row), cast(Any, audit), self.state, self.tell, self.reached.append
        )
        reporter.begin(events.HeatTermsRead(terms) if isinstance(terms, HeatTerms | None) else terms)

    def tell(self, event: events.Event) -> None:
        self.told.append(event)
        if isinstance(event, events.HeatTermsRead):
            self.state.engine.heat.terms = event.terms

    def subscribe(self, *given: Any) -> None:
        self.hear = given[2]

    def of_session(self, _: int) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def went_down(self, _: DatabaseDown) -> None:
        self.is_down = True

    def read(self) -> None:
        self.timers[-1]()


@pytest.mark.parametrize("problem", [BadPortfolio("of a later version"), StatementRefused("portfolios", "no table")])
def test_a_portfolio_that_cannot_be_read_leaves_what_was_known(problem: Exception) -> None:
    known = SPEC.terms("ES", 1)
    shell = Shell(known)
    shell.answer = problem

    shell.read()
    assert shell.state.engine.heat.terms == known
    assert not shell.is_down
    shell.answer = None
    shell.read()

    assert shell.told[-1] == events.HeatTermsRead(None)


def test_while_the_database_is_away_what_was_known_stands() -> None:
    shell = Shell(SPEC.terms("ES", 1))
    shell.answer = DatabaseDown("away")

    shell.read()

    assert shell.is_down
    assert shell.state.engine.heat.terms == SPEC.terms("ES", 1)


def test_a_session_that_is_put_into_a_portfolio_is_told_it_once() -> None:
    shell = Shell(None)
    shell.answer = SimpleNamespace(spec=SPEC, revision=5)

    shell.read()
    shell.read()

    assert shell.told == [events.HeatTermsRead(SPEC.terms("ES", 5))]


@pytest.mark.parametrize("problem", [BadPortfolio("of a later version"), StatementRefused("portfolios", "no table")])
def test_a_trader_that_starts_with_a_portfolio_it_cannot_read_knows_why_it_enters_nothing(problem: Exception) -> None:
    def of_session(_: int) -> Any:
        raise problem

    store = SimpleNamespace(portfolios=SimpleNamespace(of_session=of_session))

    begun = terms_of(cast(Any, store), cast(Any, SimpleNamespace(id=7, spec=spec())))

    assert begun.terms is None
    assert begun.unread == f"the session's portfolio cannot be read: {problem}"
    shell = Shell(begun)
    shell.answer = problem
    shell.read()
    assert shell.told == [begun], "the same again is not told again"
    shell.answer = SimpleNamespace(spec=SPEC, revision=5)
    shell.read()
    assert shell.told[-1] == events.HeatTermsRead(SPEC.terms("ES", 5)), "once it can be read, entries are asked for"


def test_that_the_account_has_limits_is_kept_when_the_portfolio_changes() -> None:
    shell = Shell(events.HeatTermsRead(None, "", is_account_limited=True))
    shell.answer = SimpleNamespace(spec=SPEC, revision=5)

    shell.read()

    assert shell.told[-1] == events.HeatTermsRead(SPEC.terms("ES", 5), "", is_account_limited=True)


def test_the_limits_of_our_portfolio_and_account_are_heard_and_no_others() -> None:
    shell = Shell(SPEC.terms("ES", 5))
    account = spec().account
    joint = tuple(
        JointStanding(scope, {}, {}, "USD", reached=reached)
        for scope, reached in (
            (f"account:{account}", "much lost"), ("portfolio:main", "more lost"), ("portfolio:main", ""),
            ("account:another", "lost"), ("portfolio:another", "lost"),
        )
    )  # fmt: skip

    shell.hear(SimpleNamespace(body=PortfoliosHeat("life", joint=joint)))

    assert [each.reached for each in shell.reached] == ["much lost", "more lost"]
