import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.brokers.tradestation.examples import ES, bar_record, bracket, order_record, position_record, request
from tests.brokers.tradestation.wire_server import Request, Script, Tokens, WireServer, answer, cut, silence
from tradeproc.brokers.contract import TOKEN_SECONDS, Accepted, BrokerOrder, Outcome, Refused, Unanswered
from tradeproc.brokers.tradestation.account_manager import TradeStationAccounts
from tradeproc.brokers.tradestation.budget import Budget, Resource
from tradeproc.brokers.tradestation.data_source import TradeStationData
from tradeproc.brokers.tradestation.rest import RestClient
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderState
from tradeproc.domain.units import Contracts
from tradeproc.errors import Outage
from tradeproc.testing.waiting import wait_until

ACCOUNT = "SIM0000001F"
PLACED = answer(200, {"Orders": [{"Message": "Sent order: Buy 2 ESH26 @ 5312.00 Limit", "OrderID": "77"}]})
NO_TOKEN = answer(401, {"Error": "Unauthorized", "Message": "x"})
DOWN = answer(503, {"Error": "ServiceUnavailable", "Message": "x"})
PAGE = answer(200, b"<html>sorry</html>")


@contextmanager
def accounts_at(url: str, tokens: Tokens | None = None, seconds: float = 10.0) -> Iterator[TradeStationAccounts]:
    manager = TradeStationAccounts(RestClient(url, tokens or Tokens(), seconds))
    try:
        yield manager
    finally:
        manager.shutdown()
        manager.shutdown()


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (PLACED, Accepted({"a1": "77"})),
        (answer(400, {"Error": "BadRequest", "Message": "FAILED, INVALID SYMBOL"}), Refused),
        (DOWN, Unanswered("503 ServiceUnavailable: x")),
        (PAGE, Unanswered("the answer is no JSON object")),
        (answer(403, b"Quota Exceeded"), Refused("403 Quota Exceeded")),
        (answer(403, b"<html>Quota Exceeded</html>"), Refused("403")),
        (answer(400, {"StatusCode": "400", "Message": "no", "TraceId": "t"}), Refused("400 400: no")),
        (answer(200, b""), Unanswered("the answer is no JSON object")),
        (
            answer(429, {"Error": "TooManyRequests", "Message": "x"}),
            Unanswered("429 TooManyRequests: x", was_sent=False),
        ),
        (NO_TOKEN, Unanswered("401 Unauthorized: x", was_sent=False)),
    ],
)
def test_every_answer_to_an_order_has_one_outcome(script: Script, outcome: Outcome | type[Refused]) -> None:
    with WireServer(script) as server, accounts_at(server.url) as manager:
        found = manager.submit(ACCOUNT, request(), 5.0)

    assert isinstance(found, outcome) if isinstance(outcome, type) else found == outcome


@pytest.mark.parametrize("trouble", [silence, cut])
def test_an_order_whose_answer_is_lost_is_sent_once_and_nobody_knows(trouble: Script) -> None:
    with WireServer(trouble) as server, accounts_at(server.url) as manager:
        found = manager.submit(ACCOUNT, request(), 0.3)

        assert isinstance(found, Unanswered)
        assert found.was_sent
        assert len(server.requests) == 1


def test_an_order_that_nobody_took_was_surely_not_sent() -> None:
    with WireServer(PLACED) as server:
        url = server.url

    with accounts_at(url) as manager:
        found = manager.submit(ACCOUNT, request(), 5.0)

    assert isinstance(found, Unanswered)
    assert not found.was_sent


def test_an_order_without_a_token_was_surely_not_sent() -> None:
    class NoTokens(Tokens):
        def token(self, _seconds: float = TOKEN_SECONDS, /) -> str:
            raise Outage("none")

    with WireServer(PLACED) as server, accounts_at(server.url, NoTokens()) as manager:
        assert manager.submit(ACCOUNT, request(), 5.0) == Unanswered("no access token: none", was_sent=False)
        assert server.requests == []


def test_a_refused_token_is_told_and_the_order_sent_once_more_with_another() -> None:
    tokens = Tokens()
    with WireServer(NO_TOKEN, PLACED) as server, accounts_at(server.url, tokens) as manager:
        assert manager.submit(ACCOUNT, request(), 5.0) == Accepted({"a1": "77"})

    assert [one.token for one in server.requests] == ["t1", "t2"]
    assert tokens.refusals == ["t1"]
    first, second = tokens.asked
    assert 0 < second < first <= 5.0, "a token is waited for no longer than the order has"


def test_a_bracket_is_one_request() -> None:
    told = [{"OrderID": "1"}, {"OrderID": "2"}, {"OrderID": "3"}]
    with WireServer(answer(200, {"Orders": told})) as server, accounts_at(server.url) as manager:
        assert manager.submit(ACCOUNT, bracket(), 5.0) == Accepted({"e1": "1", "s1": "2", "p1": "3"})

    (sent,) = server.requests
    assert (sent.method, sent.path) == ("POST", "/orderexecution/orders")


def test_replace_and_cancel_name_the_order_in_the_path() -> None:
    said = answer(200, {"Message": "Cancel request sent", "OrderID": "77"})
    with WireServer(said) as server, accounts_at(server.url) as manager:
        assert manager.modify(ACCOUNT, "77", request("a1"), 5.0) == Accepted({"a1": "77"})
        assert manager.cancel(ACCOUNT, "77", 5.0) == Accepted()

    assert [(one.method, one.path) for one in server.requests] == [
        ("PUT", "/orderexecution/orders/77"),
        ("DELETE", "/orderexecution/orders/77"),
    ]


@pytest.mark.parametrize(
    "script",
    [
        DOWN,
        PAGE,
        NO_TOKEN,
        cut,
        silence,
        answer(200, {"Positions": [], "Errors": [{"Error": "Failed"}]}),
        answer(200, [1]),
    ],
)
def test_a_question_that_failed_is_unknown_and_never_flat(script: Script) -> None:
    with WireServer(script) as server, accounts_at(server.url, seconds=0.5) as manager:
        assert isinstance(manager.current_position(ACCOUNT, ES), Unknown)
        assert isinstance(manager.open_orders(ACCOUNT), Unknown)
        assert isinstance(manager.accounts(), Unknown)
        assert isinstance(manager.balances(ACCOUNT), Unknown)


def test_flat_is_a_confirmed_answer() -> None:
    other = position_record(Symbol="NQH26")
    with WireServer(answer(200, {"Positions": [other]})) as server, accounts_at(server.url) as manager:
        assert manager.current_position(ACCOUNT, ES) == Known(Position(ACCOUNT, "ESH26", Contracts(0), None))


def test_orders_are_read_to_the_last_page() -> None:
    first = answer(200, {"Orders": [order_record(OrderID="1")], "NextToken": "n/1"})
    last = answer(200, {"Orders": [order_record(OrderID="2")]})
    with WireServer(first, last) as server, accounts_at(server.url) as manager:
        match manager.orders(ACCOUNT):
            case Known(orders):
                assert [order.broker_id for order in orders] == ["1", "2"]
            case Unknown(reason):
                pytest.fail(reason)

    assert server.requests[1].path.endswith("/orders?pageSize=600&nextToken=n%2F1")


def test_a_page_that_fails_makes_all_orders_unknown() -> None:
    first = answer(200, {"Orders": [order_record()], "NextToken": "n1"})
    with WireServer(first, DOWN) as server, accounts_at(server.url) as manager:
        assert isinstance(manager.orders(ACCOUNT), Unknown)


def test_an_order_told_as_replaced_and_closed_is_read_again_before_its_end_is_believed() -> None:
    doubtful = order_record(Status="UCH", ClosedDateTime="2026-02-10T15:31:09Z")
    first, second = answer(200, {"Orders": [doubtful]}), answer(200, {"Orders": [order_record()]})
    with WireServer(first, second) as server, accounts_at(server.url) as manager:
        match manager.orders(ACCOUNT):
            case Known((BrokerOrder(state=state),)):
                assert state is OrderState.SUBMITTED
            case found:
                pytest.fail(str(found))

    assert server.requests[1].path.endswith("/orders/1000000001")


def test_the_brokers_clock_is_read_from_its_answers() -> None:
    fast = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    with WireServer(answer(200, {"Accounts": []}, Date=fast)) as server, accounts_at(server.url) as manager:
        assert manager.clock_skew() is None
        manager.accounts()
        skew = manager.clock_skew()

    assert skew is not None
    assert 85 < skew < 95


def test_after_a_429_questions_of_its_group_wait_and_orders_do_not() -> None:
    busy = answer(429, {"Error": "TooManyRequests", "Message": "x"}, Retry_After="60")
    with WireServer(busy, PLACED) as server, accounts_at(server.url) as manager:
        assert isinstance(manager.positions(ACCOUNT), Unknown)
        assert isinstance(manager.positions(ACCOUNT), Unknown)
        assert len(server.requests) == 1

        assert isinstance(manager.submit(ACCOUNT, request(), 5.0), Accepted)


def test_the_budget_lets_no_more_through_than_the_quota() -> None:
    budget = Budget()

    waits = [budget.take(Resource.SYMBOLS) for _ in range(81)]

    assert waits[:80] == [0.0] * 80
    assert waits[80] > 0
    assert budget.take(Resource.ORDERS) == 0.0


def test_a_closed_client_sends_nothing_and_wakes_who_waits() -> None:
    with WireServer(PLACED) as server, accounts_at(server.url) as manager:
        manager.shutdown()

        assert manager.submit(ACCOUNT, request(), 5.0) == Unanswered("the client was closed", was_sent=False)
        assert isinstance(manager.accounts(), Unknown)
        assert server.requests == []


def test_many_threads_share_one_client() -> None:
    with WireServer(answer(200, {"Positions": [position_record()]})) as server, accounts_at(server.url) as manager:
        found: list[object] = []
        threads = [
            threading.Thread(target=lambda: found.extend(manager.positions(ACCOUNT) for _ in range(5)))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    assert len(found) == 30
    assert all(isinstance(one, Known) for one in found)


def test_history_is_sorted_unique_and_the_forming_bar_is_open() -> None:
    bars = [
        bar_record(TimeStamp="2026-02-10T15:32:00Z", BarStatus="Open"),
        bar_record(),
        bar_record(),
    ]
    with WireServer(answer(200, {"Bars": bars})) as server:
        data = TradeStationData(RestClient(server.url, Tokens()))
        match data.history(ES, 1, 100_000):
            case Known(candles):
                assert [candle.is_closed for candle in candles] == [True, False]
            case Unknown(reason):
                pytest.fail(reason)
        data.shutdown()

    assert server.requests[0].path == "/marketdata/barcharts/ESH26?interval=1&unit=Minute&barsback=57600"


def test_the_front_month_is_what_the_continuous_symbol_stands_for() -> None:
    with WireServer(answer(200, {"Symbols": [{"Symbol": "@TY", "Underlying": "TYM25"}], "Errors": []})) as server:
        data = TradeStationData(RestClient(server.url, Tokens()))
        assert data.front_month("ZN") == Known(Contract("ZN", 2025, 6))
        assert isinstance(data.front_month("NOPE"), Unknown)
        data.shutdown()


# --- orders that are begun without waiting


class ReadyTokens(Tokens):
    """A source that tells without waiting whether it has a token."""

    is_ready = True

    def ready_token(self) -> str:
        return f"t{self.number}" if self.is_ready else ""


EMPTY = answer(200, {"Positions": []})


@contextmanager
def warm(*scripts: Script, tokens: Tokens | None = None) -> Iterator[tuple[WireServer, TradeStationAccounts]]:
    """An account manager with one open connection; the first script answers the question that opened it."""
    with WireServer(EMPTY, *scripts) as server, accounts_at(server.url, tokens or ReadyTokens()) as manager:
        assert isinstance(manager.positions(ACCOUNT), Known)
        server.requests.clear()
        yield server, manager


def test_an_order_is_at_the_broker_before_anybody_waits_for_its_answer() -> None:
    with warm(PLACED) as (server, manager):
        finish = manager.begin_submit(ACCOUNT, request(), 5.0)
        wait_until("it arrives", lambda: len(server.requests) == 1)
        assert finish is not None
        assert finish() == Accepted({"a1": "77"})
        assert [(one.method, one.path, one.token) for one in server.requests] == [
            ("POST", "/orderexecution/orders", "t1")
        ]
        begun = server.requests[0]
        manager.submit(ACCOUNT, request(), 5.0)
        assert server.requests[1] == begun, "both ways write the same bytes"


def test_nothing_is_begun_without_an_open_connection_a_token_at_hand_or_a_symbol() -> None:
    nameless = request(contract=Contract("QQQQ", 2026, 3))
    with WireServer(PLACED) as server, accounts_at(server.url, ReadyTokens()) as manager:
        assert manager.begin_submit(ACCOUNT, request(), 5.0) is None
        assert server.requests == []
    for tokens in (Tokens(), ReadyTokens()):
        if isinstance(tokens, ReadyTokens):
            tokens.is_ready = False
        with warm(PLACED, tokens=tokens) as (server, manager):
            assert manager.begin_submit(ACCOUNT, request(), 5.0) is None
            assert server.requests == []
    with warm(PLACED) as (server, manager):
        assert manager.begin_submit(ACCOUNT, nameless, 5.0) is None
        manager.shutdown()
        assert manager.begin_submit(ACCOUNT, request(), 5.0) is None
        assert server.requests == []


def test_a_connection_that_the_server_closed_meanwhile_is_not_written_to() -> None:
    def goodbye(connection: socket.socket, asked: Request) -> bool:
        EMPTY(connection, asked)
        return False

    with WireServer(goodbye, PLACED) as server, accounts_at(server.url, ReadyTokens()) as manager:
        assert isinstance(manager.positions(ACCOUNT), Known)
        kept = manager._rest._pool._idle[0]
        wait_until("the server has closed it", kept.is_stale)
        assert manager.begin_submit(ACCOUNT, request(), 5.0) is None
        assert len(server.requests) == 1

        assert isinstance(manager.submit(ACCOUNT, request(), 5.0), Accepted)


@pytest.mark.parametrize("trouble", [silence, cut])
def test_a_begun_order_whose_answer_is_lost_is_sent_once_and_nobody_knows(trouble: Script) -> None:
    with warm(trouble) as (server, manager):
        finish = manager.begin_submit(ACCOUNT, request(), 0.3)
        assert finish is not None
        found = finish()

        assert isinstance(found, Unanswered)
        assert found.was_sent
        assert len(server.requests) == 1


def test_a_begun_order_whose_token_is_refused_is_sent_once_more_with_another() -> None:
    tokens = ReadyTokens()
    with warm(NO_TOKEN, PLACED, tokens=tokens) as (server, manager):
        finish = manager.begin_submit(ACCOUNT, request(), 5.0)
        assert finish is not None
        assert finish() == Accepted({"a1": "77"})

        assert [one.token for one in server.requests] == ["t1", "t2"]
        assert tokens.refusals == ["t1"]


def test_a_token_that_would_end_a_header_is_never_written() -> None:
    class Evil(ReadyTokens):
        def token(self, _seconds: float = TOKEN_SECONDS, /) -> str:
            return "x\r\nEvil: yes"

        def ready_token(self) -> str:
            return self.token()

    with WireServer(PLACED) as server, accounts_at(server.url, Evil()) as manager:
        found = manager.submit(ACCOUNT, request(), 5.0)
        assert isinstance(found, Unanswered)
        assert not found.was_sent
        assert server.requests == []


def test_a_compressed_answer_is_read_and_a_torn_one_is_unknown() -> None:
    whole = gzip.compress(b'{"Positions": []}')
    packed, torn = (answer(200, raw, Content_Encoding="gzip") for raw in (whole, whole[:-4]))
    with WireServer(packed, torn) as server, accounts_at(server.url) as manager:
        assert manager.positions(ACCOUNT) == Known(())
        assert isinstance(manager.positions(ACCOUNT), Unknown)


def test_an_answer_that_drips_ends_with_the_deadline_of_its_request() -> None:
    def drip(connection: socket.socket, _: Request) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        pause = threading.Event()
        while not pause.wait(0.02):
            connection.sendall(b"X-More: x\r\n")
        return False

    with WireServer(drip) as server, accounts_at(server.url) as manager:
        found = manager.submit(ACCOUNT, request(), 0.5)

    assert isinstance(found, Unanswered)
    assert found.was_sent
