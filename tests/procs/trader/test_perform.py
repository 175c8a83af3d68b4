"""Effects as calls: each is done once, each question is answered once, and nothing a peer says breaks that."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from tests import bodies
from tests.engine.desk import candle, spec
from tests.procs.stage import Ear, Stage, picture
from tests.store.book import AT, DIVERGENCE, EVENT, FILL, ORDER, POSITION
from tradeproc.bus.codec import Body
from tradeproc.bus.node import Deferred, Node
from tradeproc.bus.requests import RequestRefused
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.book import Balance
from tradeproc.domain.broker_orders import Accepted, OrderRequest, Refused, Unanswered
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import OrderRole, OrderType, Side
from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.tally import LossMarks
from tradeproc.domain.units import Contracts, Money, Nanos
from tradeproc.engine import effects, events
from tradeproc.engine.events import Event, TradingState
from tradeproc.procs.trader.audit_trail import AuditTrail
from tradeproc.procs.trader.perform import Performer, Rolled
from tradeproc.procs.trader.timing import TraderTiming
from tradeproc.store import Lease, Store
from tradeproc.store.journal import Journal
from tradeproc.testing.waiting import wait_until

ACCOUNT = "session-1.account"
REQUEST = OrderRequest("o1", Contract.parse("ESH24"), Side.BUY, Contracts(1), OrderType.MARKET, OrderRole.ENTRY)
MONEY = Money(Decimal(1))
BALANCE = Balance("SIM1", "USD", MONEY, MONEY, MONEY, MONEY, Nanos(AT))
ROLLING = Roll(
    "roll-1",
    1,
    "ESH24",
    "ESM24",
    RollStep.FLAT,
    "anna",
    "",
    *(Contracts(1),) * 2,
    *(None,) * 4,
    "",
    "",
    *(Nanos(AT),) * 3,
)
NOTE = effects.DecisionNoted("nothing", "", "", Nanos(1), Nanos(2), Nanos(3))


class Desk:
    """A performer on a real node over a real audit trail; `answers` are the account manager's."""

    def __init__(self, stage: Stage, url: str, folder: Path) -> None:
        self.stage = stage
        self.store = Store(url)
        self.session = self.store.create_session(spec())
        self.told: list[Event] = []
        self.asked: list[str] = []
        self.answers: dict[str, Callable[[Body], Body | Deferred]] = {}
        lease = Lease.acquire(url, self.session, "us")
        self.audit = AuditTrail(
            Store(url), Journal(folder / "journal.jsonl"), lease, self.session, "us", folder / "kept.json"
        )
        self.account = stage.enter(ACCOUNT, self._prepare_account)
        self.trader = stage.enter("session-1.trader", self.prepare)

    def _prepare_account(self, node: Node) -> None:
        for method in ("submit", "modify", "cancel", "orders", "position"):
            node.handle(method, lambda body, method=method: self._answer(method, body))  # type: ignore[misc]

    def _answer(self, method: str, body: Body) -> Body | Deferred:
        self.asked.append(method)
        return self.answers[method](body)

    def prepare(self, node: Node) -> None:
        self.performer = Performer(node, self.audit, spec(), ACCOUNT, self.told.append)

    def perform(self, effect: Any) -> None:
        self.trader.do(lambda: self.performer.perform(effect))

    def close(self) -> None:
        self.audit.close()
        self.store.close()


@pytest.fixture
def desk(on_stage: Stage, book_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(on_stage, book_url, tmp_path)
    yield made
    made.close()


def row_of(desk: Desk) -> Any:
    return replace(ORDER, session=desk.session)


SEND, MODIFY, CANCEL = (
    effects.Send("o1", REQUEST),
    effects.Modify("o1", "b1", REQUEST),
    effects.Cancel("o1", "b1"),
)
RESERVE = effects.ReserveHeat("o1", 1, "life", "main", Money(Decimal(5)), "USD", Nanos(0))
OPERATIONS = [
    (SEND, "submit", events.SubmitAnswered),
    (MODIFY, "modify", events.ModifyAnswered),
    (CANCEL, "cancel", events.CancelAnswered),
]


@pytest.mark.parametrize(("effect", "method", "event"), OPERATIONS)
def test_an_operation_is_asked_for_once_and_its_outcome_told_once(
    desk: Desk, effect: Any, method: str, event: Any
) -> None:
    desk.answers[method] = lambda _: {"outcome": "accepted", "broker_ids": {"o1": "b1"}}

    desk.perform(effect)

    wait_until("told", lambda: desk.told)
    assert desk.told == [event("o1", Accepted({"o1": "b1"}))]
    assert desk.asked == [method]


def refuse(_: Body) -> Body:
    raise RequestRefused("no")


@pytest.mark.parametrize(
    "answer", [lambda _: {}, lambda _: {"outcome": "perhaps"}, lambda _: {"outcome": "accepted"}]
)
def test_an_outcome_that_makes_no_sense_is_unanswered(desk: Desk, answer: Callable[[Body], Body]) -> None:
    desk.answers["submit"] = answer

    desk.perform(SEND)

    wait_until("told", lambda: desk.told)
    (event,) = desk.told
    assert isinstance(event, events.SubmitAnswered)
    assert isinstance(event.outcome, Unanswered)
    assert event.outcome.was_sent


def test_a_refusal_is_a_refusal_and_silence_is_unanswered(desk: Desk) -> None:
    desk.answers["cancel"] = refuse
    desk.perform(CANCEL)
    wait_until("told", lambda: desk.told)
    assert desk.told.pop() == events.CancelAnswered("o1", Refused("no"))

    desk.audit.timing = TraderTiming(order=0.3)
    desk.trader.do(lambda: desk.prepare(desk.trader.node))
    held = Deferred()
    desk.answers["submit"] = lambda _: held
    desk.perform(SEND)
    wait_until("told", lambda: desk.told)
    desk.account.do(lambda: held.answer({"outcome": "accepted", "broker_ids": {}}))
    desk.stage.ask("session-1.trader", "ping")
    (event,) = desk.told
    assert isinstance(event, events.SubmitAnswered)
    assert isinstance(event.outcome, Unanswered)


@pytest.mark.parametrize("answer", [lambda _: {}, lambda _: {"known": 5}, lambda _: {"known": [{}]}, refuse])
@pytest.mark.parametrize("effect", [effects.AskOrders(7, "start"), effects.AskPosition(7, "start")])
def test_a_question_whose_answer_makes_no_sense_is_unknown_and_never_empty(
    desk: Desk, effect: Any, answer: Callable[[Body], Body]
) -> None:
    desk.answers = {"orders": answer, "position": answer}

    desk.perform(effect)

    wait_until("told", lambda: desk.told)
    (event,) = desk.told
    assert isinstance(event, events.OrdersAnswered | events.PositionAnswered)
    assert event.number == 7
    assert isinstance(event.answer, Unknown)


def test_known_answers_are_told_with_the_number_of_their_question(desk: Desk) -> None:
    desk.answers = {
        "orders": lambda _: {"known": [bodies.broker_order_to_body(picture("b1"))]},
        "position": lambda _: {"known": bodies.position_to_body(POSITION)},
    }
    desk.perform(effects.AskOrders(3, "start"))
    wait_until("told", lambda: len(desk.told) == 1)
    desk.perform(effects.AskPosition(4, "start"))
    wait_until("told", lambda: len(desk.told) == 2)

    assert desk.told == [
        events.OrdersAnswered(3, Known((picture("b1"),))),
        events.PositionAnswered(4, Known(POSITION)),
    ]


def test_a_unit_with_a_ticket_is_answered_and_one_without_is_not(desk: Desk) -> None:
    desk.perform(effects.Persist((row_of(desk),), (EVENT,)))
    assert desk.told == []

    desk.perform(effects.Persist((row_of(desk),), (), ticket=5))

    assert desk.told == [events.Persisted(5)]


@pytest.mark.parametrize("is_up", [True, False])
def test_heat_is_asked_for_once_while_the_entrys_row_is_written_and_also_when_it_cannot_be(
    desk: Desk, is_up: bool
) -> None:
    done: list[str] = []
    enter = desk.audit.store.enter_orders

    def note_row(*given: Any, **named: Any) -> None:
        done.append("row begun")
        enter(*given, **named)
        done.append("row written")

    def act() -> None:
        performer, desk.audit.is_up = desk.performer, is_up
        performer._reserve = lambda _: done.append("heat asked")  # type: ignore[method-assign]
        desk.audit.store.enter_orders = note_row  # type: ignore[method-assign]
        following: deque[effects.Effect] = deque([effects.Persist((row_of(desk),), (EVENT,), ticket=5)])
        performer.perform(RESERVE, following)
        assert done == [], "the row is begun first"
        performer.perform(following.popleft(), following)

    desk.trader.do(act)

    assert done == (["row begun", "heat asked", "row written"] if is_up else ["heat asked"])
    answer = events.Persisted if is_up else events.PersistFailed
    assert [type(each) for each in desk.told if isinstance(each, events.Persisted | events.PersistFailed)] == [answer]


def test_heat_without_a_row_to_write_is_asked_for_at_once(desk: Desk) -> None:
    asked: list[effects.ReserveHeat] = []

    def act() -> None:
        desk.performer._reserve = asked.append  # type: ignore[method-assign]
        desk.performer.perform(RESERVE, deque([SEND]))

    desk.trader.do(act)

    assert asked == [RESERVE]


def test_every_effect_can_be_performed_and_what_is_for_people_is_published(desk: Desk) -> None:
    ear = Ear(desk.stage, "session-1.trader", "")
    desk.answers = dict.fromkeys(("submit", "modify", "cancel", "orders", "position"), lambda _: {})
    published = {
        "order": row_of(desk),
        "fill": replace(FILL, session=desk.session),
        "position": POSITION,
        "candle": candle(1),
        "decision": NOTE,
        "divergence": replace(DIVERGENCE, session=desk.session),
    }
    done: list[Any] = [
        effects.Persist((row_of(desk),), (EVENT,)),
        *(SEND, MODIFY, CANCEL, RESERVE),
        *(effects.AskOrders(1, ""), effects.AskPosition(1, "")),
        effects.SaveBalance(BALANCE),
        effects.SaveLossMarks(LossMarks(desk.session, Nanos(AT), Money(Decimal(0)), Money(Decimal(1)))),
        effects.KeepLatch("session:1", TradingState.REDUCING, "external_policy", "why", Nanos(AT)),
        effects.SaveDivergence(replace(DIVERGENCE, session=desk.session)),
        effects.RaiseAlarm("close_stuck", "why", Nanos(AT)),
        effects.ClearAlarm("close_stuck", Nanos(AT + 1)),
        *(effects.Publish(topic, value) for topic, value in published.items()),  # type: ignore[arg-type]
        effects.Log("info", "something_happened", {"order": "o1"}),
        *(effects.SaveRoll(ROLLING), effects.SwitchContract(ROLLING)),
        *(effects.AskSpread(1, "ESM24"), effects.AskOldPosition(1, "ESH24")),
        effects.BeginAnew("another contract"),
        effects.Finished("done"),
    ]
    assert {type(each) for each in done} == set(get_args(effects.Effect)), "no effect is forgotten here"

    for each in done[:-2]:
        desk.perform(each)
    with pytest.raises(Rolled, match="another contract"):
        desk.performer.perform(done[-2])

    wait_until("published", lambda: {each.topic for each in ear.heard} >= {*published, "alarm"})
    assert [not body["cleared"] for body in ear.bodies("alarm")] == [True, False]
    assert desk.store.balances() == [BALANCE]
    assert [row.divergence.subject for row in desk.store.divergences(desk.session)] == ["ESH24"]
    desk.trader.node.post(lambda: desk.performer.perform(done[-1]))
    desk.trader.join()
    assert desk.trader.node.exit_status == 0
