"""The promises of `brokers/contract.py`, as tests that any broker can be run through.

    class TestMyBroker(BrokerContract):
        @pytest.fixture
        def desk(self) -> Iterator[BrokerUnderTest]: ...

The fixture yields a `BrokerUnderTest` (`under_test.py`): the broker, a login to a server of its own, and methods that
make troubles at that server. Tests of parts that a broker declares not to have are skipped.
`examples/test_csv_broker.py` is a small broker with its test. The suite needs the extra `testing`
(`pip install 'tradeproc[testing]'`).
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradeproc.brokers.contract import (
    AccountManager,
    CredentialKind,
    DataSource,
    SnapshotEnded,
    StreamedBar,
    StreamedOrder,
    StreamedPosition,
    StreamEnded,
    UserPassword,
)
from tradeproc.brokers.registry import check_broker
from tradeproc.domain.answers import Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.instruments import INSTRUMENTS, Contract, instrument
from tradeproc.domain.orders import OrderState, Side
from tradeproc.domain.units import Contracts
from tradeproc.errors import Halt, Outage
from tradeproc.testing.contract_parts import SECONDS, accepted, any_stream, known, market, needs_data
from tradeproc.testing.list_contract import ListContract
from tradeproc.testing.listening import listening
from tradeproc.testing.under_test import BrokerUnderTest, InducedTrouble, unreachable


class BrokerContract(ListContract):
    """What every broker promises; derive a class whose name begins with Test, and give it a fixture `desk`."""

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

    def test_bars_whose_answer_ends_in_its_middle_are_unknown(self, desk: BrokerUnderTest, data: DataSource) -> None:
        desk.make(InducedTrouble.ANSWER_TORN)

        assert isinstance(data.history(desk.contract, 1, 10), Unknown)

    @pytest.mark.parametrize("trouble", [InducedTrouble.BUSY, InducedTrouble.DOWN])
    def test_a_question_that_failed_is_unknown(
        self, desk: BrokerUnderTest, accounts: AccountManager, trouble: InducedTrouble
    ) -> None:
        desk.make(trouble)

        assert isinstance(accounts.current_position(desk.account, desk.contract), Unknown)

    # --- streams --------------------------------------------------------------------------------------------------

    def test_the_order_stream_begins_with_what_is_there_and_goes_on_with_news(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        placed = self.rest_one(desk, accounts)

        with listening(desk.broker.order_stream(desk.login, desk.tokens, desk.account)) as heard:
            heard.wait_for(SnapshotEnded)
            first = heard.events[0]
            assert isinstance(first, StreamedOrder)
            assert first.order == placed
            accepted(accounts.submit(desk.account, market(desk, "news"), SECONDS))
            heard.wait_for(StreamedOrder, lambda told: told.order.state is OrderState.FILLED)
            accepted(accounts.cancel(desk.account, placed.broker_id, SECONDS))
            heard.wait_for(StreamedOrder, lambda told: told.order.state is OrderState.CANCELLED)

    def test_the_position_stream_tells_opening_and_closing(
        self, desk: BrokerUnderTest, accounts: AccountManager
    ) -> None:
        with listening(desk.broker.position_stream(desk.login, desk.tokens, desk.account)) as heard:
            heard.wait_for(SnapshotEnded)
            assert not any(isinstance(event, StreamedPosition) for event in heard.events)
            accepted(accounts.submit(desk.account, market(desk, "in"), SECONDS))
            told = heard.wait_for(StreamedPosition, lambda event: event.position.quantity == 1)
            assert (told.position.account, told.position.contract) == (desk.account, desk.contract.code)
            accepted(accounts.submit(desk.account, market(desk, "out", Side.SELL), SECONDS))
            heard.wait_for(StreamedPosition, lambda event: event.position.quantity == 0)

    def test_the_bar_stream_begins_with_history(self, desk: BrokerUnderTest, data: DataSource) -> None:
        with listening(desk.broker.bar_stream(desk.login, desk.tokens, desk.contract, 1, 5)) as heard:
            heard.wait_for(StreamedBar, lambda told: told.is_history and told.candle.is_closed)
            heard.wait_for(SnapshotEnded)
            told = [event.candle for event in heard.events if isinstance(event, StreamedBar) and event.is_history]

        assert known(data.history(desk.contract, 1, 5))[0] in told

    @pytest.mark.parametrize(
        ("trouble", "is_polite"),
        [(InducedTrouble.STREAM_GO_AWAY, True), (InducedTrouble.STREAM_CUT, False), (InducedTrouble.DOWN, False)],
    )
    def test_a_stream_in_trouble_ends_and_says_why(
        self, desk: BrokerUnderTest, trouble: InducedTrouble, is_polite: bool
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
        desk.make(InducedTrouble.STREAM_SPLIT)

        with listening(desk.broker.order_stream(desk.login, desk.tokens, desk.account)) as heard:
            heard.wait_for(SnapshotEnded)
            assert heard.events[0] == StreamedOrder(placed)

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

        tokens = authorization.renew(desk.refresh_token)

        assert tokens.access_token
        assert tokens.expires_in > 0
        assert tokens.access_token not in repr(tokens)
        with pytest.raises(Halt):
            authorization.renew("dead")
        with pytest.raises(Outage):
            desk.broker.authorization(unreachable(desk.login), desk.client).renew(desk.refresh_token)

    def test_a_password_yields_access_that_can_be_renewed_and_a_wrong_one_is_refused(
        self, desk: BrokerUnderTest
    ) -> None:
        if desk.broker.credential_kind is not CredentialKind.PASSWORD:
            pytest.skip("it declares that it takes no password")
        assert desk.password is not None
        authorization = desk.broker.authorization(desk.login, desk.client)

        tokens = authorization.acquire(desk.password)

        assert tokens.access_token
        assert tokens.expires_in > 0
        assert tokens.access_token not in repr(tokens)
        assert desk.password.password not in repr(desk.password)
        assert tokens.renewal
        assert authorization.renew(tokens.renewal).access_token
        with pytest.raises(Halt):
            authorization.renew("dead")
        with pytest.raises(Halt):
            authorization.acquire(UserPassword(desk.password.user, f"not {desk.password.password}"))
        with pytest.raises(Outage):
            desk.broker.authorization(unreachable(desk.login), desk.client).acquire(desk.password)
