"""Orders, accounts and contracts as a broker reports them, requests to it, and the three outcomes of a request.

The broker's adapter has normalised them: prices are Decimal points on the exchange's own scale, contracts are
canonical codes, states are ours. `brokers/contract.py` says where they are used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field

from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side, TimeInForce
from tradeproc.domain.units import Contracts, Filled, Money, Nanos, Price, Quantity


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """An account a login may use; `is_tradable` is False for closed, restricted or data-only accounts."""

    id: str
    kind: str
    currency: str
    is_tradable: bool
    status: str = ""


@dataclass(frozen=True, slots=True)
class ContractDetails:
    """The terms of a contract at the broker; they are compared with our table before a session trades."""

    contract: Contract
    broker_symbol: str
    tick_size: Price
    point_value: Money
    currency: str
    exchange: str
    description: str
    expires_on: str | None


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as it is sent to a broker: with Decimal prices, the canonical contract and our id."""

    id: str
    contract: Contract
    side: Side
    quantity: Quantity
    type: OrderType
    role: OrderRole
    limit: Price | None = None
    stop: Price | None = None
    time_in_force: TimeInForce = TimeInForce.DAY


@dataclass(frozen=True, slots=True)
class BracketRequest:
    """An entry with its protecting orders, which are sent in one call, as the broker's own bracket."""

    entry: OrderRequest
    stop_loss: OrderRequest
    profit_target: OrderRequest | None = None


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker reports it, normalised.

    `state` is never PRE_SENT; PENDING means that the broker has it but it does not work yet (it is queued, or a leg
    that waits for its entry). `raw_status` is the broker's own code. `filled` is cumulative, `average` the average
    price of the filled part; it is None with `filled` above 0 when the broker did not report the price, which is then
    asked for; 0 is a price. `client_id` is None where the broker echoes none. `parent` is the broker id of a
    bracket's entry. `has_cancel_pending` is True while a cancel is requested and not done. `opened_at` is None when
    the broker reported no plausible time. `doubt` names, for people, the fields that had a value and made no sense.
    """

    broker_id: str
    account: str
    contract: str
    side: Side
    type: OrderType
    quantity: Filled
    filled: Filled
    state: OrderState
    raw_status: str
    opened_at: Nanos | None
    limit: Price | None = None
    stop: Price | None = None
    average: Price | None = None
    closed_at: Nanos | None = None
    client_id: str | None = None
    parent: str | None = None
    has_cancel_pending: bool = False
    reason: str = ""
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """An order or position that the broker reported and that cannot be read; it must not be taken for absent.

    `broker_id` (of an order) and `contract` are empty if they could not be read either; `reason` is for people.
    `is_unlisted` if the broker's list lacks the order, which was asked for by its id without success.
    """

    broker_id: str
    account: str
    contract: str
    reason: str
    is_unlisted: bool = False


ListedOrder = BrokerOrder | UnreadableRecord
ListedPosition = Position | UnreadableRecord


def position_among(listed: Sequence[ListedPosition], account: str, contract: Contract) -> Answer[Position]:
    """Return the position in a contract from a complete list of an account: flat if the list does not hold it.

    A record that cannot be read and may be of the contract makes it unknown.
    """
    unread = [each for each in listed if isinstance(each, UnreadableRecord) and each.contract in ("", contract.code)]
    if unread:
        return Unknown("; ".join(each.reason for each in unread))
    held = [each for each in listed if isinstance(each, Position) and each.contract == contract.code]
    return Known(held[0] if held else Position(account, contract.code, Contracts(0), None))


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker accepted it. `broker_ids` maps our order ids to the broker's, as far as the answer names them."""

    broker_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker refused explicitly; nothing was placed or changed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """It is unknown whether it was done: ask before acting. With `was_sent` False it was certainly not done."""

    reason: str
    was_sent: bool = True


Outcome = Accepted | Refused | Unanswered
