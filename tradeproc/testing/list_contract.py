"""The promises of a broker about lists, as tests: an answer that may be cut is no answer.

`contract.py` makes them a part of the whole.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tradeproc.brokers.contract import AccountManager, UnreadableRecord
from tradeproc.domain.answers import Known, Unknown
from tradeproc.testing.contract_parts import SECONDS, accepted, known, market, open_orders_of, order
from tradeproc.testing.order_contract import OrderContract
from tradeproc.testing.under_test import BrokerUnderTest, InducedTrouble

Ask = Callable[[BrokerUnderTest, AccountManager], Any]
QUESTIONS: dict[str, Ask] = {
    "orders": lambda desk, accounts: accounts.orders(desk.account),
    "open_orders": lambda desk, accounts: accounts.open_orders(desk.account),
    "positions": lambda desk, accounts: accounts.positions(desk.account),
    "current_position": lambda desk, accounts: accounts.current_position(desk.account, desk.contract),
    "balances": lambda desk, accounts: accounts.balances(desk.account),
    "accounts": lambda _, accounts: accounts.accounts(),
}


class ListContract(OrderContract):
    """What every broker with account management promises about lists; run as a part of `BrokerContract`."""

    @pytest.mark.parametrize("question", QUESTIONS)
    def test_an_answer_that_ends_in_its_middle_is_unknown(
        self, desk: BrokerUnderTest, accounts: AccountManager, question: str
    ) -> None:
        desk.make(InducedTrouble.ANSWER_TORN)

        assert isinstance(QUESTIONS[question](desk, accounts), Unknown)
        assert isinstance(QUESTIONS[question](desk, accounts), Known)

    @pytest.mark.parametrize("question", ["orders", "open_orders"])
    def test_a_list_of_which_a_page_never_comes_is_unknown(
        self, desk: BrokerUnderTest, accounts: AccountManager, question: str
    ) -> None:
        ids = self.rest_two(desk, accounts)
        desk.make(InducedTrouble.PAGE_LOST)

        assert isinstance(QUESTIONS[question](desk, accounts), Unknown)
        assert {one.broker_id for one in known(QUESTIONS[question](desk, accounts))} == ids

    def test_an_order_that_its_list_leaves_out_is_found_by_its_id(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        ids = self.rest_two(desk, accounts)
        desk.make(InducedTrouble.LIST_CUT)

        told = accounts.orders(desk.account, sorted(ids))

        assert isinstance(told, Unknown) or {one.broker_id for one in told.value} == ids

    def test_orders_that_cannot_be_read_are_not_absent(self, desk: BrokerUnderTest, accounts: AccountManager) -> None:
        ids = self.rest_two(desk, accounts)
        desk.make(InducedTrouble.RECORD_SPOILED)

        told = accounts.open_orders(desk.account)

        # an adapter may ask again for what it cannot read, and then it can
        assert isinstance(told, Unknown) or {one.broker_id for one in told.value} == ids

    def test_a_position_that_cannot_be_read_is_not_flat(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        accepted(accounts.submit(desk.account, market(desk, "in"), SECONDS))
        self.wait_for_position(desk, accounts, 1)

        desk.make(InducedTrouble.RECORD_SPOILED)
        one = accounts.current_position(desk.account, desk.contract)
        desk.make(InducedTrouble.RECORD_SPOILED)
        listed = accounts.positions(desk.account)

        assert isinstance(one, Unknown)
        assert isinstance(listed, Unknown) or any(isinstance(each, UnreadableRecord) for each in listed.value)

    def rest_two(self, desk: BrokerUnderTest, accounts: AccountManager) -> set[str]:
        """Let two orders rest and return the broker's ids of them."""
        for name in ("one", "two"):
            accepted(accounts.submit(desk.account, order(desk, name), SECONDS))
        ids = {one.broker_id for one in open_orders_of(accounts, desk)}
        assert len(ids) == 2
        return ids
