"""A whole desk that drills break, and whose books they compare with the broker's own to the last order."""

import shutil
from collections import Counter
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests import bodies
from tradeproc.domain.broker_orders import OrderRequest
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.units import Contracts
from tradeproc.protocol import names
from tradeproc.testing.desk import ACCOUNT, TapeDesk, wait_for
from tradeproc.testing.waiting import Late

BUSY = "busy.py:Busy"
HAND = "by-hand"
"""How our ids of orders begin that stand for those of a person at the broker's own screen."""


def is_over(state: str) -> bool:
    """Tell whether an order, by our word or the broker's, can do nothing any more."""
    return state in ("filled", "cancelled", "rejected", "expired")


def sums(fills: list[dict[str, Any]]) -> dict[str, tuple[int, Decimal]]:
    """Return contracts and their price sum by the broker's order id; several increments may be booked as one."""
    found: dict[str, tuple[int, Decimal]] = {}
    for fill in fills:
        quantity, cost = found.get(fill["order_id"], (0, Decimal(0)))
        size = int(fill["quantity"])
        found[fill["order_id"]] = (quantity + size, cost + size * Decimal(str(fill["price"])))
    return found


def duplicates(requests: list[dict[str, Any]], account: str) -> list[str]:
    """Return the client order ids that reached the broker more than once, accepted or not."""
    placed = Counter(
        each
        for request in requests
        if request["call"] == "place" and request["account"] == account
        for each in request["client_ids"]
    )
    return [f"order {each} was sent {count} times" for each, count in placed.items() if count > 1]


def order_differences(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[str]:
    """Return how the orders that an engine holds for open differ from those that the broker does."""
    engine = {order["broker_id"]: order for order in ours}
    broker = {order["id"]: order for order in theirs if not is_over(order["status"])}
    found = [f"order {each} is open at the broker, not in the engine" for each in broker.keys() - engine.keys()]
    found += [f"order {engine[each]['id']} ({each}) is open in the engine, not at the broker"
              for each in engine.keys() - broker.keys()]  # fmt: skip
    for each in engine.keys() & broker.keys():
        mine, other = engine[each], broker[each]
        terms = [
            ("quantity", int(mine["quantity"]), int(other["quantity"])),
            ("filled", int(mine["filled"]), int(other["filled"])),
            ("limit", price(mine["limit_price"]), price(other["limit"])),
            ("stop", price(mine["stop_price"]), price(other["stop"])),
        ]
        found += [f"{mine['id']}: {term} {here} in the engine, {there} at the broker"
                  for term, here, there in terms if here != there]  # fmt: skip
    return found


def price(text: str | None) -> Decimal | None:
    """Return a price as a number."""
    return None if text is None else Decimal(text)


def excesses(fills: list[dict[str, Any]], most: int) -> list[str]:
    """Return after which of the broker's fills of one account more contracts were held than may be: entered twice."""
    held, found = 0, []
    for fill in sorted(fills, key=lambda fill: fill["id"]):
        held += int(fill["quantity"]) * Side(fill["side"]).sign
        if abs(held) > most:
            found.append(f"{held} contracts held after fill {fill['id']} of order {fill['order_id']}, {most} allowed")
    return found


class Desk(TapeDesk):
    """A desk of drills: the busy strategy lies in its home, and its database is asked in SQL."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        shutil.copy(Path(__file__).parent / "busy.py", folder)

    def begin(
        self, strategy: str = BUSY, account: str = ACCOUNT, changes: dict[str, Any] | None = None, **arguments: object
    ) -> int:
        """Create and start a session, wait until its trader is ready, and return its number."""
        return super().begin(strategy, account, changes, **arguments)

    def create(
        self, strategy: str = BUSY, account: str = ACCOUNT, changes: dict[str, Any] | None = None, **arguments: object
    ) -> int:
        """Create and start a session, and return its number."""
        return super().create(strategy, account, changes, **arguments)

    def trade_by_hand(self, change: int, account: str = ACCOUNT, number: str = "") -> None:
        """Trade so many contracts at the market, past the trader of the account; `number` tells such orders apart."""
        request = OrderRequest(
            f"{HAND}{number or f'{change:+d}'}",
            Contract.parse("ESH24"),
            Side.BUY if change > 0 else Side.SELL,
            Contracts(abs(change)),
            OrderType.MARKET,
            OrderRole.ENTRY,
        )
        body = {"account": account, "request": bodies.request_to_body(request)}
        assert self.ask(names.link("paper"), "submit", body, 15.0)["outcome"] == "accepted"

    def wait_fills(self, session: int, more: int = 1) -> None:
        """Wait until the session has booked more fills than now."""
        before = self.count_fills(session)
        wait_for(f"{more} more fills than {before}", lambda: self.count_fills(session) >= before + more)

    def count_fills(self, session: int) -> int:
        """Return how many fills the database has of a session."""
        return self.count("fills", session)

    def count(self, table: str, session: int) -> int:
        """Return how many rows a table has of a session."""
        return int(self.rows(f"select count(*) as n from {table} where session = %s", session)[0]["n"])

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Return what the database says."""
        with psycopg.connect(self.database_url, autocommit=True, connect_timeout=3) as connection:
            return connection.cursor(row_factory=dict_row).execute(query, parameters).fetchall()  # type: ignore[arg-type]

    def assert_books_agree(
        self, session: int, account: str = ACCOUNT, seconds: float = 60.0, known: Collection[str] = ()
    ) -> None:
        """Stop the market, ask for reconciliation, and compare database, engine and broker to the last order.

        `known` differences were told before and are passed over.
        """
        self.broker.pause()
        wait_for("reconcile", lambda: self.ask(names.trader(session), "reconcile", {}) is not None)
        seen: list[str] = []

        def agree() -> bool:
            seen[:] = [each for each in self.differences(session, account) if each not in known]
            return not seen

        try:
            wait_for("the books agree", agree, seconds)
        except Late:
            raise AssertionError("\n".join(seen)) from None
        finally:
            self.broker.resume()

    def differences(self, session: int, account: str = ACCOUNT, most: int = 1) -> list[str]:
        """Return every difference between database, engine and the broker's own ledger.

        `most`: contracts that the strategy may hold; a second entry under another id would exceed it.
        """
        books = self.broker.ledger()
        # a person's order has no row among ours; what it filled is a row of the fills, and compared
        theirs = {
            order["id"]: order
            for order in books["orders"]
            if order["account"] == account and not str(order["client_id"] or "").startswith(HAND)
        }
        ours = self.rows("select * from orders where session = %s", session)
        found = duplicates(books["requests"], account)
        by_broker_id = {row["broker_id"]: row for row in ours if row["broker_id"]}
        found += [f"order {each} of the broker has no row" for each in theirs.keys() - by_broker_id.keys()]
        found += [f"row {each} has no order at the broker" for each in by_broker_id.keys() - theirs.keys()]
        for each in theirs.keys() & by_broker_id.keys():
            row, order = by_broker_id[each], theirs[each]
            if int(row["filled"]) != int(order["filled"]):
                found.append(f"{row['id']}: filled {row['filled']} here, {order['filled']} there")
            if is_over(row["state"]) != is_over(order["status"]):
                found.append(f"{row['id']}: {row['state']} here, {order['status']} there")
        found += [f"{row['id']}: {row['state']} without a broker id" for row in ours
                  if not row["broker_id"] and not is_over(row["state"])]  # fmt: skip
        booked = sums(
            self.rows("select broker_id as order_id, quantity, price from fills where session = %s", session)
        )
        fills = [fill for fill in books["fills"] if fill["account"] == account]
        found += excesses(fills, most)
        filled = sums(fills)
        found += [f"fills: {each} {booked.get(each)} here, {filled.get(each)} there"
                  for each in booked.keys() | filled.keys() if booked.get(each) != filled.get(each)]  # fmt: skip
        held = sum(int(each["quantity"]) for each in books["positions"] if each["account"] == account)
        engine = self.state(session)
        if engine["position"] != held:
            found.append(f"position: {engine['position']} in the engine, {held} at the broker")
        found += order_differences(engine["orders"], list(theirs.values()))
        written = self.rows("select quantity from positions where session = %s order by number desc limit 1", session)
        if (in_row := written[0]["quantity"] if written else 0) != held:
            found.append(f"position: {in_row} in the database, {held} at the broker")
        return found
