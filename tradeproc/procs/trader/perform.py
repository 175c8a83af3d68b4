"""Turn a trader's effects into calls, in their order, and replies into events."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from tradeproc.bus.codec import Body
from tradeproc.bus.node import Answered, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.domain import messages
from tradeproc.domain.answers import Answer, Unknown
from tradeproc.domain.book import Divergence, Fill, Position
from tradeproc.domain.broker_orders import Outcome, Refused, Unanswered
from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import Order
from tradeproc.domain.session import SessionSpec
from tradeproc.engine import effects, events
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import Effect
from tradeproc.engine.events import Event
from tradeproc.procs.bodies import order_body
from tradeproc.procs.trader.audit_trail import AuditTrail
from tradeproc.procs.trader.decision_book import DecisionBook

T = TypeVar("T")

log = logging.getLogger(__name__)

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Performer:
    """Carries out effects; `tell` takes the events that come of them, at once or later."""

    def __init__(
        self, node: Node, audit: AuditTrail, spec: SessionSpec, account: str, tell: Callable[[Event], None]
    ) -> None:
        self.node, self.audit, self.tell = node, audit, tell
        self._contract, self._minutes, self._account = spec.contract, spec.minutes, account
        self._timing = audit.timing
        self.alarms: dict[str, str] = {}
        self.decisions = DecisionBook(audit.session)
        self._told = (audit.is_up, audit.is_lease_held, audit.fence)

    def perform(self, effect: Effect, following: deque[Effect] | None = None) -> None:
        """Carry out one effect; of those that follow, what people hear may be taken and done while it waits."""
        match effect:
            case effects.Persist():
                self._persist(effect, following)
            case effects.Send(order_id, request):
                self._operate(
                    "submit",
                    {"request": messages.request_to_body(request)},
                    lambda outcome: events.SubmitAnswered(order_id, outcome),
                )
            case effects.Modify(order_id, broker_id, change):
                change_body: Body = {"broker_id": broker_id, "change": messages.order_request_to_body(change)}
                self._operate("modify", change_body, lambda outcome: events.ModifyAnswered(order_id, outcome))
            case effects.Cancel(order_id, broker_id):
                self._operate(
                    "cancel", {"broker_id": broker_id}, lambda outcome: events.CancelAnswered(order_id, outcome)
                )
            case effects.AskOrders() | effects.AskPosition():
                self._ask(effect)
            case _:
                self._record(effect)

    def _record(self, effect: Effect) -> None:
        match effect:
            case effects.KeepLatch():
                self.audit.keep_latch(effect)
            case effects.SaveBalance(balance):
                self.audit.save_balance(balance)
            case effects.SaveDivergence(divergence):
                self.audit.save_divergence(divergence)
            case effects.RaiseAlarm(name, detail, at):
                self.alarms[str(name)] = detail
                log.error("alarm_raised name=%s detail=%s", name, detail)
                self.audit.save_alarm(name, detail, at)
                self.node.publish("alarm", {"name": name, "detail": detail, "at": at, "standing": True})
            case effects.ClearAlarm(name, at):
                self.alarms.pop(str(name), None)
                log.info("alarm_cleared name=%s", name)
                self.audit.clear_alarm(name, at)
                self.node.publish("alarm", {"name": name, "detail": "", "at": at, "standing": False})
            case effects.Publish(topic, value):
                if isinstance(value, effects.DecisionNoted):
                    self.decisions.note(value)
                self.node.publish(topic, self._body(value))
            case effects.Log(level, event, fields):
                log.log(_LEVELS[level], "%s %s", event, " ".join(f"{key}={value}" for key, value in fields.items()))
            case effects.Finished(reason):
                log.info("session_finished reason=%s", reason)
                self.node.stop(0)
            case _:
                raise TypeError(f"not an effect that is recorded: {effect!r}")

    def _body(self, value: effects.Published) -> Body:
        match value:
            case Order():
                return order_body(value)
            case Fill():
                return messages.fill_to_body(value)
            case Position():
                return messages.position_to_body(value)
            case Candle():
                return messages.candle_to_body(value, self._contract, self._minutes)
            case Divergence():
                return messages.divergence_to_body(value)
            case effects.DecisionNoted():
                return asdict(value)

    def _persist(self, unit: effects.Persist, following: deque[Effect] | None) -> None:
        def meanwhile() -> None:
            while following and isinstance(following[0], effects.Publish):
                self._record(following.popleft())

        failure = self.audit.persist(unit, meanwhile)
        self.tell_of_changes()
        if unit.ticket is not None:
            self.tell(events.PersistFailed(unit.ticket, failure) if failure else events.Persisted(unit.ticket))
        if unit.ticket is not None and failure and self.audit.is_up:
            # the engine takes every failure for a database that is down; this one was the lease's
            self.tell(events.DatabaseChanged(is_up=True, reason=""))

    def tell_of_changes(self) -> None:
        """Tell the engine when the database, the lease or its fence are not what it was told last."""
        audit, (was_up, had_lease, fence) = self.audit, self._told
        self._told = (audit.is_up, audit.is_lease_held, audit.fence)
        if audit.is_up != was_up:
            self.tell(events.DatabaseChanged(audit.is_up, audit.reason))
        if (audit.is_lease_held, audit.fence) != (had_lease, fence):
            self.tell(events.LeaseChanged(audit.is_lease_held, audit.reason, audit.fence))
        if audit.refusal and AlarmName.ROW_REFUSED.value not in self.alarms:
            self._record(effects.RaiseAlarm(AlarmName.ROW_REFUSED.value, audit.refusal, audit.clock.now()))
        elif not audit.refusal and AlarmName.ROW_REFUSED.value in self.alarms:
            self._record(effects.ClearAlarm(AlarmName.ROW_REFUSED.value, audit.clock.now()))

    def _operate(self, method: str, body: Body, to_event: Callable[[Outcome], Event]) -> None:
        """Ask the account manager for an order operation, once; silence means that nobody knows."""

        def replied(reply: Reply[Body]) -> None:
            self.tell(to_event(_outcome(reply)))

        self.node.request(self._account, method, body, seconds=self._timing.order, on_reply=replied)

    def _ask(self, question: effects.AskOrders | effects.AskPosition) -> None:
        number = question.number
        if isinstance(question, effects.AskOrders):

            def orders(reply: Reply[Body]) -> None:
                self.tell(
                    events.OrdersAnswered(number, answer_of(reply, messages.each(messages.listed_order_from_body)))
                )

            self.node.request(
                self._account, "orders", {"ids": list(question.ids)}, seconds=self._timing.question, on_reply=orders
            )
        else:

            def position(reply: Reply[Body]) -> None:
                self.tell(events.PositionAnswered(number, answer_of(reply, messages.position_from_body)))

            body = {"contract": self._contract}
            self.node.request(self._account, "position", body, seconds=self._timing.question, on_reply=position)


def _outcome(reply: Reply[Body]) -> Outcome:
    match reply:
        case Answered(body):
            try:
                return messages.outcome_from_body(body)
            except messages.BadMessage as bad:
                return Unanswered(str(bad))
        case RequestWasRefused(reason):
            return Refused(reason)
        case NoAnswer(reason):
            return Unanswered(reason)


def answer_of(reply: Reply[Body], decode: Callable[[Any], T]) -> Answer[T]:
    """Return what a reply says to a question; whatever is not understood is unknown."""
    match reply:
        case Answered(body):
            try:
                return messages.answer_from_body(body, decode)
            except messages.BadMessage as bad:
                return Unknown(str(bad))
        case RequestWasRefused(reason) | NoAnswer(reason):
            return Unknown(reason)
