"""The lists of the keeper: the newest rows, and whether there are older ones."""

from typing import Any

import pytest

from tests.procs.stage import Stage
from tradeproc.bus.requests import RequestRefused
from tradeproc.domain.book import Divergence, DivergenceKind, Position
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.procs.keeper import lists
from tradeproc.store import DivergenceRow, PositionRow

KEEPER = "core.keeper"


class Books:
    """A database with some differences, and positions of many sessions."""

    def divergences(self, session: int | None = None) -> list[DivergenceRow]:
        return [
            DivergenceRow(Divergence(1, DivergenceKind.POSITION, str(number), "", "", "", Nanos(number)), None)
            for number in range(5)
        ]

    def positions(self, session: int | None = None) -> list[PositionRow]:
        return [
            PositionRow(number, Position("A", "ESH24", Contracts(1), None), "fills", Nanos(1))
            for number in range(lists.MOST + 5)
        ]


@pytest.fixture
def keeper(on_stage: Stage) -> Stage:
    books: Any = Books()
    on_stage.enter(KEEPER, lambda node: lists.register_lists(node, books))
    return on_stage


@pytest.mark.parametrize(
    ("limit", "subjects", "cut"), [(2, ["3", "4"], True), (5, list("01234"), False), (10_000, list("01234"), False)]
)
def test_a_list_says_whether_it_was_cut(keeper: Stage, limit: int, subjects: list[str], cut: bool) -> None:
    answer = keeper.ask(KEEPER, "divergences", limit=limit)

    assert ([row["subject"] for row in answer["divergences"]], answer["cut"]) == (subjects, cut)


def test_more_rows_than_are_told_at_once_are_refused_and_not_cut_in_silence(keeper: Stage) -> None:
    with pytest.raises(RequestRefused, match="at most 10000 rows"):
        keeper.ask(KEEPER, "divergences", limit=lists.MOST + 1)


def test_positions_are_told_whole(keeper: Stage) -> None:
    assert len(keeper.ask(KEEPER, "positions")["positions"]) == lists.MOST + 5
