"""The books: every request and every change as it was told, prices in points."""

from pathlib import Path

from tests.exchange.tickets import ACCOUNT, CASH, ES, one, ticket
from tradeproc.domain.orders import Side
from tradeproc.domain.units import SECOND, Contracts, Nanos
from tradeproc.exchange.orders import Changed, Declined, DeclineReason, OrderUpdate, Placed, Replacement, TicketGroup
from tradeproc.exchange.orders import GroupKind as Kind
from tradeproc.localbroker.books import RecordedRequest
from tradeproc.localbroker.market import Market, MarketSettings
from tradeproc.localbroker.tape import generated

BUY = Side.BUY
TAPE = generated(ES, 5, 1_703_545_200 * SECOND, 60)


def market(path: Path | None = None) -> Market:
    """Return a market whose clock stands."""
    return Market(
        TAPE,
        MarketSettings({ACCOUNT: CASH}, history_minutes=0.1),
        journal=path,
        wall=lambda: Nanos(7),
        monotonic=lambda: 0,
    )


def test_a_declined_request_is_written_down_with_its_reason_and_what_the_client_called_it() -> None:
    found = market()
    group = TicketGroup(Kind.INDEPENDENT, (ticket(BUY, 1, client_id="good"), ticket(BUY, 0)))

    answer = found.place(ACCOUNT, group)

    assert isinstance(answer, Declined)
    (request,) = found.books.requests()
    assert (request["accepted"], request["reason"], request["client_ids"]) == (False, answer.text, ["good"])
    assert request["order_ids"] == [answer.order_id]


def test_the_same_order_twice_is_three_requests_of_which_one_was_declined() -> None:
    found = market()
    for _ in range(2):
        found.place(ACCOUNT, one(ticket(BUY, 1, limit="4000", client_id="abcd-1")))
    found.place(ACCOUNT, one(ticket(BUY, 1, limit="4000", client_id="abcd-2")))

    assert [record["accepted"] for record in found.books.requests()] == [True, False, True]


def test_a_request_that_never_came_to_the_exchange_is_written_down_too() -> None:
    found = market()

    refused = found.refuse(
        RecordedRequest("place", ACCOUNT, client_ids=("x-1",)), Declined(DeclineReason.OFF_TICK, "between two ticks")
    )
    placed = found.place(ACCOUNT, one(ticket(BUY, 1)))

    assert isinstance(placed, Placed)
    assert refused.order_id not in ("", placed.orders[0].id)
    request = found.books.requests()[0]
    assert (request["order_ids"], request["client_ids"]) == ([refused.order_id], ["x-1"])
    assert (request["accepted"], request["reason"]) == (False, "between two ticks")


def test_replacing_and_cancelling_are_requests_about_an_order() -> None:
    found = market()
    placed = found.place(ACCOUNT, one(ticket(BUY, 1, limit="4000")))
    assert isinstance(placed, Placed)
    order_id = placed.orders[0].id

    found.replace(order_id, Replacement(quantity=Contracts(2)))
    found.cancel(order_id)
    found.cancel(order_id)

    told = [(r["call"], r["account"], r["order_ids"], r["accepted"]) for r in found.books.requests()[1:]]
    assert told == [
        ("replace", ACCOUNT, [order_id], True),
        ("cancel", ACCOUNT, [order_id], True),
        ("cancel", ACCOUNT, [order_id], False),
    ]


def test_every_order_that_was_told_is_in_the_books_as_it_was_told() -> None:
    found = market()
    placed = found.place(ACCOUNT, one(ticket(BUY, 2, limit="4799", client_id="abcd-9")))
    assert isinstance(placed, Placed)
    order = placed.orders[0]
    changed = found.replace(order.id, Replacement(to_market=True))
    assert isinstance(changed, Changed)

    told = [u for u in found.exchange.updates_since(0) or [] if isinstance(u, OrderUpdate)]
    written = [record for record in found.books.of_kind("order") if record["order"]["id"] == order.id]

    assert [(r["what"], r["order"]["filled"]) for r in written] == [(u.what.value, u.order.filled) for u in told]
    (final,) = found.books.orders()
    last = found.last(ES)
    assert last is not None
    assert (final["status"], float(final["average"]), final["client_id"]) == ("filled", last.price, "abcd-9")
    assert sum(fill["quantity"] for fill in found.books.fills()) == 2
    assert [float(fill["price"]) for fill in found.books.fills()] == [last.price]
