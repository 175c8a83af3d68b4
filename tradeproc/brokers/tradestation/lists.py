"""Complete lists: pages are read to the last one, and missing orders are asked for by their ids.

Without a page size TradeStation cuts a list of orders at 600 without a sign. So pages are always asked for, and a
list counts as complete only when its last page was not full. An order that a complete list lacks is asked for by its
id, among today's orders and among the closed ones; only if both lack it, it does not exist.

Source: TradeStation API v3, "Get Orders" (pageSize, nextToken), "Get Orders by OrderID", "Get Historical Orders by
OrderID" (at most 50 ids, since), "Get Orders" (1 to 25 accounts).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from tradeproc.brokers.tradestation.budget import Resource
from tradeproc.brokers.tradestation.fields import Json, objects, text, trouble
from tradeproc.brokers.tradestation.rest import RestClient
from tradeproc.brokers.tradestation.wire import records_of
from tradeproc.clock import SECOND, wall_ns
from tradeproc.domain.answers import Answer, Known, Unknown

LARGEST_PAGE = 600
MOST_IDS = 50
MOST_ACCOUNTS = 10
"""The broker takes up to 25 accounts in one request and advises 10."""
_MOST_PAGES = 40
_DAYS_BACK = 30
_NOT_THERE = ("not found", "notfound", "invalid order id", "no such order")


@dataclass(frozen=True, slots=True)
class ById:
    """The answer to a question by ids: the records found, and for other ids the reason why nothing is known."""

    found: dict[str, Json] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)


class AccountLists:
    """The lists of an account; thread-safe, keeps nothing."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest

    def ask(self, resource: Resource, account: str, rest: str, params: dict[str, str] | None = None) -> Answer[Json]:
        """Ask for something of an account."""
        return self._ask(resource, quote(account, safe=""), rest, params)

    def orders(self, *accounts: str) -> Answer[Sequence[Json]]:
        """Return the raw orders of all pages, each once; unknown if a page is unknown or orders may be missing.

        They are those of one account or of up to `MOST_ACCOUNTS`, whose list is one.
        """
        account = ",".join(quote(each, safe="") for each in accounts)
        told = self._pages(Resource.ORDERS, account, "orders", "Orders", LARGEST_PAGE)
        # a full last page may mean that the list was cut; reading it again with another page size shows whether it
        # was
        if isinstance(told, _Cut):
            told = self._pages(Resource.ORDERS, account, "orders", "Orders", LARGEST_PAGE - 1)
        return Unknown(told.reason) if isinstance(told, _Cut) else told

    def positions(self, account: str) -> Answer[Sequence[Json]]:
        """Return the raw positions; they have no page size, but further pages are read if the answer names one."""
        told = self._pages(Resource.POSITIONS, quote(account, safe=""), "positions", "Positions", None)
        return Unknown(told.reason) if isinstance(told, _Cut) else told

    def orders_by_id(self, account: str, ids: Sequence[str]) -> ById:
        """Return the raw orders of some ids; an id that is neither found nor unknown is confirmed not to exist."""
        told = ById()
        for start in range(0, len(ids), MOST_IDS):
            chunk = ids[start : start + MOST_IDS]
            self._ask_by_id(account, "orders", chunk, told)
            closed = [each for each in chunk if each not in told.found and each not in told.unknown]
            if closed:
                self._ask_by_id(account, "historicalorders", closed, told)
        return told

    def _ask(self, resource: Resource, accounts: str, rest: str, params: dict[str, str] | None) -> Answer[Json]:
        return self._rest.ask(resource, f"/brokerage/accounts/{accounts}/{rest}", params)

    def _pages(
        self, resource: Resource, account: str, rest: str, key: str, size: int | None
    ) -> "Answer[Sequence[Json]] | _Cut":
        records: dict[str, Json] = {}
        params = {} if size is None else {"pageSize": str(size)}
        tokens: set[str] = set()
        barren = 0
        for _ in range(_MOST_PAGES):
            match self._ask(resource, account, rest, params or None).then(lambda body: _page(body, key)):
                case Known((page, token)):
                    pass
                case Unknown() as unknown:
                    return unknown
            known = len(records)
            # new orders push others to the next page, so an order may come twice; the later record is the newer one
            records |= {_key(record, len(records) + n): record for n, record in enumerate(page)}
            if not token and len(page) >= (size or LARGEST_PAGE):
                return _Cut(f"{len(page)} {rest} on the last page: there may be more, the list may be cut")
            if not token:
                return Known(tuple(records.values()))
            # one page may hold nothing new, for example an empty page at the end of a list
            barren = barren + 1 if len(records) == known else 0
            if token in tokens or barren > 1:
                return Unknown(f"the pages of {rest} go round in circles: the list may be cut")
            tokens.add(token)
            params = params | {"nextToken": token}
        return Unknown(f"more than {_MOST_PAGES} pages of {rest}")

    def _ask_by_id(self, account: str, which: str, ids: Sequence[str], told: ById) -> None:
        path = f"{which}/{','.join(quote(each, safe='') for each in ids)}"
        params = {"since": _since()} if which == "historicalorders" else None
        match self.ask(Resource.ORDERS, account, path, params):
            case Known(body):
                said = trouble(body)
                if said is None:
                    _take(body, ids, told)
                    return
            case Unknown(said):
                pass
        if not _is_not_there(said):
            told.unknown.update(dict.fromkeys(ids, said))
        elif len(ids) > 1:
            # the answer may be about one id only, so each is asked for alone
            for each in ids:
                self._ask_by_id(account, which, [each], told)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A list whose last page is full, so that it may be incomplete."""

    reason: str


def _page(body: Json, key: str) -> Answer[tuple[Sequence[Json], str]]:
    token = body.get("NextToken")
    if token is not None and not isinstance(token, str):
        return Unknown(f"the answer's NextToken {ascii(token)[:40]} is no text: the list may be cut")
    return records_of(body, key).then(lambda records: Known((records, (token or "").strip())))


def _key(record: Json, number: int) -> str:
    return text(record, "OrderID") or f"{text(record, 'PositionID')}#{number}"


def _take(body: Json, ids: Sequence[str], told: ById) -> None:
    """Sort an answer by id into found and unknown; an id that is refused as not found stays in neither."""
    records, errors = objects(body.get("Orders") or []), objects(body.get("Errors") or [])
    if records is None or errors is None:
        told.unknown.update(dict.fromkeys(ids, "the answer by id cannot be read"))
        return
    told.found.update((text(record, "OrderID"), record) for record in records if text(record, "OrderID") in ids)
    for error in errors:
        reason = trouble(error) or "unnamed error"
        about = [each for each in text(error, "OrderID").split(",") if each in ids] or list(ids)
        if not _is_not_there(reason):
            told.unknown.update((each, reason) for each in about if each not in told.found)


def _is_not_there(reason: str) -> bool:
    return reason.split(" ")[0] == "404" or any(words in reason.lower() for words in _NOT_THERE)


def _since() -> str:
    day = datetime.fromtimestamp(wall_ns() / SECOND, UTC) - timedelta(days=_DAYS_BACK)
    return f"{day:%Y-%m-%d}"
