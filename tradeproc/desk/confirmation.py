"""The end of a kill switch: what the broker itself tells of each session, asked after everything was done.

Nobody else's word counts as flat: not a trader's, not a row's. What could not be asked is told with what was known
last, so that a person knows what to look for at the broker.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

from tradeproc.desk.installation import Desk
from tradeproc.desk.known_sessions import KnownSession, root_of
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import BrokerOrder, ListedOrder, ListedPosition, UnreadableRecord
from tradeproc.domain.units import iso
from tradeproc.errors import Outage, Refusal
from tradeproc.protocol import link_messages, names
from tradeproc.protocol.link_messages import AccountQuestion, OrdersQuestion
from tradeproc.store.database import DatabaseDown
from tradeproc.store.store import Store

_SECONDS = 6.0
_AT_ONCE = 8
_CLAIMED = 5_000


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the broker told of a session: positions by contract, working orders of ours and of others, by its ids.

    `why` says what stands against flat, empty when nothing does; `is_known` is False when the broker did not tell.
    """

    session: int
    account: str
    contract: str
    positions: Mapping[str, int]
    working: tuple[str, ...]
    foreign: tuple[str, ...]
    is_known: bool
    why: str = ""

    @property
    def is_flat(self) -> bool:
        """Tell whether the broker told that nothing is open and nothing works, and nothing stands against it."""
        return self.is_known and not (self.positions or self.working or self.foreign or self.why)

    def to_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        return {**asdict(self), "positions": dict(self.positions), "is_flat": self.is_flat}

    @property
    def left_in_words(self) -> list[str]:
        """Return for a person each position, and all working orders of ours together."""
        held = [
            f"{quantity:+d} {contract}{self._elsewhere(contract)}" for contract, quantity in self.positions.items()
        ]
        return [*held, f"working orders {', '.join(self.working)}"] if self.working else held

    def _elsewhere(self, contract: str) -> str:
        """Say of another contract of the product that it may be left: a trader that lives closes only its own."""
        return "" if contract == self.contract else f", which session {self.session} does not trade now"

    @property
    def in_words(self) -> str:
        """Return one line for a person."""
        where = f"{self.contract} in account {self.account}"
        if self.is_flat:
            return f"session {self.session}: flat, confirmed by the broker: {where}"
        foreign = [f"orders {', '.join(self.foreign)} that are not ours (--foreign cancels them)"]
        parts = [*self.left_in_words, *(foreign if self.foreign else []), *([self.why] if self.why else [])]
        said = "; ".join(parts) or "nothing is known of it"
        if not self.is_known:
            return f"session {self.session}: not known to be flat: {where}: {said}; look at the broker"
        return f"session {self.session}: NOT flat: {where}: {said}"


@dataclass(frozen=True, slots=True)
class _Books:
    """What a broker told of an account, or why it did not."""

    orders: Answer[tuple[ListedOrder, ...]]
    positions: Answer[tuple[ListedPosition, ...]]


def confirm(
    desk: Desk, sessions: Sequence[KnownSession], store: Store | None, whys: Mapping[int, str]
) -> list[Confirmed]:
    """Ask the broker for orders and positions of every account, once, and tell what it says of each session.

    `whys` are what those who got the sessions flat say against it.
    """
    places = sorted({(each.login, each.account) for each in sessions})
    with ThreadPoolExecutor(_AT_ONCE) as lanes:
        books = dict(zip(places, lanes.map(lambda place: _ask(desk, *place), places), strict=True))
    ours = {each.id: _claimed(store, each.id) for each in sessions}
    found = []
    for each in sessions:
        told = books[each.login, each.account]
        confirmed = _confirmed(each, told, ours[each.id], whys.get(each.id, ""))
        found.append(confirmed if confirmed.is_known else _last_known(confirmed, store))
    return found


def _ask(desk: Desk, login: str, account: str) -> _Books:
    link = names.link(login)
    orders: Answer[tuple[ListedOrder, ...]]
    positions: Answer[tuple[ListedPosition, ...]]
    if not desk.is_alive(link):
        away = Unknown(f"{link} does not run")
        return _Books(away, away)
    try:
        orders = desk.client.call(link, link_messages.ORDERS, OrdersQuestion(account=account), _SECONDS)
        positions = desk.client.call(link, link_messages.POSITIONS, AccountQuestion(account=account), _SECONDS)
    except (Outage, Refusal) as error:
        return _Books(Unknown(str(error)), Unknown(str(error)))
    return _Books(orders, positions)


def _claimed(store: Store | None, session: int) -> Collection[str] | None:
    """Return the broker's ids of a session's orders, None when no database tells them."""
    if store is None:
        return None
    try:
        return store.claimed(session, limit=_CLAIMED).keys()
    except (DatabaseDown, Refusal):
        return None


def _confirmed(known: KnownSession, told: _Books, ours: Collection[str] | None, why: str) -> Confirmed:
    working, unread = _working(known, told.orders)
    held, missing = _held(known, told.positions)
    mine = [each for each in working if ours is None or each.broker_id in ours or (each.parent or "") in ours]
    missing = [*unread, *missing]
    return Confirmed(
        known.id,
        known.account,
        known.contract,
        held,
        tuple(each.broker_id for each in mine),
        tuple(each.broker_id for each in working if each not in mine),
        not missing,
        "; ".join(dict.fromkeys(filter(None, (why, *missing)))),
    )


def _working(known: KnownSession, told: Answer[tuple[ListedOrder, ...]]) -> tuple[list[BrokerOrder], list[str]]:
    """Return what works in the account and product of a session, and what of the answer is not known."""
    match told:
        case Unknown(reason):
            return [], [reason]
        case Known(orders):
            listed = orders
    unread = [
        f"order {each.broker_id} cannot be read: {each.reason}"
        for each in listed
        if not isinstance(each, BrokerOrder) and not each.is_unlisted and _may_be_of(known, each.contract)
    ]
    open_orders = [each for each in listed if isinstance(each, BrokerOrder) and not each.state.is_terminal]
    return [
        each for each in open_orders if each.account == known.account and _may_be_of(known, each.contract)
    ], unread


def _held(known: KnownSession, told: Answer[tuple[ListedPosition, ...]]) -> tuple[dict[str, int], list[str]]:
    """Return the positions of an account in a session's product, and what of the answer is not known."""
    match told:
        case Unknown(reason):
            return {}, [reason]
        case Known(positions):
            here = [each for each in positions if _may_be_of(known, each.contract)]
    held = {each.contract: int(each.quantity) for each in here if isinstance(each, Position) and each.quantity}
    unread = [
        f"a position in {each.contract or 'an unknown contract'} cannot be read: {each.reason}"
        for each in here
        if isinstance(each, UnreadableRecord)
    ]
    return held, unread


def _may_be_of(known: KnownSession, contract: str) -> bool:
    return not contract or root_of(contract) == root_of(known.contract)


def _last_known(confirmed: Confirmed, store: Store | None) -> Confirmed:
    """Add what the database knew last to what the broker did not tell."""
    if store is None:
        return confirmed
    try:
        rows = [each for each in store.positions(confirmed.session) if each.position.quantity]
        orders = store.open_orders(confirmed.session)
    except (DatabaseDown, Refusal):
        return confirmed
    said = [f"{row.position.quantity:+d} {row.position.contract} since {iso(row.at)}" for row in rows]
    said += [f"order {each.broker_id or each.id} {each.state.value}" for each in orders]
    last = f"the database knew last: {', '.join(said) or 'nothing open'}"
    return replace(confirmed, is_known=False, why="; ".join(filter(None, (confirmed.why, last))))
