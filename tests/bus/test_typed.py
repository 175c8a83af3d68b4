"""Topics and methods with types: both sides see values, what does not fit is refused, nothing dies of it."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from tests.actor import Actor
from tests.bus.conftest import wait_until
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.codec import Envelope
from tradeproc.bus.follow import Follow
from tradeproc.bus.node import Answered, Deferred, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.bus.requests import NoReply, RequestRefused
from tradeproc.domain.units import Price
from tradeproc.protocol.definitions import ANY, FollowedTopic, Method

Start = Callable[..., Actor]


@dataclass(frozen=True, slots=True)
class Quote:
    name: str
    price: Price


@dataclass(frozen=True, slots=True)
class Quotes:
    quotes: tuple[Quote, ...]


QUOTE: FollowedTopic[Quote, Quotes] = FollowedTopic("quote", Quote, (ANY,), Quotes)
DOUBLE: Method[Quote, Quote] = Method("double", Quote, Quote, (ANY,))
ONE = Quote("ES", Price(Decimal("4750.25")))


def double(quote: Quote) -> Quote:
    return Quote(quote.name, Price(quote.price * 2))


def test_a_value_published_is_a_value_heard_and_others_of_the_same_beginning_are_not(start: Start) -> None:
    far, near = start("core.far"), start("core.near")
    heard: list[Envelope[Any]] = []
    started: list[str] = []
    near.do(lambda: near.node.subscribe("core.far", QUOTE, heard.append, started.append))
    wait_until(lambda: started)

    far.do(lambda: far.node.publish("quotes_of_others", {"name": "NQ", "price": "1"}))
    far.do(lambda: far.node.publish("quote", {"name": "ES", "price": "NaN"}))
    far.do(lambda: far.node.publish(QUOTE, ONE))

    wait_until(lambda: heard)
    assert [each.body for each in heard] == [ONE]
    assert near.do(lambda: near.node._status()).statistics["bus"]["refused"] == 1


def test_a_copy_is_made_of_snapshot_and_messages(start: Start) -> None:
    far = start("core.far", lambda node: node.snapshot(QUOTE, lambda: Quotes((ONE,))))
    near = start("core.near")
    whole: list[Quotes] = []
    heard: list[Envelope[Quote]] = []
    near.do(lambda: Follow(near.node, "core.far", QUOTE, on_snapshot=whole.append, on_message=heard.append))
    wait_until(lambda: whole)

    far.do(lambda: far.node.publish(QUOTE, double(ONE)))

    wait_until(lambda: heard)
    assert whole == [Quotes((ONE,))]
    assert heard[0].body == double(ONE)


def test_a_client_that_is_no_process_asks_for_a_snapshot(start: Start, directory: Directory) -> None:
    start("core.far", lambda node: node.snapshot(QUOTE, lambda: Quotes((ONE,))))

    with Client(directory) as client:
        assert client.snapshot("core.far", QUOTE, 15) == Quotes((ONE,))
        with pytest.raises(RequestRefused, match="no snapshot"):
            client.snapshot("core.far", FollowedTopic("other", Quote, ("far",), Quotes), 15)


def ask(running: Actor, question: Quote) -> list[Reply[Quote]]:
    replies: list[Reply[Quote]] = []
    running.do(lambda: running.node.request("core.far", DOUBLE, question, seconds=15, on_reply=replies.append))
    wait_until(lambda: replies)
    return replies


def test_a_question_and_its_answer_are_values(start: Start, directory: Directory) -> None:
    start("core.far", lambda node: node.handle(DOUBLE, double))

    assert ask(start("core.near"), ONE) == [Answered(double(ONE))]
    with Client(directory) as client:
        assert client.call("core.far", DOUBLE, ONE, 15) == double(ONE)
        assert client.call("core.far", "double", {"name": "ES", "price": "2"}, 15) == {"name": "ES", "price": "4"}


def test_an_answer_that_comes_later_is_a_value_too_and_its_asker_says_how_long_it_waits(start: Start) -> None:
    left: list[float] = []

    def later(node: Node) -> None:
        def handle(quote: Quote, seconds: float) -> Deferred[Quote]:
            left.append(seconds)
            deferred = Deferred[Quote]()
            node.after(0.01, lambda: deferred.answer(double(quote)))
            return deferred

        node.handle_timed(DOUBLE, handle)

    start("core.far", later)

    assert ask(start("core.near"), ONE) == [Answered(double(ONE))]
    assert 5 < left[0] <= 15


def test_a_question_that_does_not_fit_is_refused_with_the_reason(start: Start, directory: Directory) -> None:
    start("core.far", lambda node: node.handle(DOUBLE, double))

    with Client(directory) as client, pytest.raises(RequestRefused, match="quote: price is missing"):
        client.call("core.far", "double", {"name": "ES"}, 15)


def test_an_answer_that_cannot_be_read_is_no_answer(start: Start, directory: Directory) -> None:
    start("core.far", lambda node: node.handle("double", lambda _: {"name": 1}))

    (reply,) = ask(start("core.near"), ONE)
    assert isinstance(reply, NoAnswer)
    assert not isinstance(reply, RequestWasRefused)
    assert "cannot be read: quote: name: expected a text, found 1" in reply.reason
    with Client(directory) as client, pytest.raises(NoReply, match="cannot be read"):
        client.call("core.far", DOUBLE, ONE, 15)
