"""A small world for the ledger: traders, their broker, a network that loses, doubles and reorders, and deaths.

The ledger and the trader's book are the real ones; a trader is reduced to what it does with them. Every state has a
list of moves; a check walks them all, or draws them.
"""

import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from tradeproc.domain.portfolio import PortfolioSpec
from tradeproc.domain.units import SECOND, Money, Nanos
from tradeproc.engine.heat_book import HeatBook
from tradeproc.procs.portfolio import ledger_values as led
from tradeproc.procs.portfolio.ledger import step
from tradeproc.protocol.heat_messages import HeatGrant, HeatQuestion, HeatReport

Move = tuple[str, Callable[["World"], None]]
BLOCK = 100
SPEC = PortfolioSpec(name="main", warn_percent=50, block_percent=100, worst_case=1000, equity=BLOCK)
NOW, FAR = Nanos(0), Nanos(3600 * SECOND)


@dataclass
class ModelTrader:
    """One session; `sent` are the orders that the broker has, which outlive the trader, with their heat."""

    session: int
    wishes: list[int]
    fence: int = 1
    sequence: int = 0
    made: int = 0
    book: HeatBook = field(default_factory=HeatBook)
    granted: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    deaths: int = 0
    reports: int = 2
    knows: int | None = 1


@dataclass
class World:
    traders: list[ModelTrader]
    ledger: led.Ledger
    served: int = 1
    keys: int = 0
    network: list[tuple[object, ...]] = field(default_factory=list)
    losses: int = 0
    doubles: int = 0
    server_deaths: int = 0
    ends: int = 0
    is_prompt: bool = True
    outs: int = 0
    changes: int = 0
    revisions: dict[int, int] = field(default_factory=dict)

    def ledger_step(self, event: led.LedgerEvent) -> None:
        for effect in step(self.ledger, event, NOW):
            match effect:
                case led.Grant(_, question):
                    before = sum(map(self.at_risk, self.traders))
                    self.network.append(("grant", question.session, question.order_id, question))
                    after = sum(map(self.at_risk, self.traders))
                    # A question that comes twice is granted twice: the trader uses the first grant, and the second
                    # one adds nothing.
                    assert after <= BLOCK or after == before, (question, self)
                case led.Refuse(_, question):
                    self.network.append(("refusal", question.session, question.order_id, question))

    # --- the moves

    def moves(self) -> Iterator["Move"]:
        for index, trader in enumerate(self.traders):
            yield from self.trader_moves(index, trader)
        for place, message in enumerate(self.network):
            yield f"deliver {message[:3]}", partial(World.deliver, place=place)
            if self.losses:
                yield f"lose {message[:3]}", partial(World.lose, place=place)
            if self.doubles:
                yield f"double {message[:3]}", partial(World.double, place=place)
        if self.server_deaths:
            yield "the server dies", World.restart
        for trader in self.traders:
            session = trader.session
            if session not in self.revisions:
                yield f"{session} is put in again", partial(World.put_in, session=session)
            elif self.outs:
                yield f"{session} is taken out", partial(World.take_out, session=session)
            if trader.knows != self.revisions.get(session):
                yield f"{session} reads where it belongs", partial(World.read, session=session)

    def trader_moves(self, index: int, trader: ModelTrader) -> Iterator["Move"]:
        if trader.wishes:
            yield f"{index} wants {trader.wishes[0]}", partial(World.want, index=index)
        if trader.reports and trader.knows is not None:
            yield f"{index} reports", partial(World.report, index=index)
        if trader.deaths:
            yield f"{index} dies", partial(World.die, index=index)
        if trader.book.life != self.ledger.life:
            yield f"{index} hears of the server", partial(World.hear, index=index)
        for order_id in trader.granted:
            yield f"{index} sends {order_id}", partial(World.send, index=index, order_id=order_id)
        if self.ends:
            for order_id in trader.sent:
                yield f"{order_id} ends", partial(World.end, index=index, order_id=order_id)
            for order_id in trader.book.asks:
                yield f"{index} gives {order_id} up", partial(World.give_up, index=index, order_id=order_id)

    def want(self, index: int) -> None:
        trader = self.traders[index]
        heat = trader.wishes.pop(0)
        trader.made += 1
        if trader.knows is None:
            # it is in no portfolio, as far as it knows, and asks nobody
            trader.sent[f"o{index}-{trader.fence}-{trader.made}"] = heat
            return
        ask = trader.book.ask(f"o{index}-{trader.fence}-{trader.made}", Money(Decimal(heat)), FAR)
        self.put_question(trader, ask.order_id)

    def put_question(self, trader: ModelTrader, order_id: str) -> None:
        ask = trader.book.asks[order_id]
        question = HeatQuestion(
            session=trader.session, fence=trader.fence, life=ask.life, number=ask.number, portfolio="main",
            order_id=order_id, heat=ask.heat, currency="USD",
        )  # fmt: skip
        self.network.append(("question", trader.session, order_id, question))

    def report(self, index: int) -> None:
        trader = self.traders[index]
        trader.reports -= 1
        heat = sum(trader.sent.values()) + sum(trader.granted.values())
        trader.sequence += 1
        told = HeatReport(
            session=trader.session, fence=trader.fence, sequence=trader.sequence, life=trader.book.life,
            asked=trader.book.number, unanswered=trader.book.unanswered, portfolio="main", revision=trader.knows or 0,
            heat=Money(Decimal(heat)), currency="USD", account="A", equity=None,
        )  # fmt: skip
        self.network.append(("report", trader.session, trader.sequence, told))

    def send(self, index: int, order_id: str) -> None:
        trader = self.traders[index]
        trader.sent[order_id] = trader.granted.pop(order_id)
        trader.book.asks.pop(order_id)

    def end(self, index: int, order_id: str) -> None:
        self.ends -= 1
        self.traders[index].sent.pop(order_id)

    def give_up(self, index: int, order_id: str) -> None:
        trader = self.traders[index]
        self.ends -= 1
        trader.book.asks.pop(order_id)
        trader.granted.pop(order_id, None)

    def die(self, index: int) -> None:
        trader = self.traders[index]
        trader.deaths -= 1
        trader.fence += 1
        trader.sequence = trader.made = 0
        trader.book, trader.granted = HeatBook(), {}

    def deliver(self, place: int) -> None:
        kind, session, order_id, body = self.network.pop(place)
        trader = next(each for each in self.traders if each.session == session)
        match kind:
            case "question":
                assert isinstance(body, HeatQuestion)
                self.keys += 1
                self.ledger_step(led.HeatAsked(self.keys, body, FAR))
            case "report":
                assert isinstance(body, HeatReport)
                self.ledger_step(led.HeatReported(body))
            case "grant":
                assert isinstance(body, HeatQuestion)
                said = HeatGrant(body.life, body.number)
                is_ours = body.fence == trader.fence
                ask = trader.book.grant(str(order_id), said.life, said.number) if is_ours else None
                if ask is not None:
                    trader.granted[ask.order_id] = int(ask.heat)
                    if self.is_prompt:
                        self.send(self.traders.index(trader), ask.order_id)
            case "refusal":
                assert isinstance(body, HeatQuestion)
                if body.fence == trader.fence and trader.book.refuse(str(order_id), body.number) is not None:
                    trader.book.asks.pop(str(order_id))

    def lose(self, place: int) -> None:
        self.losses -= 1
        self.network.pop(place)

    def double(self, place: int) -> None:
        self.doubles -= 1
        self.network.append(self.network[place])

    def hear(self, index: int) -> None:
        trader = self.traders[index]
        for ask in trader.book.heard(self.ledger.life):
            self.put_question(trader, ask.order_id)

    def restart(self) -> None:
        self.server_deaths -= 1
        self.served += 1
        self.ledger = new_ledger(f"life {self.served}", self.revisions)

    def take_out(self, session: int) -> None:
        self.outs -= 1
        del self.revisions[session]
        self.ledger_step(portfolios(self.revisions))

    def put_in(self, session: int) -> None:
        self.changes += 1
        self.revisions[session] = self.changes + 1
        self.ledger_step(portfolios(self.revisions))

    def read(self, session: int) -> None:
        trader = next(each for each in self.traders if each.session == session)
        trader.knows = self.revisions.get(session)

    # --- what must hold

    @property
    def promised(self) -> list[HeatQuestion]:
        """Return the questions whose grant is on its way."""
        return [body for kind, _, _, body in self.network if kind == "grant" and isinstance(body, HeatQuestion)]

    def at_risk(self, trader: ModelTrader) -> int:
        """Return what a member has, and what it has once the grants on their way have arrived."""
        if trader.session not in self.revisions:
            return 0
        coming = {
            (each.order_id, each.number): int(each.heat)
            for each in self.promised
            if (each.session, each.fence) == (trader.session, trader.fence)
            and (ask := trader.book.asks.get(each.order_id)) is not None
            and (ask.number, ask.life, ask.is_granted) == (each.number, each.life, False)
        }
        return sum(trader.sent.values()) + sum(trader.granted.values()) + sum(coming.values())

    @property
    def live(self) -> int:
        """Return the heat that has been admitted and is not over: what works, and what may be sent any moment."""
        return sum(sum(each.sent.values()) + sum(each.granted.values()) for each in self.traders)


def portfolios(revisions: dict[int, int]) -> led.PortfoliosRead:
    members = {session: led.Membership("equity_index", added_at=at) for session, at in revisions.items()}
    return led.PortfoliosRead((led.KnownPortfolio(SPEC, 1, members),))


def new_ledger(life: str, revisions: dict[int, int]) -> led.Ledger:
    made = led.Ledger(life)
    step(made, portfolios(revisions), NOW)
    return made


def new_world(*wishes: list[int], deaths: int = 0, reports: int = 1, held: int = 0, **changes: int) -> World:
    """Return a world at its start; `changes` say how often what may happen.

    That is losses, doubles, server_deaths, ends, and outs of the portfolio, from where a session may come back. The
    last trader has an order of `held` at the broker already, and has reported it.

    Where no trader may die, a grant is used at once: what happens between grant and request is then no other world.
    """
    traders = [
        ModelTrader(number, list(each), deaths=deaths if number == 1 else 0, reports=reports)
        for number, each in enumerate(wishes, 1)
    ]
    if held:
        traders[-1].sent["held"] = held
    revisions = {each.session: 1 for each in traders}
    world = World(traders, new_ledger("life 1", revisions), is_prompt=not deaths, revisions=revisions, **changes)
    for index, trader in enumerate(traders):
        world.hear(index)
        world.report(index)
        world.deliver(0)
        trader.reports = reports
    return world


def key(world: World) -> str:
    """Return what makes two worlds the same: the order of what is on the network means nothing."""
    return repr((world.traders, world.ledger, sorted(map(repr, world.network)), world.served)) + (
        f"{world.losses}{world.doubles}{world.server_deaths}{world.ends}{world.outs}{sorted(world.revisions.items())}"
    )


def explore(world: World, check: Callable[[World], None]) -> int:
    """Check every world that can follow, in whatever order things happen; return how many there are."""
    seen, todo = {key(world)}, [world]
    while todo:
        present = todo.pop()
        check(present)
        kept = pickle.dumps(present)
        for _, move in list(present.moves()):
            following: World = pickle.loads(kept)
            move(following)
            if (found := key(following)) not in seen:
                seen.add(found)
                todo.append(following)
    return len(seen)


SMALL: dict[str, tuple[tuple[list[int], list[int]], dict[str, int]]] = {
    "a message is lost": (([60], [60]), {"losses": 1}),
    "an order ends or is given up": (([60], [60]), {"ends": 1}),
    "the server dies while another session holds": (([60], []), {"server_deaths": 1, "held": 60}),
    "a trader dies with an order at the broker": (([60], []), {"deaths": 1, "held": 60}),
    "a session that holds is taken out and put in again": (([60], []), {"outs": 1, "held": 60}),
}
LARGE: dict[str, tuple[tuple[list[int], list[int]], dict[str, int]]] = {
    "a message is doubled": (([60], [60]), {"doubles": 1}),
    "two wishes of one": (([60, 60], [60]), {}),
    "the server dies": (([60], [60]), {"server_deaths": 1}),
    "a trader dies": (([60], [60]), {"deaths": 1}),
    "the server dies twice while another session holds": (([60], []), {"server_deaths": 2, "held": 60}),
    "trader and server die": (([60], []), {"deaths": 1, "server_deaths": 1, "held": 60}),
    "a session is taken out and put in again": (([60], [60]), {"outs": 1}),
}
"""Worlds small enough to be walked whole; `python -m tests.procs.portfolio.heat_model` walks the large ones too."""


def check(world: World) -> None:
    """Check that what has been admitted stays below the block; each grant is checked as it is given.

    A session that was taken out enters without asking, which no server can keep below the block of the others.
    """
    assert world.live <= BLOCK or world.changes or len(world.revisions) < len(world.traders), world


if __name__ == "__main__":
    for name, (wishes, changes) in (SMALL | LARGE).items():
        sys.stdout.write(f"{explore(new_world(*wishes, **changes), check):>8} states, none above the block: {name}\n")
