"""The broker contract: everything that a broker must offer, and all that the core uses of one.

A broker is one folder under `tradeproc/brokers/` or an installed package, found through the entry point group
`tradeproc.brokers`; the entry point names an object that satisfies `Broker`. It touches nothing else. The
suite `tradeproc/testing/contract.py` runs any broker through these promises.

Where the parts run:

    `Broker.account_manager(...)`   inside the `link` process; called from several threads at once
    `Broker.data_source(...)`       inside the `link` process; called from several threads at once
    `Broker.*_stream(...)`          each inside a feed process of its own; one thread iterates
    `Broker.authorization(...)`     inside the `tokens` process; not for credential kind `NONE`
    `Broker.adapter`                anywhere; pure

Every question to a broker has three answers: a value, confirmed empty, unknown (`Answer`). Every order
operation has three too: accepted, refused, unanswered (`Outcome`). No method raises for what a broker or a
network does; they raise only `Halt` for what a person must mend (a revoked login).

Prices here are Decimal points on the exchange's own scale (an adapter undoes the broker's scaling), symbols
are canonical contract codes (`ESH24`), quantities are positive with a side, except positions which are signed.
Times are UTC ns; `BrokerOrder.opened_at` is by the broker's clock and may have only whole seconds. A record that
cannot be read is an `UnreadableRecord` in its list: the rest of the list stays valid, and the record never counts as
absent. A list that may be cut is unknown: one whose pages did not all come, whose answer ends in its middle, or that
is as long as the longest that the broker gives. An order asked for by its id is not absent because a list lacks it.
`testing/list_contract.py` asserts all but the longest, which only the broker's own tests can know.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from tradeproc.brokers.credentials import Authorization as Authorization
from tradeproc.brokers.credentials import ClientCredentials as ClientCredentials
from tradeproc.brokers.credentials import ConsentAnswer as ConsentAnswer
from tradeproc.brokers.credentials import ConsentAuthorization as ConsentAuthorization
from tradeproc.brokers.credentials import CredentialKind as CredentialKind
from tradeproc.brokers.credentials import Environment as Environment
from tradeproc.brokers.credentials import Login as Login
from tradeproc.brokers.credentials import Proof as Proof
from tradeproc.brokers.credentials import SignInDelayed as SignInDelayed
from tradeproc.brokers.credentials import Tokens as Tokens
from tradeproc.brokers.credentials import UserPassword as UserPassword
from tradeproc.domain.answers import Answer
from tradeproc.domain.book import Balance, Position
from tradeproc.domain.broker_orders import Accepted as Accepted
from tradeproc.domain.broker_orders import BracketRequest as BracketRequest
from tradeproc.domain.broker_orders import BrokerAccount as BrokerAccount
from tradeproc.domain.broker_orders import BrokerOrder as BrokerOrder
from tradeproc.domain.broker_orders import ContractDetails as ContractDetails
from tradeproc.domain.broker_orders import ListedOrder as ListedOrder
from tradeproc.domain.broker_orders import ListedPosition as ListedPosition
from tradeproc.domain.broker_orders import OrderRequest as OrderRequest
from tradeproc.domain.broker_orders import Outcome as Outcome
from tradeproc.domain.broker_orders import Refused as Refused
from tradeproc.domain.broker_orders import Unanswered as Unanswered
from tradeproc.domain.broker_orders import UnreadableRecord as UnreadableRecord
from tradeproc.domain.candles import Candle
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import Contract
from tradeproc.domain.units import Nanos

TOKEN_SECONDS: Final = 8.0
"""How long an access token is waited for by those who have no deadline of their own."""


class TokenSource(Protocol):
    """Gives a fresh access token; in production it asks the `tokens` process."""

    def token(self, seconds: float = TOKEN_SECONDS, /) -> str:
        """Return an access token that is valid for some seconds more; blocks at most `seconds`.

        Who has a deadline of its own passes the time that is left until it, as an order operation does.

        Raises:
            Outage: none can be had in that time.
        """

    def refused(self, token: str) -> None:
        """Report that the broker answered 401 to this token, so that the next `token()` returns another."""


@runtime_checkable
class HasReadyToken(Protocol):
    """A source of tokens that tells without waiting whether it has one."""

    def ready_token(self) -> str:
        """Return an access token that is valid for some seconds more; empty when one must be fetched first."""


class SymbolAdapter(Protocol):
    """Translates canonical codes to the broker's and back; pure, and defined for every root that it supports."""

    def to_broker_symbol(self, contract: Contract) -> str:
        """Return the broker's symbol of one contract."""

    def to_contract(self, broker_symbol: str) -> Contract:
        """Return the canonical contract; case of the broker's text does not matter.

        Raises:
            Refusal: the text names no futures contract.
        """

    def to_continuous_symbol(self, root: str) -> str:
        """Return the broker's symbol of the continuous contract; call only if supported."""

    def to_root_symbol(self, broker_symbol: str) -> str:
        """Return the canonical root of a broker's contract or continuous symbol."""

    def supports_continuous_contract(self, root: str) -> bool:
        """Tell whether the broker serves data for a continuous contract of this root."""

    def supports_symbol(self, root: str) -> bool:
        """Tell whether the broker trades (or serves data for) this root at all."""


# --- what streams tell --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StreamedBar:
    """A bar, closed or forming; `is_history` for those re-sent on connect."""

    candle: Candle
    is_history: bool


@dataclass(frozen=True, slots=True)
class StreamedOrder:
    """The complete present state of an order."""

    order: BrokerOrder


@dataclass(frozen=True, slots=True)
class StreamedPosition:
    """The complete present state of a position; quantity 0 when it was closed."""

    position: Position


@dataclass(frozen=True, slots=True)
class StreamedUnreadable:
    """An order (of an order stream) or position that cannot be read; the stream goes on."""

    record: UnreadableRecord


@dataclass(frozen=True, slots=True)
class SnapshotEnded:
    """The state at the time of the connection is complete; what follows are changes."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The stream is alive though nothing happens."""

    at: Nanos


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The stream is over: reconnect, at once if `is_polite` (server rotation), else with back-off.

    `is_fatal` when reconnecting cannot help (unknown symbol, no entitlement, another login took over).
    """

    reason: str
    is_polite: bool = False
    is_fatal: bool = False


StreamEvent = StreamedBar | StreamedOrder | StreamedPosition | StreamedUnreadable | SnapshotEnded | Beat | StreamEnded


class Stream(Protocol):
    """One connection of one stream; iterate once, to the end, in one thread."""

    def __iter__(self) -> Iterator[StreamEvent]:
        """Connect and yield until a `StreamEnded`, which is always the last event.

        Never raises for what the far side does: a refused connection, bytes that are no JSON, a cut and silence
        beyond the read deadline (less than 15 s) all end with `StreamEnded`.
        """

    def close(self) -> None:
        """End the iteration from another thread, soon."""


@runtime_checkable
class KnowsContracts(Protocol):
    """The terms of contracts, which are compared with our table before a session trades.

    Every data source has them. The account manager of a broker without data may have this method too; where both have
    it, the terms of the broker that takes the orders are used.
    """

    def contract_details(self, contract: Contract) -> Answer[ContractDetails]:
        """Return the terms of the contract at the broker."""


class DataSource(KnowsContracts, Protocol):
    """Market data on request."""

    def front_month(self, root: str) -> Answer[Contract]:
        """Return the contract that the broker's continuous symbol stands for now."""

    def history(self, contract: Contract, minutes: int, count: int) -> Answer[Sequence[Candle]]:
        """Return the newest `count` bars of `minutes` minutes, oldest first; the last one may be partial."""

    def shutdown(self) -> None:
        """Close connections; idempotent."""


class QuestionKind(StrEnum):
    """The questions about an account that are asked again and again."""

    ORDERS = "orders"
    POSITIONS = "positions"
    BALANCES = "balances"


@dataclass(frozen=True, slots=True)
class Quota:
    """How many requests of a kind the broker answers in any period of so many seconds."""

    questions: int
    seconds: float


@runtime_checkable
class KnowsQuotas(Protocol):
    """What a broker allows and what was used of it, from which a link knows how often it may ask.

    An account manager may have these methods. Without them a usual quota is kept, and each question counts as one
    request.
    """

    def quota(self, kind: QuestionKind) -> Quota:
        """Return the quota of a kind; a constant."""

    def requests_made(self, kind: QuestionKind) -> int:
        """Return how many requests of a kind were made since the account manager was made."""


@runtime_checkable
class ListsOrdersTogether(Protocol):
    """An account manager that asks for the orders of several accounts in one request; one may have this method.

    The link then asks so for up to `most_accounts`, a constant.
    """

    most_accounts: int

    def orders_together(self, ids: Mapping[str, Sequence[str]]) -> Answer[Mapping[str, Sequence[ListedOrder]]]:
        """Return of each account what `AccountManager.orders` returns with its ids.

        An account without a record in the list is left out: it may have no orders, or not have been listed. Unknown
        if the list is, or if a record belongs to none of these accounts.
        """


@runtime_checkable
class BeginsSubmit(Protocol):
    """An account manager that can write an order without waiting; one may have this method beside `submit`.

    It saves the hand-over to a thread before the order's first byte. The link then calls it on its own loop.
    """

    def begin_submit(
        self, account: str, request: OrderRequest | BracketRequest, timeout: float
    ) -> Callable[[], Outcome] | None:
        """Write an order as far as it goes without waiting for anything: no lock, no name, no connection.

        Returns:
            What writes the rest and waits for the outcome until `timeout` seconds from now; it is called once, in a
            thread. None when certainly nothing was sent; then `submit` is called.
        """


class AccountManager(Protocol):
    """Orders and accounts of one login; thread-safe; keeps no state that a restart would lose."""

    def accounts(self) -> Answer[Sequence[BrokerAccount]]:
        """Return the accounts of the login in its environment."""

    def balances(self, account: str) -> Answer[Balance]:
        """Return the account's money."""

    def submit(self, account: str, request: OrderRequest | BracketRequest, timeout: float) -> Outcome:
        """Send an order or bracket, and wait up to `timeout` seconds for the answer.

        It is sent once. It may be sent again only if the broker certainly did nothing, as after a refused token.
        `Accepted` may lack broker ids that the answer does not name.
        """

    def modify(self, account: str, broker_id: str, change: OrderRequest, timeout: float) -> Outcome:
        """Replace quantity and prices of a working order by those of `change`; the broker id stays. See `submit`."""

    def cancel(self, account: str, broker_id: str, timeout: float) -> Outcome:
        """Request a cancel; `Accepted` means requested, and an order update tells the result. See `submit`."""

    def orders(self, account: str, ids: Sequence[str] = ()) -> Answer[Sequence[ListedOrder]]:
        """Return today's orders and all that are still open, terminal ones included.

        The list is complete, else the answer is unknown. Orders of `ids` that the broker's list lacks are asked for
        by id, so that an id that is not in the answer is confirmed not to exist.
        """

    def open_orders(self, account: str) -> Answer[Sequence[ListedOrder]]:
        """Return the orders that can still fill, and the records that cannot be read, which may be such orders."""

    def current_position(self, account: str, contract: Contract) -> Answer[Position]:
        """Return the position; quantity 0 only when the broker confirmed that there is none."""

    def positions(self, account: str) -> Answer[Sequence[ListedPosition]]:
        """Return all open futures positions of the account, one for each contract.

        The list is complete, else the answer is unknown: a contract that is not in it is confirmed to be flat.
        """

    def clock_skew(self) -> float | None:
        """Return the broker's clock minus ours in seconds, from the newest answer's Date header; None before one."""

    def shutdown(self) -> None:
        """Close connections; idempotent."""


class Broker(Protocol):
    """What a broker declares. All attributes are constants; all methods are cheap and open nothing.

    A broker without `is_data_source` needs no `data_source` and no `bar_stream`. One without `has_account_management`
    needs no `account_manager`, `order_stream` and `position_stream`. These are then never called, and a session that
    needs them is refused.
    """

    name: str
    key: str
    is_data_source: bool
    has_account_management: bool
    credential_kind: CredentialKind
    echoes_client_id: bool
    adapter: SymbolAdapter

    def host(self, login: Login) -> str:
        """Return the base URL for a login: its own, else the real host of its environment."""

    def authorization(self, login: Login, client: ClientCredentials) -> Authorization:
        """Return the sign-in side, one with `url` for kind `OAUTH2_CODE`; not called for kind `NONE`."""

    def account_manager(self, login: Login, tokens: TokenSource) -> AccountManager:
        """Return the account manager; only if `has_account_management`."""

    def data_source(self, login: Login, tokens: TokenSource) -> DataSource:
        """Return the data source; only if `is_data_source`."""

    def bar_stream(self, login: Login, tokens: TokenSource, contract: Contract, minutes: int, count: int) -> Stream:
        """Return a stream of bars of `minutes` minutes that begins with the newest `count` bars."""

    def order_stream(self, login: Login, tokens: TokenSource, account: str) -> Stream:
        """Return a stream of the account's orders: a snapshot, `SnapshotEnded`, then each change in full."""

    def position_stream(self, login: Login, tokens: TokenSource, account: str) -> Stream:
        """Return a stream of the account's positions: a snapshot, `SnapshotEnded`, then each change in full."""


def lacks(broker: Broker, feed: str) -> str:
    """Return in one line why a broker cannot serve a feed (`bars`, `orders`, `positions`); empty when it can."""
    if feed == "bars":
        return "" if broker.is_data_source else f"{broker.name} serves no market data"
    return "" if broker.has_account_management else f"{broker.name} manages no accounts"


def trading_lacks(broker: Broker, data_broker: Broker | None = None) -> str:
    """Return in one line what a session would lack; empty when nothing.

    Args:
        broker: the broker of the login that takes its orders.
        data_broker: the broker of the login that serves its bars; None means the same broker.
    """
    return "; ".join(filter(None, (lacks(data_broker or broker, "bars"), lacks(broker, "orders"))))
