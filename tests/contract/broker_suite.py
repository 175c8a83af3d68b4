"""The promises of `brokers/contract.py`, as tests that any broker can be run through.

Make a `BrokerUnderTest` for your broker (`under_test.py`), and a class `TestMyBroker(BrokerSuite)` with a fixture
`desk` that yields it; `test_tradestation.py` is the example. What a broker declares not to be is not asked of it:
tests of it are skipped, which `test_toys.py` shows.
"""

from collections.abc import Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.listening import listening
from tests.contract.under_test import BrokerUnderTest, Trouble, unreachable
from tests.waiting import wait_until
from tradeproc.brokers.contract import (
    Accepted,
    AccountManager,
    BarTold,
    BracketRequest,
    BrokerOrder,
    CredentialKind,
    DataSource,
    Login,
    OrderRequest,
    OrderUpdated,
    Outcome,
    PositionUpdated,
    Refused,
    SnapshotEnded,
    Stream,
    StreamEnded,
    Unanswered,
)
from tradeproc.brokers.registry import check_broker
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.instruments import INSTRUMENTS, Contract, instrument
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side
from tradeproc.domain.units import Contracts, Price
from tradeproc.errors import Halt, Outage

T = TypeVar("T")
SECONDS = 10.0
SHORT = 1.0


def known(answer: Answer[T]) -> T:
    match answer:
        case Known(value):
            return value
        case Unknown(reason):
            raise AssertionError(f"unknown: {reason}")


def accepted(outcome: Outcome) -> Accepted:
    assert isinstance(outcome, Accepted), outcome
    return outcome


def orders_of(accounts: AccountManager, desk: BrokerUnderTest) -> list[BrokerOrder]:
    """The orders of the account, all of which can be read."""
    listed = known(accounts.orders(desk.account))
    found = [order for order in listed if isinstance(order, BrokerOrder)]
    assert len(found) == len(listed), listed
    return found


def away(desk: BrokerUnderTest, ticks: int) -> Price:
    """A price on the grid, some ticks from the last one."""
    return Price(desk.last_price() + ticks * instrument(desk.contract.root).tick_size)


def order(desk: BrokerUnderTest, order_id: str, **fields: Any) -> OrderRequest:
    """A buy of one contract that rests far below the market; override what matters."""
    given_: dict[str, Any] = {
        "id": order_id,
        "contract": desk.contract,
        "side": Side.BUY,
        "quantity": Contracts(1),
        "type": OrderType.LIMIT,
        "role": OrderRole.ENTRY,
        "limit": away(desk, -80),
    }
    return OrderRequest(**(given_ | fields))


def market(desk: BrokerUnderTest, order_id: str, side: Side = Side.BUY) -> OrderRequest:
    return order(desk, order_id, side=side, type=OrderType.MARKET, limit=None)


def bracket(desk: BrokerUnderTest, entry: OrderRequest) -> BracketRequest:
    stop: dict[str, Any] = {"type": OrderType.STOP, "limit": None, "stop": away(desk, -100)}
    return BracketRequest(
        entry,
        order(desk, f"{entry.id}s", side=Side.SELL, role=OrderRole.STOP_LOSS, **stop),
        order(desk, f"{entry.id}p", side=Side.SELL, role=OrderRole.PROFIT_TARGET, limit=away(desk, 100)),
    )


def needs_accounts(desk: BrokerUnderTest) -> None:
    if not desk.broker.has_account_management:
        pytest.skip("it declares that it manages no accounts")


def needs_data(desk: BrokerUnderTest) -> None:
    if not desk.broker.is_data_source:
        pytest.skip("it declares that it serves no data")


def any_stream(desk: BrokerUnderTest, login: Login) -> Stream:
    """A stream that the broker declares to have."""
    if desk.broker.has_account_management:
        return desk.broker.order_stream(login, desk.tokens, desk.account)
    return desk.broker.bar_stream(login, desk.tokens, desk.contract, 1, 5)


class BrokerSuite:
    """Run me with a fixture `desk`."""

    @pytest.fixture
    def accounts(self, desk: BrokerUnderTest) -> Iterator[AccountManager]:
        needs_accounts(desk)
        manager = desk.broker.account_manager(desk.login, desk.tokens)
        yield manager
        manager.shutdown()

    @pytest.fixture
    def data(self, desk: BrokerUnderTest) -> Iterator[DataSource]:
        needs_data(desk)
        source = desk.broker.data_source(desk.login, desk.tokens)
        yield source
        source.shutdown()

    # --- what it declares -----------------------------------------------------------------------------------------

    def test_it_has_what_a_broker_declares(self, desk: BrokerUnderTest) -> None:
        assert check_broker(desk.broker.key, desk.broker) is desk.broker
        assert desk.broker.host(desk.login) == desk.login.base_url

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(INSTRUMENTS)), st.integers(1970, 2069), st.integers(1, 12))
    def test_every_contract_it_supports_comes_back_from_its_symbol(
        self, desk: BrokerUnderTest, root: str, year: int, month: int
    ) -> None:
        adapter, contract = desk.broker.adapter, Contract(root, year, month)
        if adapter.supports_symbol(root):
            symbol = adapter.to_broker_symbol(contract)

            assert adapter.to_contract(symbol) == adapter.to_contract(symbol.lower()) == contract
            assert adapter.to_root_symbol(symbol) == root
        if adapter.supports_continuous_contract(root):
            assert adapter.to_root_symbol(adapter.to_continuous_symbol(root)) == root

    # --- questions ------------------------------------------------------------------------------------------------

    def test_it_knows_the_account_and_its_money(self, desk: BrokerUnderTest, accounts: AccountManager) -> None:
        listed = {account.id: account for account in known(accounts.accounts())}

        assert listed[desk.account].is_tradable
        assert known(accounts.balances(desk.account)).account == desk.account

    def test_a_fresh_account_is_confirmed_empty(self, desk: BrokerUnderTest, accounts: AccountManager) -> None:
        assert known(accounts.orders(desk.account)) == ()
        assert known(accounts.open_orders(desk.account)) == ()
        assert known(accounts.positions(desk.account)) == ()
        flat = Position(desk.account, desk.contract.code, Contracts(0), None)
        assert known(accounts.current_position(desk.account, desk.contract)) == flat

    def test_its_clock_is_known_after_the_first_answer(self, desk: BrokerUnderTest, accounts: AccountManager) -> None:
        assert accounts.clock_skew() is None
        known(accounts.accounts())

        skew = accounts.clock_skew()
        assert skew is not None
        assert abs(skew) < 10

    def test_it_tells_the_terms_of_a_contract_on_the_exchanges_scale(
        self, desk: BrokerUnderTest, data: DataSource
    ) -> None:
        details, terms = known(data.contract_details(desk.contract)), instrument(desk.contract.root)

        assert (details.contract, details.tick_size, details.point_value, details.currency) == (
            desk.contract,
            terms.tick_size,
            terms.point_value,
            terms.currency,
        )

    def test_it_names_the_front_month(self, desk: BrokerUnderTest, data: DataSource) -> None:
        assert known(data.front_month(desk.contract.root)).root == desk.contract.root

    def test_history_is_the_newest_bars_oldest_first(self, desk: BrokerUnderTest, data: DataSource) -> None:
        bars = known(data.history(desk.contract, 1, 10))

        assert 1 < len(bars) <= 10
        assert [bar.opened_at for bar in bars] == sorted({bar.opened_at for bar in bars})
        assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
        assert all(bar.is_closed for bar in bars[:-1])

    @pytest.mark.parametrize("trouble", [Trouble.BUSY, Trouble.DOWN])
    def test_a_question_that_failed_is_unknown(
        self, desk: BrokerUnderTest, accounts: AccountManager, trouble: Trouble
    ) -> None:
        desk.make(trouble)

        assert isinstance(accounts.current_position(desk.account, desk.contract), Unknown)

    # --- orders ---------------------------------------------------------------------------------------------------

    def test_a_limit_order_is_accepted_and_works_at_the_broker(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        sent = order(desk, "rest")
        ids = accepted(accounts.submit(desk.account, sent, SECONDS)).broker_ids

        (found,) = known(accounts.open_orders(desk.account))
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
        (filled,) = known(accounts.orders(desk.account))
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

        (found,) = known(accounts.open_orders(desk.account))
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
                [(one.broker_id, one.limit, one.quantity) for one in known(accounts.open_orders(desk.account))]
                == [(placed.broker_id, change.limit, 3)]
            ),
        )

    def test_a_cancel_is_a_request_and_ends_in_a_cancelled_order(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        placed = self.rest_one(desk, accounts)

        accepted(accounts.cancel(desk.account, placed.broker_id, SECONDS))

        wait_until("the order is gone", lambda: known(accounts.open_orders(desk.account)) == ())
        (found,) = known(accounts.orders(desk.account))
        assert (found.state, found.filled) == (OrderState.CANCELLED, 0)

    def test_a_bracket_is_held_by_the_broker_itself(self, desk: BrokerUnderTest, accounts: AccountManager) -> None:
        accepted(accounts.submit(desk.account, bracket(desk, order(desk, "b")), SECONDS))

        found = known(accounts.open_orders(desk.account))
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
            lambda: [one.state for one in known(accounts.open_orders(desk.account))] == [OrderState.SUBMITTED] * 2,
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

    @pytest.mark.parametrize("trouble", [Trouble.ANSWER_LOST, Trouble.ANSWER_SPOILED])
    def test_an_order_whose_answer_is_lost_is_unanswered_and_placed_once(
        self, desk: BrokerUnderTest, accounts: AccountManager, trouble: Trouble
    ) -> None:
        desk.make(trouble)

        outcome = accounts.submit(desk.account, order(desk, "lost"), SHORT)

        assert isinstance(outcome, Unanswered)
        assert outcome.was_sent
        assert desk.orders_taken() == 1
        assert len(known(accounts.open_orders(desk.account))) == 1

    def test_an_order_that_a_broken_server_turned_away_is_not_sent_again(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        desk.make(Trouble.DOWN)

        assert isinstance(accounts.submit(desk.account, order(desk, "down"), SECONDS), Unanswered)
        assert desk.orders_taken() == 0

    def test_a_refused_token_costs_nothing_but_another_token(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        desk.make(Trouble.TOKEN_REFUSED)
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

    # --- streams --------------------------------------------------------------------------------------------------

    def test_the_order_stream_begins_with_what_is_there_and_goes_on_with_news(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        placed = self.rest_one(desk, accounts)

        with listening(desk.broker.order_stream(desk.login, desk.tokens, desk.account)) as heard:
            heard.wait_for(SnapshotEnded)
            first = heard.events[0]
            assert isinstance(first, OrderUpdated)
            assert first.order == placed
            accepted(accounts.submit(desk.account, market(desk, "news"), SECONDS))
            heard.wait_for(OrderUpdated, lambda told: told.order.state is OrderState.FILLED)
            accepted(accounts.cancel(desk.account, placed.broker_id, SECONDS))
            heard.wait_for(OrderUpdated, lambda told: told.order.state is OrderState.CANCELLED)

    def test_the_position_stream_tells_opening_and_closing(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        with listening(desk.broker.position_stream(desk.login, desk.tokens, desk.account)) as heard:
            heard.wait_for(SnapshotEnded)
            assert not any(isinstance(event, PositionUpdated) for event in heard.events)
            accepted(accounts.submit(desk.account, market(desk, "in"), SECONDS))
            told = heard.wait_for(PositionUpdated, lambda event: event.position.quantity == 1)
            assert (told.position.account, told.position.contract) == (desk.account, desk.contract.code)
            accepted(accounts.submit(desk.account, market(desk, "out", Side.SELL), SECONDS))
            heard.wait_for(PositionUpdated, lambda event: event.position.quantity == 0)

    def test_the_bar_stream_begins_with_history(self, desk: BrokerUnderTest, data: DataSource) -> None:
        with listening(desk.broker.bar_stream(desk.login, desk.tokens, desk.contract, 1, 5)) as heard:
            heard.wait_for(BarTold, lambda told: told.is_history and told.candle.is_closed)
            heard.wait_for(SnapshotEnded)
            told = [event.candle for event in heard.events if isinstance(event, BarTold) and event.is_history]

        assert known(data.history(desk.contract, 1, 5))[0] in told

    @pytest.mark.parametrize(
        ("trouble", "is_polite"), [(Trouble.STREAM_GO_AWAY, True), (Trouble.STREAM_CUT, False), (Trouble.DOWN, False)]
    )
    def test_a_stream_in_trouble_ends_and_says_why(
        self, desk: BrokerUnderTest, trouble: Trouble, is_polite: bool
    ) -> None:
        desk.make(trouble)

        with listening(any_stream(desk, desk.login)) as heard:
            end = heard.wait_for(StreamEnded)

        assert end.reason
        assert (end.is_polite, end.is_fatal) == (is_polite, False)

    def test_messages_that_come_in_pieces_are_put_together(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        placed = self.rest_one(desk, accounts)
        desk.make(Trouble.STREAM_SPLIT)

        with listening(desk.broker.order_stream(desk.login, desk.tokens, desk.account)) as heard:
            heard.wait_for(SnapshotEnded)
            assert heard.events[0] == OrderUpdated(placed)

    def test_a_stream_closed_by_another_thread_ends_soon(self, desk: BrokerUnderTest) -> None:
        with listening(any_stream(desk, desk.login)) as heard:
            heard.wait_for(SnapshotEnded)

        assert heard.end() == heard.events[-1]

    def test_a_stream_that_nobody_serves_ends(self, desk: BrokerUnderTest) -> None:
        with listening(any_stream(desk, unreachable(desk.login))) as heard:
            assert not heard.wait_for(StreamEnded).is_fatal

    # --- logging in -----------------------------------------------------------------------------------------------

    def test_a_refresh_token_yields_access_and_a_dead_one_needs_a_person(self, desk: BrokerUnderTest) -> None:
        if desk.broker.credential_kind is not CredentialKind.OAUTH2_CODE:
            pytest.skip("it declares that it has no OAuth2")
        authorization = desk.broker.authorization(desk.login, desk.client)

        tokens = authorization.refresh(desk.refresh_token)

        assert tokens.access_token
        assert tokens.expires_in > 0
        assert tokens.access_token not in repr(tokens)
        with pytest.raises(Halt):
            authorization.refresh("dead")
        with pytest.raises(Outage):
            desk.broker.authorization(unreachable(desk.login), desk.client).refresh(desk.refresh_token)

    # --- pieces ---------------------------------------------------------------------------------------------------

    def rest_one(self, desk: BrokerUnderTest, accounts: AccountManager) -> BrokerOrder:
        accepted(accounts.submit(desk.account, order(desk, "rest"), SECONDS))
        (placed,) = known(accounts.open_orders(desk.account))
        return placed

    def wait_for_position(self, desk: BrokerUnderTest, accounts: AccountManager, quantity: int) -> None:
        wait_until(
            f"a position of {quantity}",
            lambda: known(accounts.current_position(desk.account, desk.contract)).quantity == quantity,
        )
