"""The broker's terms of a contract against our table, before anything is fetched or entered."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import bodies
from tests.procs.stage import Stage
from tests.procs.trading_desk import TradingDesk
from tradeproc.domain.broker_orders import ContractDetails
from tradeproc.domain.instruments import INSTRUMENTS, Contract
from tradeproc.domain.units import Money, Price
from tradeproc.errors import Halt, Refusal
from tradeproc.procs.trader.terms import differences
from tradeproc.procs.trader.timing import TraderTiming
from tradeproc.testing.waiting import wait_until

ES = ContractDetails(
    Contract("ES", 2024, 3), "ESH24", Price(Decimal("0.25")), Money(Decimal(50)), "USD", "CME", "", None
)


@pytest.fixture
def desk(on_stage: Stage, book_url: str, tmp_path: Path) -> Iterator[TradingDesk]:
    made = TradingDesk(on_stage, book_url, tmp_path, timing=TraderTiming(terms_again=0.05))
    yield made
    made.store.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"tick_size": Decimal("0.250")}, ""),
        ({"tick_size": Decimal("0.1")}, "tick size 0.25, the broker says 0.1"),
        ({"point_value": Decimal(5)}, "value of a point 50, the broker says 5"),
        ({"currency": "EUR"}, "currency USD, the broker says EUR"),
    ],
)
def test_each_difference_is_named(changes: dict[str, Any], said: str) -> None:
    assert differences(replace(ES, **changes), INSTRUMENTS["ES"]) == said


def test_a_contract_that_is_another_one_at_the_broker_halts_the_session_before_history_is_fetched(
    desk: TradingDesk,
) -> None:
    desk.details = replace(desk.details, point_value=Money(Decimal(5)))

    desk.begin()

    desk.actor.join()
    desk.trader.audit.close()
    assert isinstance(desk.actor.error, Halt)
    assert "value of a point 50, the broker says 5" in str(desk.actor.error)
    assert desk.history_asked == 0


def test_terms_that_cannot_be_had_are_asked_for_until_they_can_and_the_session_says_what_it_waits_for(
    desk: TradingDesk,
) -> None:
    asked = 0

    def unknown() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"unknown": "the broker is away"}

    desk.terms = unknown
    desk.begin()
    wait_until("asked again", lambda: asked >= 3)
    told = "waiting for the broker's terms of ESH24: the broker is away"
    wait_until("it is said", lambda: desk.status()["detail"] == told)
    assert desk.history_asked == 0

    desk.terms = lambda: {"known": bodies.contract_details_to_body(desk.details)}

    wait_until("ready", lambda: desk.status()["state"] == "ready")


class NoData(Refusal):
    """What the link of a broker without market data says."""


@pytest.mark.parametrize("knows", [True, False])
def test_the_login_of_the_orders_tells_the_terms_and_the_data_login_only_where_it_does_not_know_contracts(
    on_stage: Stage, tmp_path: Path, book_url: str, knows: bool
) -> None:
    desk = TradingDesk(on_stage, book_url, tmp_path, data_login="data")
    asked: list[str] = []

    def terms(of: str) -> dict[str, Any]:
        asked.append(of)
        if of == "orders" and not knows:
            raise NoData("the broker of this login declares that it has no market data")
        return {"known": bodies.contract_details_to_body(desk.details)}

    desk.terms, desk.orders_terms = partial(terms, "data"), partial(terms, "orders")

    desk.begin()

    wait_until("ready", lambda: desk.status()["state"] == "ready")
    assert asked == (["orders"] if knows else ["orders", "data"])
    assert desk.history_asked == 1
    desk.store.close()


def test_terms_of_the_orders_that_are_not_known_for_now_are_not_taken_from_the_data_login(
    on_stage: Stage, tmp_path: Path, book_url: str
) -> None:
    desk = TradingDesk(on_stage, book_url, tmp_path, timing=TraderTiming(terms_again=0.05), data_login="data")
    asked = 0

    def unknown() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"unknown": "the broker is away"}

    desk.orders_terms = unknown
    desk.begin()

    wait_until("asked again", lambda: asked >= 3)
    assert desk.history_asked == 0
    assert desk.status()["detail"] == "waiting for the broker's terms of ESH24: the broker is away"
    desk.store.close()
