"""The faults that the local broker produces on demand: which, where, how often and for how long. Pure.

A fault is set, hits the requests or streams that it matches, and is used up after `count` hits. Past faults stay
visible, each with what it hit. One fault hits a stream only once, so a count of 3 hits three streams.

    name                  where by default     what happens
    farewell              streams              the stream says that the server ends it, and ends
    taken_over            streams              the stream says that another session took its place, and ends
    cut                   streams              TCP reset; a request that is targeted is done first, unless `undone`
    stall                 streams              silence, no heartbeats, connection open, for `seconds` or until cleared
    split                 streams              every object comes in several chunks, cut at arbitrary bytes
    401 429 5xx           requests, openings   refused before anything is done; `status` picks 500, 502, 503 or 504
    accept_then_time_out  order entry          done, but the answer comes after `seconds`, or never
    drop_order_frames     order streams        order frames get lost, heartbeats go on, for `seconds` or until cleared
    repeat_frames         order streams        every order frame comes twice
    absurd_times          orders, positions    every time is in the year 9999; on streams for `seconds` or for ever
    bad_records           orders, positions    quantities are a word; on streams for `seconds` or for ever
    cut_list              orders, positions    the list holds its first half only, and nothing says so
    lose_page             orders               the list comes in pages of one order, and the second is refused (503)
    slow                  requests             the answer comes `seconds` late
    html empty truncated  requests             done, but a proxy spoils the answer: a page, nothing, half of it
    inert_stop            stops                it works and does nothing when the market reaches it, for `seconds` or
                                               until cleared; with the target `limits`, limit orders
    cancel_stop           stops, limits        the broker cancels a working order by itself
    reject_stop           stops, limits        the broker rejects a working order
    cut_stop              stops, limits        the broker takes a contract off a working order of two or more
    lose_legs             order entry          an entry is taken without the legs that were sent with it

Orders and positions are the streams of these and the questions about them. Requests for tokens are hit only by name.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tradeproc.domain.records import nearest
from tradeproc.errors import Refusal
from tradeproc.localbroker.wire_forms import RecordFields


class FaultName(StrEnum):
    """The faults that can be set."""

    FAREWELL = "farewell"
    TAKEN_OVER = "taken_over"
    CUT = "cut"
    STALL = "stall"
    SPLIT = "split"
    UNAUTHORIZED = "401"
    TOO_MANY = "429"
    SERVER_ERROR = "5xx"
    ACCEPT_THEN_TIME_OUT = "accept_then_time_out"
    DROP_ORDER_FRAMES = "drop_order_frames"
    REPEAT_FRAMES = "repeat_frames"
    ABSURD_TIMES = "absurd_times"
    BAD_RECORDS = "bad_records"
    CUT_LIST = "cut_list"
    LOSE_PAGE = "lose_page"
    SLOW = "slow"
    HTML = "html"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    INERT_STOP = "inert_stop"
    CANCEL_STOP = "cancel_stop"
    REJECT_STOP = "reject_stop"
    CUT_STOP = "cut_stop"
    LOSE_LEGS = "lose_legs"


ORDER_ENTRY = frozenset({"place", "place_group", "replace", "cancel"})
STREAMS = frozenset({"bars_stream", "quotes_stream", "orders_stream", "positions_stream"})
REQUESTS = ORDER_ENTRY | {
    *("token", "accounts", "balances", "day_balances", "positions", "orders", "order", "past_orders"),
    *("preview", "routes", "contracts", "bars", "quotes"),
}
RESTING = frozenset({"stops", "limits"})
"""Orders in the market, as faults can hit them without a request."""
_GROUPS: Mapping[str, frozenset[str]] = {"stream": STREAMS, "requests": REQUESTS, "order_entry": ORDER_ENTRY}
# what faults and targets were called when they had the words of one broker
_RENAMED_FAULTS = {"go_away": FaultName.FAREWELL, "dual_logon": FaultName.TAKEN_OVER}
_RENAMED = {
    **{f"stream.{old}": new for old, new in (("orders", "orders_stream"), ("positions", "positions_stream"))},
    **{"stream.barcharts": "bars_stream", "stream.quotes": "quotes_stream", "rest": "requests"},
    **{"ordergroups": "place_group", "bodbalances": "day_balances", "historicalorders": "past_orders"},
    **{"orderconfirm": "preview", "symbols": "contracts", "barcharts": "bars"},
}
_BROKERAGE_STREAMS = frozenset({"orders_stream"})
_RECORDS = frozenset({"orders_stream", "positions_stream", "orders", "order", "positions"})
_LISTS = frozenset({"orders", "positions"})
_API = (REQUESTS | STREAMS) - {"token"}

# where a fault can hit at all; the first set is what an empty target means
_REACH: Mapping[FaultName, tuple[frozenset[str], frozenset[str]]] = {
    FaultName.FAREWELL: (STREAMS, STREAMS),
    FaultName.TAKEN_OVER: (STREAMS, STREAMS),
    FaultName.CUT: (STREAMS, REQUESTS | STREAMS),
    FaultName.STALL: (STREAMS, STREAMS),
    FaultName.SPLIT: (STREAMS, STREAMS),
    FaultName.UNAUTHORIZED: (_API, REQUESTS | STREAMS),
    FaultName.TOO_MANY: (_API, REQUESTS | STREAMS),
    FaultName.SERVER_ERROR: (_API, REQUESTS | STREAMS),
    FaultName.ACCEPT_THEN_TIME_OUT: (ORDER_ENTRY, REQUESTS),
    FaultName.DROP_ORDER_FRAMES: (_BROKERAGE_STREAMS, _BROKERAGE_STREAMS),
    FaultName.REPEAT_FRAMES: (_BROKERAGE_STREAMS, _BROKERAGE_STREAMS),
    FaultName.ABSURD_TIMES: (_RECORDS, _RECORDS | {"bars_stream", "bars", "past_orders"}),
    FaultName.BAD_RECORDS: (_RECORDS, _RECORDS),
    FaultName.CUT_LIST: (_LISTS, _LISTS | {"past_orders"}),
    FaultName.LOSE_PAGE: (frozenset({"orders"}), frozenset({"orders", "past_orders"})),
    FaultName.SLOW: (REQUESTS - {"token"}, REQUESTS),
    FaultName.HTML: (REQUESTS - {"token"}, REQUESTS),
    FaultName.EMPTY: (REQUESTS - {"token"}, REQUESTS),
    FaultName.TRUNCATED: (REQUESTS - {"token"}, REQUESTS),
    FaultName.INERT_STOP: (frozenset({"stops"}), RESTING),
    FaultName.CANCEL_STOP: (frozenset({"stops"}), RESTING),
    FaultName.REJECT_STOP: (frozenset({"stops"}), RESTING),
    FaultName.CUT_STOP: (frozenset({"stops"}), RESTING),
    FaultName.LOSE_LEGS: (frozenset({"place", "place_group"}), frozenset({"place", "place_group"})),
}
_SPOILT: Mapping[FaultName, str] = {FaultName.ABSURD_TIMES: "9999-12-31T23:59:59Z", FaultName.BAD_RECORDS: "several"}
GARBLING = frozenset(_SPOILT)
_STATUSES = (500, 502, 503, 504)
_KEPT_HITS = 20


class BadFault(Refusal):
    """A fault that cannot be set; the client gets its text as the answer."""


@dataclass(frozen=True, slots=True)
class FaultHit:
    """What a fault hit: an endpoint with the account or subject, as `orders_stream SIM1F`; `at` is wall time."""

    where: str
    at: int


@dataclass(slots=True)
class InjectedFault:
    """One fault as set. `left` is None if it lasts until cleared; an empty `account` means every account."""

    id: int
    name: FaultName
    endpoints: frozenset[str]
    target: str = ""
    account: str = ""
    left: int | None = 1
    seconds: float | None = None
    status: int = 503
    undone: bool = False
    hits: int = 0
    set_at: int = 0
    is_cleared: bool = False
    newest: deque[FaultHit] = field(default_factory=lambda: deque(maxlen=_KEPT_HITS))

    def matches(self, endpoint: str, accounts: Collection[str]) -> bool:
        """Tell whether it hits a request or stream of an endpoint and these accounts."""
        if endpoint not in self.endpoints or self.is_spent:
            return False
        return not self.account or not accounts or self.account in accounts

    @property
    def is_spent(self) -> bool:
        """Tell whether it was cleared or used up, so that it hits nothing more."""
        return self.is_cleared or self.left == 0

    @property
    def body(self) -> dict[str, Any]:
        """Return it as the control API shows it."""
        return {
            "id": self.id,
            "name": self.name.value,
            "target": self.target,
            "account": self.account,
            "left": self.left,
            "seconds": self.seconds,
            "status": self.status,
            "undone": self.undone,
            "hits": self.hits,
            "hit": [{"where": hit.where, "at": hit.at} for hit in self.newest],
            "state": "used up" if self.left == 0 else "cleared" if self.is_cleared else "armed",
            "set_at": self.set_at,
            "active": not self.is_spent,
        }


@dataclass(slots=True)
class FaultTable:
    """All faults, in the order they were set."""

    active: list[InjectedFault] = field(default_factory=list)
    past: deque[InjectedFault] = field(default_factory=lambda: deque(maxlen=100))
    now: Callable[[], int] = lambda: 0
    _last_id: int = 0

    def set(self, options: Mapping[str, Any], now: int) -> InjectedFault:
        """Set a fault from a request's options: name, target, account, count, seconds, status, undone.

        Raises:
            BadFault: names what is wrong with it.
        """
        name = _name(options.get("name"))
        target = str(options.get("target") or "").lower()
        self._last_id += 1
        fault = InjectedFault(
            self._last_id,
            name,
            endpoints_of(name, target),
            target,
            str(options.get("account") or "").upper(),
            _count(options.get("count", 1)),
            _seconds(options.get("seconds")),
            _status(options.get("status")),
            bool(options.get("undone")),
            set_at=now,
        )
        self.active.append(fault)
        return fault

    def take(
        self,
        names: Collection[FaultName],
        endpoint: str,
        accounts: Collection[str],
        spared: Collection[int] = (),
        subject: str = "",
    ) -> InjectedFault | None:
        """Return the oldest fault of these names that hits, and count the hit; the ids in `spared` are passed over.

        `subject` says in words what the endpoint was about; the accounts when left out.
        """
        for fault in self.active:
            if fault.name in names and fault.id not in spared and fault.matches(endpoint, accounts):
                about = subject or ",".join(sorted(accounts))
                self._hit(fault, FaultHit(f"{endpoint} {about}".rstrip(), self.now()))
                return fault
        return None

    def is_armed(self, name: FaultName, endpoint: str, accounts: Collection[str]) -> bool:
        """Tell whether a fault of this name would hit; nothing is counted."""
        return any(fault.name is name and fault.matches(endpoint, accounts) for fault in self.active)

    def clear(self, name: str = "") -> int:
        """Clear the faults of a name, or all, and return how many were active. Streams that one acts on recover."""
        wanted = _name(name) if name else None
        cleared = [fault for fault in (*self.active, *self.past) if wanted in (None, fault.name)]
        for fault in cleared:
            fault.is_cleared = True
        active = [fault for fault in self.active if fault.is_cleared]
        self._retire()
        return len(active)

    def bodies(self) -> list[dict[str, Any]]:
        """Return all faults, active ones first, as the control API shows them."""
        return [fault.body for fault in (*self.active, *reversed(self.past))]

    def _hit(self, fault: InjectedFault, hit: FaultHit) -> None:
        fault.hits += 1
        fault.newest.append(hit)
        if fault.left is not None:
            fault.left -= 1
        self._retire()

    def _retire(self) -> None:
        self.past.extend(fault for fault in self.active if fault.is_spent)
        self.active = [fault for fault in self.active if not fault.is_spent]


def garbled(told: Any, name: FaultName, fields: RecordFields) -> Any:
    """Return a line or answer with the fields replaced that a fault of this name spoils, in all its records."""
    if isinstance(told, list):
        return [garbled(each, name, fields) for each in told]
    if not isinstance(told, Mapping):
        return told
    keys, value = fields.times if name is FaultName.ABSURD_TIMES else fields.quantities, _SPOILT[name]
    return {key: value if key in keys else garbled(inner, name, fields) for key, inner in told.items()}


def _name(value: object) -> FaultName:
    try:
        return FaultName(str(value))
    except ValueError:
        if str(value) in _RENAMED_FAULTS:
            raise BadFault(f"the fault {value!r} is called {_RENAMED_FAULTS[str(value)]} now") from None
        hint = nearest(str(value), [name.value for name in FaultName])
        raise BadFault(f"unknown fault {value!r}; {hint}") from None


def endpoints_of(name: FaultName, target: str) -> frozenset[str]:
    """Return the requests and streams that a fault hits at a target, which may be empty or several with commas.

    Raises:
        BadFault: there is no such target, or the fault cannot hit it.
    """
    default, possible = _REACH[name]
    if not target:
        return default
    found: frozenset[str] = frozenset()
    for word in filter(None, (part.strip() for part in target.split(","))):
        known = _GROUPS.get(word, frozenset({word}))
        if word in _RENAMED:
            raise BadFault(f"the target {word!r} is called {_RENAMED[word]} now")
        if not known <= REQUESTS | STREAMS | RESTING:
            raise BadFault(f"unknown target {word!r}; {name} hits {_places(possible)}")
        found |= known
    if not found & possible:
        raise BadFault(f"{name} cannot hit {target}; it hits {_places(possible)}")
    return found & possible


def _places(possible: frozenset[str]) -> str:
    """Return the targets that can be named: groups first, then single endpoints."""
    groups = [group for group, members in _GROUPS.items() if members & possible]
    return ", ".join([*groups, *sorted(possible)])


def _count(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadFault(f"count must be a whole number from 1, not {value!r}")
    return value


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 86_400:
        raise BadFault(f"seconds must be 0 to 86400, not {value!r}")
    return float(value)


def _status(value: object) -> int:
    if value is None:
        return 503
    if value not in _STATUSES or not isinstance(value, int):
        raise BadFault(f"status must be one of {', '.join(map(str, _STATUSES))}, not {value!r}")
    return value
