"""What an author has to provide for a broker, so that the contract suite can test it."""

from enum import StrEnum
from typing import Protocol

from tradeproc.brokers.contract import Broker, ClientCredentials, Login, TokenSource, UserPassword
from tradeproc.domain.instruments import Contract
from tradeproc.domain.units import Price


class InducedTrouble(StrEnum):
    """What can be made to go wrong at the broker's server, each for the next operation or stream that it can hit.

    The comments say what the contract requires then.
    """

    ANSWER_LOST = "an order operation is done but its answer never comes"  # Unanswered, was_sent
    ANSWER_SPOILED = "an order operation is done but the answer is no answer"  # Unanswered, was_sent
    TOKEN_REFUSED = "a token is not taken although it is good"  # noqa: S105 - told to the source, another one used
    BUSY = "too many questions"  # Unknown
    DOWN = "a server error before anything is done"  # Unknown, Unanswered
    ANSWER_TORN = "the answer to a question ends in its middle"  # Unknown
    PAGE_LOST = "a list comes in parts, and the second never comes"  # Unknown; one without parts is torn instead
    LIST_CUT = "a list of orders lacks some, and nothing says so"  # those asked for by their ids are there
    RECORD_SPOILED = "the quantities in an answer to a question make no sense"  # UnreadableRecord or Unknown
    STREAM_GO_AWAY = "a stream is told that the server goes away"  # StreamEnded, polite
    STREAM_CUT = "a stream's connection is reset"  # StreamEnded
    STREAM_SPLIT = "a stream's messages come in pieces"  # nothing at all


class CountedTokens(TokenSource, Protocol):
    """A token source that remembers which tokens were refused."""

    refusals: list[str]


class BrokerUnderTest(Protocol):
    """A broker, a login to a server of its own, and methods that control that server.

    `account` is fresh for each test: no orders, no position. The market of `contract` is open, has a last price,
    and need not move.
    """

    broker: Broker
    login: Login
    client: ClientCredentials
    refresh_token: str
    password: UserPassword | None
    tokens: CountedTokens
    account: str
    contract: Contract

    def last_price(self) -> Price:
        """Return the last traded price; a market order fills near it at once."""

    def make(self, trouble: InducedTrouble) -> None:
        """Set a trouble for the next operation, question or stream that it can hit."""

    def orders_taken(self) -> int:
        """Return how many orders of the account the server itself has recorded."""


def unreachable(login: Login) -> Login:
    """Return the same login at an address where nobody listens."""
    nobody = "http://127.0.0.1:1"
    return Login(login.name, login.broker, login.environment, nobody, nobody)
