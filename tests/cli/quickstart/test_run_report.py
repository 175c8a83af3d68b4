"""What the quickstart says of a strategy at its end, and whether that was well."""

import pytest

from tradeproc.cli.quickstart.run_report import after_deaths, verdict
from tradeproc.domain.book import DecisionMade
from tradeproc.domain.units import Nanos
from tradeproc.protocol.book_messages import StoredDecisionCounts
from tradeproc.supervision.deaths import Death
from tradeproc.supervision.repeats import HUNG, UNSAID


def row(decision: str, refusal: str, times: int = 1) -> DecisionMade:
    at = Nanos(10**18)
    return DecisionMade(1, at, at, times, at, decision, "", refusal)


@pytest.mark.parametrize(
    ("counts", "rows", "said", "is_well"),
    [
        ((0, 0, 0), [], "The strategy made no decision.", True),
        ((5, 0, 0), [], "", True),
        ((5, 2, 0), [row("SubmitOrder", "halted", 2)], "2 of 5 decisions of the strategy were refused:", True),
        ((75, 75, 0), [row("SubmitOrder", "halted", 75)], "All 75 decisions of the strategy were refused:", False),
        ((0, 0, 3), [row("failed", "KeyError: 'x'", 3)], "The strategy failed on 3 bars:", False),
        ((9, 0, 1), [row("failed", "KeyError: 'x'")], "The strategy failed on 1 bar:", False),
    ],
)
def test_a_session_that_could_not_trade_did_not_end_well(
    counts: tuple[int, int, int], rows: list[DecisionMade], said: str, is_well: bool
) -> None:
    told = verdict(StoredDecisionCounts(*counts), rows, 1)

    assert (told.lines[0] if told.lines else "") == said
    assert told.is_well == is_well
    assert all(each.refusal in "".join(told.lines) for each in rows)


TRADER, LINK = "session-1.trader", "link-paper.link"


@pytest.mark.parametrize(
    ("process", "deaths", "bars", "is_well"),
    [
        (TRADER, [], 0, True),
        (TRADER, [Death(1, 1, UNSAID, -1)] * 4, 9, True),
        (TRADER, [Death(1, 1, UNSAID, -1)] * 5, 9, False),
        (TRADER, [Death(1, 1, UNSAID, -1)], 0, False),
        (LINK, [Death(1, 1, UNSAID, -1)], 0, True),
        (TRADER, [Death(1, 1, f"{HUNG} (no heartbeat for 8 s)", -1)], 9, False),
        (TRADER, [Death(1, 1, "KeyError: 'x'", 70)], 9, False),
    ],
)
def test_a_process_that_somebody_killed_is_no_failure_of_the_session_once_it_works_again(
    process: str, deaths: list[Death], bars: int, is_well: bool
) -> None:
    told = after_deaths([(process, death) for death in deaths], TRADER, bars)

    assert told.is_well == is_well
    assert len([line for line in told.lines if process in line and deaths[0].reason in line]) == len(deaths)
    assert ("No bar was decided since the trader died." in told.lines) == (
        process == TRADER and bars == 0 < len(deaths)
    )
