"""What TradeStation sends, and what our readers make of it: it must travel on our bus and come out as it went in."""

from contextlib import suppress
from random import Random
from types import SimpleNamespace
from typing import Any

import orjson
from oauthlib.oauth2 import WebApplicationClient

from tests import bodies
from tests.bodies import outcome_from_body, outcome_to_body
from tests.brokers.tradestation import examples
from tests.fuzz import mutations
from tests.fuzz.harness import Target
from tradeproc.brokers.contract import (
    TOKEN_SECONDS,
    ClientCredentials,
    StreamedBar,
    StreamedOrder,
    StreamedPosition,
    StreamedUnreadable,
)
from tradeproc.brokers.credentials import ConsentAnswer
from tradeproc.brokers.tradestation import authorization, orders, rest, stream_events, symbols
from tradeproc.brokers.tradestation.account_manager import TradeStationAccounts
from tradeproc.brokers.tradestation.data_source import TradeStationData
from tradeproc.brokers.tradestation.framing import Framer
from tradeproc.bus.codec import encode_body
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.units import Nanos
from tradeproc.errors import Halt, Outage, Refusal
from tradeproc.protocol import feed_messages as feeds
from tradeproc.protocol import link_messages as link
from tradeproc.protocol.codec import Codec
from tradeproc.protocol.definitions import Method
from tradeproc.protocol.feed_messages import CANDLE, CandleBody

NOW = Nanos(1_790_000_000_000_000_000)


def _seed(record: object) -> bytes:
    return orjson.dumps(record)


ORDERS = [
    _seed(examples.order_record(**fields))
    for fields in (
        {},
        {"Status": "FLL", "FilledPrice": "5311.75", "ClosedDateTime": "2026-02-10T15:31:09Z"},
        {"Status": "UCH", "ClosedDateTime": "2026-02-10T15:31:09Z"},
        {"OrderType": "StopMarket", "StopPrice": "5300", "LimitPrice": None},
        {"ConditionalOrders": [{"Relationship": "OSP", "OrderID": "1000000000"}]},
        {"Status": "REJ", "RejectReason": "EC602"},
    )
]
ORDERS.append(_seed(examples.order_record({"ExecQuantity": "1", "ExecutionPrice": "5311"}, Status="FPR")))
POSITIONS = [_seed(examples.position_record()), _seed({"PositionID": "70000001", "Deleted": True})]
BARS = [_seed(examples.bar_record()), _seed(examples.bar_record(IsEndOfHistory=True, BarStatus="Open"))]
ACCOUNTS = [_seed({"AccountID": "SIM0000001F", "AccountType": "Futures", "Currency": "USD", "Status": "Active"})]
BALANCES = [
    _seed(
        {
            "AccountID": "SIM0000001F",
            "CashBalance": "100000",
            "Equity": "100012.5",
            "BalanceDetail": {"RealizedProfitLoss": "12.5", "UnrealizedProfitLoss": "-25"},
            "CurrencyDetails": [{"Currency": "USD"}],
        }
    )
]
DETAILS = [
    _seed(
        {
            "Symbol": "ESH26",
            "Underlying": "ESH26",
            "Currency": "USD",
            "Exchange": "CME",
            "Description": "E-mini S&P",
            "ExpirationDate": "2026-03-20T00:00:00Z",
            "PriceFormat": {"Increment": "0.25", "PointValue": "50", "IncrementSchedule": [{"Increment": "0.25"}]},
        }
    )
]
SAYINGS = [
    _seed({"Heartbeat": 1, "Timestamp": "2026-02-10T15:31:08Z"}),
    _seed({"StreamStatus": "EndSnapshot"}),
    _seed({"StreamStatus": "GoAway"}),
    _seed({"Error": "DualLogon", "Message": "another"}),
    _seed({"error": "invalid_grant", "error_description": "x"}),
]
PLACED = [
    _seed({"Orders": [{"OrderID": "1", "Message": "Sent order: Buy 2 ESH26 @ 5312 Limit"}]}),
    _seed(
        {
            "Orders": [
                {"OrderID": "1", "Message": "Sent order: Buy 2 ESH26 @ 5312 Limit"},
                {"OrderID": "2", "Message": "Sent order: Sell 2 ESH26 @ 5300 Stop Market"},
                {"OrderID": "3", "Message": "Sent order: Sell 2 ESH26 @ 5330.25 Limit"},
            ]
        }
    ),
    _seed({"Orders": [], "Errors": [{"OrderID": "", "Error": "FAILED", "Message": "Order failed. Reason: x"}]}),
    _seed({"Orders": [{"OrderID": "9", "Message": "Order failed. Reason: EC602"}]}),
    _seed({"Message": "Cancel request sent", "OrderID": "1"}),
    _seed({"Error": "BadRequest", "Message": "Invalid Account ID."}),
]
TOKENS = [
    _seed(
        {"access_token": "a.b.c", "expires_in": 1200, "refresh_token": "r", "token_type": "Bearer", "scope": "a b"}
    ),
    _seed({"error": "invalid_grant", "error_description": "dead"}),
    _seed({"error": "invalid_client"}),
]


def travels(codec: Codec[Any], value: Any) -> None:
    """Assert that a value can be sent on the bus, is read there as it was, and can be stored as text."""
    raw = encode_body(codec.plain(value))
    assert codec.read(orjson.loads(raw)) == value
    assert b"\\u0000" not in raw, "PostgreSQL has no NUL in texts"


# --- framing


def _draw_bytes(random: Random) -> tuple[bytes, list[bytes]]:
    records = [random.choice((*ORDERS, *BARS, *SAYINGS, *POSITIONS)) for _ in range(random.randrange(1, 4))]
    ends = random.choice((b"\n", b"\r\n", b"", b"\n\n", b" "))
    whole = mutations.raw(random, b"".join(record + ends for record in records))
    return whole, mutations.pieces(random, whole)


def _frame(drawn: tuple[bytes, list[bytes]]) -> None:
    whole, cut = drawn
    at_once, in_pieces = Framer(), Framer()
    one = at_once.feed(whole)
    many = [record for chunk in cut for record in in_pieces.feed(chunk)]
    assert one == many, "where the network cut it must not matter"
    assert bool(at_once.trouble) == bool(in_pieces.trouble)


# --- streams


def _draw_stream(random: Random) -> tuple[int, list[Any]]:
    which = random.randrange(3)
    seeds = ((*BARS, *SAYINGS), (*ORDERS, *SAYINGS), (*POSITIONS, *SAYINGS))[which]
    return which, [found for _ in range(2) if isinstance(found := mutations.tree(random, random.choice(seeds)), dict)]


def _read_stream(drawn: tuple[int, list[Any]]) -> None:
    which, records = drawn
    readers = (
        lambda: stream_events.BarReader(random_code(records), 1),
        stream_events.OrderReader,
        stream_events.PositionReader,
    )
    reader: stream_events.Reader = readers[which]()
    for record in records:
        for event in reader.read(record, NOW):
            match event:
                case StreamedBar(candle):
                    travels(CANDLE.codec, CandleBody.of(candle, "ESH26", 1))
                case StreamedOrder(order):
                    travels(feeds.ORDER.codec, order)
                case StreamedPosition(position):
                    travels(feeds.POSITION.codec, position)
                case StreamedUnreadable(unread):
                    sent = orjson.loads(encode_body(bodies.listed_order_to_body(unread)))
                    assert bodies.listed_order_from_body(sent) == unread
                case _:
                    pass


def random_code(records: list[Any]) -> str:
    """Return one of two contracts; the yen is scaled."""
    return "6JH26" if len(str(records)) % 2 else "ESH26"


# --- answers


class _Rest:
    """Stands for the REST client: each question gets the next of the drawn answers, the last one again and again."""

    def __init__(self, bodies: list[Any]) -> None:
        self._bodies = bodies

    def ask(self, *_: Any) -> Answer[Any]:
        body = self._bodies.pop(0) if len(self._bodies) > 1 else self._bodies[0]
        return Known(body) if isinstance(body, dict) else Unknown("the answer is no JSON object")


def _accounts(rest: Any) -> TradeStationAccounts:
    return TradeStationAccounts(rest)


def _data(rest: Any) -> TradeStationData:
    return TradeStationData(rest)


def _history(rest: Any) -> Answer[tuple[CandleBody, ...]]:
    """Return the bars of the broker as a link tells them."""
    match _data(rest).history(examples.ES, 1, 5):
        case Known(candles):
            return Known(tuple(CandleBody.of(candle, "ESH26", 1, is_history=True) for candle in candles))
        case Unknown() as unknown:
            return unknown


_IDS, _ACCOUNT = ("1000000001", "1000000002"), "SIM0000001F"
_QUESTIONS: tuple[tuple[str, list[bytes], Any, Method[Any, Any]], ...] = (
    ("Orders", ORDERS, lambda rest: _accounts(rest).orders(_ACCOUNT, _IDS), link.ORDERS),
    ("Orders", ORDERS, lambda rest: _accounts(rest).open_orders(_ACCOUNT), link.OPEN_ORDERS),
    ("Positions", POSITIONS, lambda rest: _accounts(rest).positions(_ACCOUNT), link.POSITIONS),
    ("Positions", POSITIONS, lambda rest: _accounts(rest).current_position(_ACCOUNT, examples.ES), link.POSITION),
    ("Accounts", ACCOUNTS, lambda rest: _accounts(rest).accounts(), link.ACCOUNTS),
    ("Balances", BALANCES, lambda rest: _accounts(rest).balances(_ACCOUNT), link.BALANCES),
    ("Bars", BARS, lambda rest: _history(rest), link.HISTORY),
    ("Symbols", DETAILS, lambda rest: _data(rest).contract_details(examples.ES), link.CONTRACT_DETAILS),
    ("Symbols", DETAILS, lambda rest: _data(rest).front_month("ES"), link.FRONT_MONTH),
)


def _draw_answer(random: Random) -> tuple[int, list[Any]]:
    which = random.randrange(len(_QUESTIONS))
    key, seeds, *_ = _QUESTIONS[which]
    answers = []
    for _ in range(random.randrange(1, 3)):
        records = [orjson.loads(random.choice(seeds)) for _ in range(random.randrange(1, 3))]
        answers.append(mutations.tree(random, orjson.dumps({key: records, "Errors": []})))
    return which, answers


def _read_answer(drawn: tuple[int, list[Any]]) -> None:
    which, answers = drawn
    _, _, ask, method = _QUESTIONS[which]
    answer = ask(_Rest(list(answers)))
    raw = encode_body(method.answer_codec.plain(answer))
    assert method.answer_codec.read(orjson.loads(raw)) == answer
    assert b"\\u0000" not in raw, "PostgreSQL has no NUL in texts"


# --- placement


def _draw_placement(random: Random) -> tuple[Any, int, bool]:
    return (
        mutations.tree(random, random.choice(PLACED)),
        random.choice((200, 400, 401, 408, 429, 500)),
        random.random() < 0.5,
    )


_SENT = (orders.sent_orders(examples.request("a1")), orders.sent_orders(examples.bracket()))


def _read_placement(drawn: tuple[Any, int, bool]) -> None:
    body, status, is_bracket = drawn
    if not isinstance(body, dict):
        return
    for outcome in (
        orders.parse_placement(body, _SENT[is_bracket]),
        orders.parse_request_answer(body, "a1", "1000000001"),
        orders.unplaced(status, orders.refusal_text(body, status)),
    ):
        sent = encode_body(outcome_to_body(outcome))
        assert outcome_from_body(orjson.loads(sent)) == outcome
    stream_events.ended_by_status(status, body)


# --- symbols, headers


_SYMBOLS = ("ESH26", "@ES", "@ES=107XC", "JYM25", "ESH26.D", "CLZ99", "$SPX.X")
_DATES = ("Tue, 10 Feb 2026 15:31:08 GMT", "Tue, 10 Feb 2026 15:31:08 +0100", "1770737468", "2026-02-10T15:31:08Z")


def _draw_word(random: Random) -> tuple[str, str]:
    return mutations.text(random, random.choice(_SYMBOLS)), mutations.text(random, random.choice(_DATES))


class _NoTokens:
    def token(self, _seconds: float = TOKEN_SECONDS, /) -> str:
        raise Outage("none")

    def refused(self, token: str) -> None:
        raise Outage(token)


_REST = rest.RestClient("http://127.0.0.1:9", _NoTokens())


def _read_word(drawn: tuple[str, str]) -> None:
    symbol, written = drawn
    symbols.contract_code(symbol)
    _REST._date = (written, NOW)
    skew = _REST.clock_skew()
    assert skew is None or isinstance(encode_body({"skew": skew}), bytes)
    rest._retry_after(SimpleNamespace(headers={"Retry-After": written, "X-RateLimit-Reset": symbol}))  # type: ignore[arg-type]
    for read in (symbols.SYMBOLS.to_root_symbol, symbols.SYMBOLS.to_contract):
        with suppress(Refusal):
            read(symbol)


# --- OAuth

_REDIRECTED = "http://localhost:31022/?code=c0de&state=st"


class _Session:
    """Stands for the OAuth2 session: the answer is read by oauthlib, as it would be."""

    def __init__(self, status: int, text: str) -> None:
        self.response = SimpleNamespace(status_code=status, json=lambda: orjson.loads(text), text=text)
        self._client = WebApplicationClient("key")

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def fetch_token(self, *_: Any, **__: Any) -> Any:
        authorization._check_answer(self.response)  # type: ignore[arg-type]
        return self._client.parse_request_body_response(self.response.text, scope=None)

    refresh_token = fetch_token


class _Authorization(authorization.TradeStationAuthorization):
    def __init__(self, session: _Session) -> None:
        super().__init__("https://signin.example", ClientCredentials("key", "secret", "http://localhost:31022/"))
        self._answering = session

    def _session(self, scope: tuple[str, ...] | None = None) -> Any:
        return self._answering


def _draw_tokens(random: Random) -> tuple[int, str, str]:
    text = mutations.raw(random, orjson.dumps(mutations.tree(random, random.choice(TOKENS))), 1).decode(
        errors="replace"
    )
    status = random.choice((200, 200, 200, 400, 403, 429, 500))
    return status, text, _REDIRECTED if random.random() < 0.5 else mutations.text(random, _REDIRECTED)


def _read_tokens(drawn: tuple[int, str, str]) -> None:
    status, text, redirected = drawn
    told = _Authorization(_Session(status, text))
    for ask in (lambda: told.acquire(ConsentAnswer(redirected, "st")), lambda: told.renew("old")):
        try:
            tokens = ask()
        except (Halt, Outage):
            continue
        assert tokens.access_token, "an empty token is none"
        assert 0 < tokens.expires_in < 1e9, "a life that can be counted in ns"
        assert isinstance(NOW + int(tokens.expires_in * 1e9), int)


TARGETS = (
    Target("framing", _draw_bytes, _frame),
    Target("streams", _draw_stream, _read_stream),
    Target("answers", _draw_answer, _read_answer),
    Target("placement", _draw_placement, _read_placement),
    Target("words", _draw_word, _read_word),
    Target("oauth", _draw_tokens, _read_tokens),
)
