"""Orders, accounts and contracts as a broker tells them, what is asked of it, and the three outcomes of asking.

Normalised by the broker's adapter: Decimal points on the exchange's own scale, canonical contract codes, our own
states. `brokers/contract.py` says who makes and who takes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tradeproc.domain.book import Position
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side, TimeInForce
from tradeproc.domain.units import Filled, Money, Nanos, Price, Quantity


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
    """What the broker says a contract is; compared with our table before a session trades."""

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
    """An order as it goes to a broker: Decimal prices, canonical contract, our id."""

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
    """An entry with its protecting orders, to be sent as the broker's native structure, in one call."""

    entry: OrderRequest
    stop_loss: OrderRequest
    profit_target: OrderRequest | None = None


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker tells it, normalised.

    `state` is never PRE_SENT; PENDING means the broker has it but it does not work yet (queued, the waiting leg of
    a bracket). `raw_status` is the broker's own word. `filled` is cumulative, `average` the average price of the
    filled part. `client_id` only where the broker echoes one. `parent` is the broker id of the entry of a bracket.
    `has_cancel_pending` while a cancel is under way. `average` is None with `filled` above 0 when the broker did not
    tell the price of the fill, which is asked for; price 0 is a price. `opened_at` is None when the broker told no
    time that can be. `doubt` says for people which fields were there and made no sense.
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
    """An order or position that the broker tells and that cannot be read: whatever it is, it is not absent.

    `broker_id` (of an order) and `contract` are empty where not even they could be read; `reason` is for people.
    """

    broker_id: str
    account: str
    contract: str
    reason: str


ListedOrder = BrokerOrder | UnreadableRecord
ListedPosition = Position | UnreadableRecord


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker took it. `broker_ids` maps our order ids to the broker's, as far as the answer told them."""

    broker_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker said no in so many words; nothing was placed or changed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nobody knows whether it was done: ask before doing anything about it. `was_sent` False: surely not done."""

    reason: str
    was_sent: bool = True


Outcome = Accepted | Refused | Unanswered
