"""The promises of a broker's account manager about orders, as tests; `contract.py` makes them a part of the whole."""

from collections.abc import Iterator
from typing import Any

import pytest

from tradeproc.brokers.contract import (
    Accepted,
    AccountManager,
    BrokerOrder,
    Refused,
    Unanswered,
)
from tradeproc.domain.answers import Unknown
from tradeproc.domain.instruments import Contract, instrument
from tradeproc.domain.orders import OrderState, OrderType, Side
from tradeproc.domain.units import Contracts, Price
from tradeproc.testing.contract_parts import (
    SECONDS,
    SHORT,
    accepted,
    away,
    bracket,
    known,
    market,
    needs_accounts,
    open_orders_of,
    order,
    orders_of,
)
from tradeproc.testing.under_test import BrokerUnderTest, InducedTrouble, unreachable
from tradeproc.testing.waiting import wait_until


class OrderContract:
    """What every broker with account management promises about orders; run as a part of `BrokerContract`."""

    @pytest.fixture
    def accounts(self, desk: BrokerUnderTest) -> Iterator[AccountManager]:
        needs_accounts(desk)
        manager = desk.broker.account_manager(desk.login, desk.tokens)
        yield manager
        manager.shutdown()

    def test_a_limit_order_is_accepted_and_works_at_the_broker(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        sent = order(desk, "rest")
        ids = accepted(accounts.submit(desk.account, sent, SECONDS)).broker_ids

        (found,) = open_orders_of(accounts, desk)
        assert (found.account, found.contract, found.side, found.quantity, found.filled, found.type, found.limit) == (
            desk.account,
            desk.contract.code,
            Side.BUY,
            1,
            0,
            OrderType.LIMIT,
            sent.limit,
        )
        assert found.state is OrderState.SUBMITTED
        assert ids in ({}, {"rest": found.broker_id})
        assert found.client_id == ("rest" if desk.broker.echoes_client_id else None)

    def test_a_market_order_fills_and_its_opposite_makes_flat(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        accepted(accounts.submit(desk.account, market(desk, "in"), SECONDS))
        self.wait_for_position(desk, accounts, 1)
        (filled,) = orders_of(accounts, desk)
        assert (filled.state, filled.filled) == (OrderState.FILLED, 1)
        assert filled.average is not None
        assert filled.closed_at is not None
        held = known(accounts.current_position(desk.account, desk.contract))
        assert held.average == filled.average

        accepted(accounts.submit(desk.account, market(desk, "out", Side.SELL), SECONDS))

        self.wait_for_position(desk, accounts, 0)
        assert known(accounts.open_orders(desk.account)) == ()

    def test_a_sale_makes_the_position_negative(self, desk: BrokerUnderTest, accounts: AccountManager) -> None:
        accepted(accounts.submit(desk.account, market(desk, "short", Side.SELL), SECONDS))

        self.wait_for_position(desk, accounts, -1)

    @pytest.mark.parametrize("kind", [OrderType.STOP, OrderType.STOP_LIMIT])
    def test_stops_rest_until_they_are_hit(
        self, desk: BrokerUnderTest, accounts: AccountManager, kind: OrderType
    ) -> None:
        limit = away(desk, 84) if kind is OrderType.STOP_LIMIT else None
        accepted(
            accounts.submit(desk.account, order(desk, "stop", type=kind, stop=away(desk, 80), limit=limit), SECONDS)
        )

        (found,) = open_orders_of(accounts, desk)
        assert (found.type, found.stop, found.limit) == (kind, away(desk, 80), limit)

    def test_a_change_of_price_and_quantity_keeps_the_order(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        placed = self.rest_one(desk, accounts)
        change = order(desk, "rest", limit=away(desk, -60), quantity=Contracts(3))

        accepted(accounts.modify(desk.account, placed.broker_id, change, SECONDS))

        wait_until(
            "the order is changed",
            lambda: (
                [(one.broker_id, one.limit, one.quantity) for one in open_orders_of(accounts, desk)]
                == [(placed.broker_id, change.limit, 3)]
            ),
        )

    def test_a_cancel_is_a_request_and_ends_in_a_cancelled_order(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        placed = self.rest_one(desk, accounts)

        accepted(accounts.cancel(desk.account, placed.broker_id, SECONDS))

        wait_until("the order is gone", lambda: known(accounts.open_orders(desk.account)) == ())
        (found,) = orders_of(accounts, desk)
        assert (found.state, found.filled) == (OrderState.CANCELLED, 0)

    def test_a_bracket_is_held_by_the_broker_itself(self, desk: BrokerUnderTest, accounts: AccountManager) -> None:
        accepted(accounts.submit(desk.account, bracket(desk, order(desk, "b")), SECONDS))

        found = open_orders_of(accounts, desk)
        (entry,) = [one for one in found if one.side is Side.BUY]
        legs = [one for one in found if one.side is Side.SELL]
        assert entry.state is OrderState.SUBMITTED
        assert sorted(leg.type for leg in legs) == [OrderType.LIMIT, OrderType.STOP]
        assert [(leg.state, leg.parent) for leg in legs] == [(OrderState.PENDING, entry.broker_id)] * 2

    def test_the_legs_of_a_bracket_work_as_soon_as_the_entry_is_filled(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        accepted(accounts.submit(desk.account, bracket(desk, market(desk, "b")), SECONDS))

        wait_until(
            "both legs work",
            lambda: [one.state for one in open_orders_of(accounts, desk)] == [OrderState.SUBMITTED] * 2,
        )

    @pytest.mark.parametrize("bad", ["off the grid", "no such contract"])
    def test_what_the_broker_does_not_want_is_refused_and_not_placed(
        self, desk: BrokerUnderTest, accounts: AccountManager, bad: str
    ) -> None:
        half_a_tick = instrument(desk.contract.root).tick_size / 2
        wrong: dict[str, Any] = {"limit": Price(away(desk, -80) + half_a_tick)}
        if bad == "no such contract":
            wrong = {"contract": Contract("QQQQ", 2024, 3)}

        assert isinstance(accounts.submit(desk.account, order(desk, "bad", **wrong), SECONDS), Refused)
        assert known(accounts.open_orders(desk.account)) == ()

    def test_a_cancel_or_change_of_nothing_is_refused(self, desk: BrokerUnderTest, accounts: AccountManager) -> None:
        assert isinstance(accounts.cancel(desk.account, "123456789", SECONDS), Refused)
        assert isinstance(accounts.modify(desk.account, "123456789", order(desk, "x"), SECONDS), Refused)

    @pytest.mark.parametrize("trouble", [InducedTrouble.ANSWER_LOST, InducedTrouble.ANSWER_SPOILED])
    def test_an_order_whose_answer_is_lost_is_unanswered_and_placed_once(
        self, desk: BrokerUnderTest, accounts: AccountManager, trouble: InducedTrouble
    ) -> None:
        desk.make(trouble)

        outcome = accounts.submit(desk.account, order(desk, "lost"), SHORT)

        assert isinstance(outcome, Unanswered)
        assert outcome.was_sent
        assert desk.orders_taken() == 1
        assert len(open_orders_of(accounts, desk)) == 1

    def test_an_order_that_a_broken_server_turned_away_is_not_sent_again(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        desk.make(InducedTrouble.DOWN)

        assert isinstance(accounts.submit(desk.account, order(desk, "down"), SECONDS), Unanswered)
        assert desk.orders_taken() == 0

    def test_a_refused_token_costs_nothing_but_another_token(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        desk.make(InducedTrouble.TOKEN_REFUSED)
        first = desk.tokens.token()

        accepted(accounts.submit(desk.account, order(desk, "once"), SECONDS))

        assert desk.tokens.refusals == [first]
        assert desk.orders_taken() == 1

    def test_where_nobody_listens_nothing_is_known_and_nothing_sent(self, desk: BrokerUnderTest) -> None:
        needs_accounts(desk)
        manager = desk.broker.account_manager(unreachable(desk.login), desk.tokens)

        outcome = manager.submit(desk.account, order(desk, "nobody"), SECONDS)

        assert isinstance(outcome, Unanswered)
        assert not outcome.was_sent
        assert isinstance(manager.open_orders(desk.account), Unknown)
        manager.shutdown()
        manager.shutdown()
        assert isinstance(manager.accounts(), Unknown)

    def test_an_order_that_is_named_is_told_once_and_one_that_never_was_is_confirmed_not_to_be_there(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        placed = self.rest_one(desk, accounts)

        told = known(accounts.orders(desk.account, [placed.broker_id, "123456789"]))

        assert told == (placed,)

    def test_a_stop_that_the_market_has_passed_does_not_fill(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        wrong = order(desk, "wrong", side=Side.SELL, type=OrderType.STOP, limit=None, stop=away(desk, 80))

        outcome = accounts.submit(desk.account, wrong, SECONDS)

        if isinstance(outcome, Accepted):
            wait_until(
                "it is rejected",
                lambda: [one.state for one in orders_of(accounts, desk)] == [OrderState.REJECTED],
            )
            (rejected,) = orders_of(accounts, desk)
            assert rejected.reason
        assert known(accounts.current_position(desk.account, desk.contract)).quantity == 0

    # --- pieces ---------------------------------------------------------------------------------------------------

    def rest_one(self, desk: BrokerUnderTest, accounts: AccountManager) -> BrokerOrder:
        accepted(accounts.submit(desk.account, order(desk, "rest"), SECONDS))
        (placed,) = open_orders_of(accounts, desk)
        return placed

    def wait_for_position(self, desk: BrokerUnderTest, accounts: AccountManager, quantity: int) -> None:
        wait_until(
            f"a position of {quantity}",
            lambda: known(accounts.current_position(desk.account, desk.contract)).quantity == quantity,
        )
