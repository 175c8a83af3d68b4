"""A real trader and its real database, between nodes that play link, feed and account manager over a model broker."""

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests import bodies
from tests.actor import Actor
from tests.engine.desk import Plan, Scripted, candle, spec
from tests.engine.exchange_broker import ACCOUNT, ExchangeBroker
from tests.procs.stage import Ear, Stage
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Deferred, Node
from tradeproc.clock import wall_ns
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import ContractDetails
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import Contract
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.units import Contracts, Money, Price
from tradeproc.engine.events import TradingState
from tradeproc.engine.recording import Header
from tradeproc.engine.state import EngineTiming, Setup, new_state
from tradeproc.procs.trader import commands, main
from tradeproc.procs.trader.audit_trail import AuditTrail
from tradeproc.procs.trader.known_losses import known_losses
from tradeproc.procs.trader.recorder import Recorder
from tradeproc.procs.trader.timing import USUAL, TraderTiming
from tradeproc.procs.trader.trading import Trader
from tradeproc.protocol import names
from tradeproc.store import Lease, LeaseTaken, Store
from tradeproc.store.journal import Journal
from tradeproc.strategies.contract import Decision
from tradeproc.testing.waiting import wait_until

LINK, BARS = "link-paper.link", "link-paper.bars-ESH24-1m"
Answer = Callable[[Body], Body | Deferred]


class TradingDesk:
    """Everything around one trader; `answers` are the account manager's, and may be replaced."""

    trader: Trader

    def __init__(
        self,
        stage: Stage,
        url: str,
        folder: Path,
        *plans: Plan | Decision,
        timing: TraderTiming = USUAL,
        engine: EngineTiming | None = None,
        **changes: Any,
    ) -> None:
        self.stage, self.url, self.timing = stage, url, timing
        self.engine_timing = engine or EngineTiming()
        self.store = Store(url)
        self.spec = spec(**changes)
        self.session = self.store.create_session(self.spec)
        self.broker = ExchangeBroker()
        self.lock = threading.Lock()
        self.strategy = Scripted(*plans)
        self.history: Answer = lambda _: {"known": [_candle_body(candle(number)) for number in range(3)]}
        self.history_asked = 0
        self.details = ContractDetails(
            *(Contract.parse("ESH24"), "ESH24", Price(Decimal("0.25")), Money(Decimal(50)), "USD", "CME", "", None)
        )
        self.terms: Callable[[], Body] = lambda: {"known": bodies.contract_details_to_body(self.details)}
        self.number = 3
        self.asked: list[tuple[str, Body]] = []
        self.answers: dict[str, Answer] = {
            "streams": lambda _: {"orders": "up", "positions": "up", "reason": ""},
            "orders": lambda _: {"known": [bodies.broker_order_to_body(each) for each in self._pictures()]},
            "position": lambda _: {"known": bodies.position_to_body(self._position())},
            "submit": self._submit,
            "cancel": lambda body: self._change(self.broker.cancel(body["broker_id"])),
            "modify": lambda body: self._change(
                self.broker.modify(body["broker_id"], bodies.order_request_from_body(body["change"]))
            ),
        }
        self.me, self.account_name = names.trader(self.session), names.account(self.session)
        # of a data login of its own if there is one; the link of the orders then tells terms and nothing else
        self.orders_terms: Callable[[], Body] = lambda: self.terms()
        self.link = stage.enter(names.link(self.spec.login_of_data), self._prepare_link)
        if self.spec.login_of_data != self.spec.login:
            stage.enter(LINK, lambda node: node.handle("contract_details", lambda _: self.orders_terms()))
        self.bars = stage.enter(BARS, self._prepare_bars)
        self.account = self.enter_account()
        self._folder = folder

    # --- the others

    def _prepare_link(self, node: Node) -> None:
        node.handle("need", lambda _: {"process": BARS})
        node.handle("history", self._history)
        node.handle("contract_details", lambda _: self.terms())

    def _history(self, body: Body) -> Body | Deferred:
        self.history_asked += 1
        return self.history(body)

    def _prepare_bars(self, node: Node) -> None:
        node.snapshot("candle", lambda _: {"candles": [], "up": True})

    def enter_account(self, *methods: str) -> Actor:
        def prepare(node: Node) -> None:
            for method in methods or self.answers:
                node.handle(method, lambda body, method=method: self._answer(method, body))  # type: ignore[misc]

        return self.stage.enter(self.account_name, prepare)

    def _answer(self, method: str, body: Body) -> Body | Deferred:
        self.asked.append((method, dict(body)))
        with self.lock:
            answer = self.answers[method](body)
            self.tell_pictures()
        return answer

    def tell_pictures(self) -> None:
        """Publish what a perfect stream would tell."""
        told, self.broker.told = self.broker.told, []
        for each in told:
            if isinstance(each, Position):
                self.account.node.publish("position", bodies.position_to_body(each))
            else:
                self.account.node.publish("order", bodies.broker_order_to_body(each))

    def _submit(self, body: Body) -> Body:
        return bodies.outcome_to_body(self.broker.place(bodies.request_from_body(body["request"])))

    def _change(self, outcome: Any) -> Body:
        return bodies.outcome_to_body(outcome)

    def _pictures(self) -> list[Any]:
        return list(self.broker.orders.values())

    def _position(self) -> Position:
        quantity = self.broker.position
        average = None if not quantity else Price(self.broker.price)
        return Position(ACCOUNT, "ESH24", Contracts(quantity), average)

    def hold(self, method: str) -> list[Deferred]:
        """Answer a method no more, but keep what is to be answered."""
        held: list[Deferred] = []

        def keep(_: Body) -> Deferred:
            held.append(Deferred())
            return held[-1]

        self.answers[method] = keep
        return held

    # --- the trader

    def begin(self) -> "TradingDesk":
        """Let the trader live."""
        # the server learns of a former life's end a moment after it
        lease = wait_until("the lease", lambda: Lease.acquire(self.url, self.session, "us"), not_yet=(LeaseTaken,))
        journal = Journal(self._folder / "journal.jsonl")
        audit = AuditTrail(
            Store(self.url, connect_timeout=0.5),
            journal,
            lease,
            self.session,
            "us",
            self._folder / "kept.json",
            self.timing,
        )
        row = self.store.session(self.session)
        setup = Setup(
            session=self.session,
            fence=lease.fence,
            installation="abcd",
            spec=row.spec,
            strategy=self.strategy,
            arguments=Scripted.Arguments(),
            timing=self.engine_timing,
            hours=market_hours(row.spec.calendar),
        )

        header = Header(self.session, lease.fence, "abcd", row.spec.to_dict(), {}, wall_ns(), "test")
        recorder = Recorder(self._folder / "recordings", header)

        fills, latches = self.store.fills(self.session), audit.latches()
        state = new_state(setup, {latch.scope: TradingState(latch.state) for latch in latches})
        losses = known_losses(self.store, row, fills, audit.clock.now())
        started = replace(main._known(self.store, row, fills, latches), losses=losses)

        def prepare(node: Node) -> None:
            self.trader = Trader(node, row, audit, state, fills, recorder)
            commands.register(self.trader)
            self.trader.begin(started)

        self.actor = self.stage.enter(self.me, prepare)
        return self

    def ready(self) -> "TradingDesk":
        """Begin, and wait until the strategy may run."""
        self.begin()
        wait_until("the trader is ready", lambda: self.status()["state"] == "ready")
        wait_until("its streams are up", lambda: set(self.state()["streams"].values()) == {"up"})
        return self

    def ear(self, *topics: str) -> Ear:
        return Ear(self.stage, self.me, *topics)

    def status(self) -> Body:
        return self.stage.ask(self.me, "status")

    def state(self) -> Body:
        return self.stage.ask(self.me, "state")

    def alarms(self) -> set[str]:
        return set(self.state()["alarms"])

    def count(self, method: str) -> int:
        return sum(asked == method for asked, _ in list(self.asked))

    def bar(self, close: float = 4800.0) -> None:
        """Publish the next closed candle."""
        body = _candle_body(candle(self.number, close))
        self.number += 1
        self.bars.do(lambda: self.bars.node.publish("candle", body))

    def publish(self, topic: str, body: Body) -> None:
        """Publish as the account manager."""
        self.account.do(lambda: self.account.node.publish(topic, body))


def _candle_body(each: Candle) -> Body:
    return bodies.candle_to_body(each, "ESH24", 1)
