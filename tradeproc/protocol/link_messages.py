"""What a link can be asked: feeds, questions to the broker and order operations.

An account manager answers the questions and operations about its account too, by forwarding them to its link. It puts
in its own account, so the asker leaves that out.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta

from tradeproc.domain.answers import Answer
from tradeproc.domain.book import Balance, Position
from tradeproc.domain.broker_orders import (
    BracketRequest,
    BrokerAccount,
    ContractDetails,
    ListedOrder,
    ListedPosition,
    OrderRequest,
    Outcome,
)
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import Contract
from tradeproc.domain.session import LONGEST_BAR
from tradeproc.protocol.definitions import Method, NoBody, Topic
from tradeproc.protocol.feed_messages import CandleBody
from tradeproc.protocol.names import ProcessName
from tradeproc.protocol.variants import marked

MOST_IDS: Final = 20_000
MOST_CANDLES: Final = 100_000

Minutes = Annotated[int, Meta(ge=1, le=LONGEST_BAR)]
Text = Annotated[str, Meta(min_length=1)]

# --- feeds

FeedKind = Literal["bars", "orders", "positions"]


@dataclass(frozen=True, slots=True)
class Need:
    """A feed is needed by `who`: bars of a contract and interval in minutes, or orders or positions of an account."""

    feed: FeedKind
    who: Text
    contract: Contract | None = None
    minutes: Minutes | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class FeedGranted:
    """The feed's process runs; the need must be renewed after `again` seconds, or without it after the usual time."""

    process: ProcessName
    again: float | None = None


@dataclass(frozen=True, slots=True)
class FeedNeverServed:
    """The broker declares that it has no such feed: asking again cannot help."""

    reason: str


marked(FeedNeverServed, "reason", "never")


@dataclass(frozen=True, slots=True)
class Feeds:
    """The feeds that somebody needs, and who does."""

    feeds: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RunningFeeds:
    """The feeds that run."""

    feeds: tuple[str, ...]


NEED: Method[Need, FeedGranted | FeedNeverServed] = Method("need", Need, FeedGranted | FeedNeverServed, ("link",))
FEEDS: Method[NoBody, Feeds] = Method("feeds", NoBody, Feeds, ("link",))
LINK: Topic[RunningFeeds] = Topic("link", RunningFeeds, ("link",))

# --- questions and operations


@dataclass(frozen=True, slots=True, kw_only=True)
class OfAccount:
    """A question about an account; an account manager puts in its own."""

    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(OfAccount):
    """An order operation.

    Nobody reads `timeout`, because the time that is left travels in the header. It is sent because a link of the
    version before refuses an operation without it: a session that restarts onto new code before its link must be able
    to leave a position. It is the most that such a link takes, so that the header alone decides there too.
    """

    timeout: float = 120.0


@dataclass(frozen=True, slots=True)
class PlaceOrder(Operation):
    """Place an order or a bracket, once."""

    request: OrderRequest | BracketRequest


@dataclass(frozen=True, slots=True)
class ModifyOrder(Operation):
    """Replace quantity and prices of a working order."""

    broker_id: Text
    change: OrderRequest


@dataclass(frozen=True, slots=True)
class CancelOrder(Operation):
    """Cancel a working order."""

    broker_id: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountQuestion(OfAccount):
    """A question whose answer others who ask the same of an account may share.

    It may wait `within` seconds before the broker is asked, so that more can share it. The answer is never older than
    the question.
    """

    within: Annotated[float, Meta(ge=0, le=300)] = 0.0


@dataclass(frozen=True, slots=True)
class OrdersQuestion(AccountQuestion):
    """All orders that the broker lists; those of `ids` are asked for by id where the list lacks them.

    The answer may hold orders that others asked for by their ids at the same time.
    """

    ids: Annotated[tuple[Text, ...], Meta(max_length=MOST_IDS)] = ()


@dataclass(frozen=True, slots=True)
class PositionQuestion(AccountQuestion):
    """The position in one contract."""

    contract: Contract


@dataclass(frozen=True, slots=True)
class OfContract:
    """A question about a contract."""

    contract: Contract


@dataclass(frozen=True, slots=True)
class OfRoot:
    """A question about an instrument, by its root."""

    root: Text


@dataclass(frozen=True, slots=True)
class HistoryQuestion(OfContract):
    """The newest bars of a contract, oldest first; the last one may still be forming."""

    minutes: Minutes
    count: Annotated[int, Meta(ge=1, le=MOST_CANDLES)]


_ACCOUNTS: Final = ("account", "link")

Accounts = Answer[tuple[BrokerAccount, ...]]
Money = Answer[Balance]
OrderList = Answer[tuple[ListedOrder, ...]]
PositionList = Answer[tuple[ListedPosition, ...]]
OnePosition = Answer[Position]
Details = Answer[ContractDetails]
OneContract = Answer[Contract]
CandleList = Answer[tuple[CandleBody, ...]]

SUBMIT: Method[PlaceOrder, Outcome] = Method("submit", PlaceOrder, Outcome, _ACCOUNTS)
MODIFY: Method[ModifyOrder, Outcome] = Method("modify", ModifyOrder, Outcome, _ACCOUNTS)
CANCEL: Method[CancelOrder, Outcome] = Method("cancel", CancelOrder, Outcome, _ACCOUNTS)
ACCOUNTS: Method[OfAccount, Accounts] = Method("accounts", OfAccount, Accounts, _ACCOUNTS)
BALANCES: Method[AccountQuestion, Money] = Method("balances", AccountQuestion, Money, _ACCOUNTS)
ORDERS: Method[OrdersQuestion, OrderList] = Method("orders", OrdersQuestion, OrderList, _ACCOUNTS)
OPEN_ORDERS: Method[OfAccount, OrderList] = Method("open_orders", OfAccount, OrderList, _ACCOUNTS)
POSITION: Method[PositionQuestion, OnePosition] = Method("position", PositionQuestion, OnePosition, _ACCOUNTS)
POSITIONS: Method[AccountQuestion, PositionList] = Method("positions", AccountQuestion, PositionList, _ACCOUNTS)
CONTRACT_DETAILS: Method[OfContract, Details] = Method("contract_details", OfContract, Details, ("link",))
FRONT_MONTH: Method[OfRoot, OneContract] = Method("front_month", OfRoot, OneContract, ("link",))
HISTORY: Method[HistoryQuestion, CandleList] = Method("history", HistoryQuestion, CandleList, ("link",))

OF_ACCOUNTS: Final = (SUBMIT, MODIFY, CANCEL, ACCOUNTS, BALANCES, ORDERS, OPEN_ORDERS, POSITION, POSITIONS)
"""What only a broker with accounts can answer."""

OF_DATA: Final = (FRONT_MONTH, HISTORY)
"""What only a broker with market data can answer; a broker without may still know the terms of contracts."""
