"""Turn a trader's effects into calls, in their order, and replies into events."""

import logging
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from tradeproc.bus.node import Answered, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.domain.answers import Answer
from tradeproc.domain.book import Divergence, Fill, Position
from tradeproc.domain.broker_orders import ListedOrder, Outcome, Refused, Unanswered
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import Contract
from tradeproc.domain.orders import Order
from tradeproc.domain.portfolio import HeatAnswer
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.engine import effects, events
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import Effect
from tradeproc.engine.events import Event
from tradeproc.errors import Fault
from tradeproc.procs.trader.audit_trail import AuditTrail
from tradeproc.procs.trader.decision_book import DecisionBook
from tradeproc.procs.trader.login_latch import LoginLatch
from tradeproc.procs.trader.replies import answer_of
from tradeproc.procs.trader.roll_questions import RollQuestions
from tradeproc.protocol import names, scopes, trader_messages
from tradeproc.protocol.alarms import ALARM, Alarm, severity_of
from tradeproc.protocol.definitions import Method
from tradeproc.protocol.feed_messages import CandleBody
from tradeproc.protocol.heat_messages import RESERVE_HEAT, HeatGrant, HeatQuestion
from tradeproc.protocol.link_messages import (
    CANCEL,
    MODIFY,
    ORDERS,
    POSITION,
    SUBMIT,
    CancelOrder,
    ModifyOrder,
    OrdersQuestion,
    PlaceOrder,
    PositionQuestion,
)
from tradeproc.protocol.names import ProcessName
from tradeproc.protocol.trader_messages import OrderBody

Q = TypeVar("Q")
T = TypeVar("T")

log = logging.getLogger(__name__)

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Rolled(Fault):
    """The session has another contract from now on; caught by the entry point: it is restarted with that one."""


class Performer:
    """Carries out effects; `tell` takes the events that come of them, at once or later."""

    def __init__(
        self, node: Node, audit: AuditTrail, spec: SessionSpec, account: str, tell: Callable[[Event], None]
    ) -> None:
        self.node, self.audit, self.tell = node, audit, tell
        self._contract, self._minutes, self._account = spec.contract, spec.minutes, account
        self._timing = audit.timing
        self.alarms: dict[str, str] = {}
        self._alarm_since: dict[str, Nanos] = {}
        self.decisions = DecisionBook(audit.session)
        self._login_latch = LoginLatch(node, audit)
        self._reserving: deque[effects.ReserveHeat] = deque()
        self._told = (audit.is_up, audit.is_lease_held, audit.fence)
        self._rolls = RollQuestions(node, spec, account, tell, audit.timing)

    def perform(self, effect: Effect, following: deque[Effect] | None = None) -> None:
        """Carry out one effect.

        While it waits for the database, heat is asked for, and publications at the head of `following` are taken from
        it and carried out.
        """
        match effect:
            case effects.Persist():
                self._persist(effect, following)
            case effects.ReserveHeat():
                if following and isinstance(following[0], effects.Persist) and not following[0].may_journal:
                    self._reserving.append(effect)  # the entry's row first: heat is asked for while it is written
                else:
                    self._reserve(effect)
            case effects.Send(order_id, request):
                self._operate(SUBMIT, PlaceOrder(request), lambda outcome: events.SubmitAnswered(order_id, outcome))
            case effects.Modify(order_id, broker_id, change):
                replacing = ModifyOrder(broker_id, change)
                self._operate(MODIFY, replacing, lambda outcome: events.ModifyAnswered(order_id, outcome))
            case effects.Cancel(order_id, broker_id):
                self._operate(
                    CANCEL, CancelOrder(broker_id), lambda outcome: events.CancelAnswered(order_id, outcome)
                )
            case effects.AskOrders(number, _, ids, within):
                self._ask_orders(number, OrdersQuestion(ids, within=within))
            case effects.AskPosition(number, _, within):
                self._ask_position(number, within)
            case _:
                self._record(effect)

    def _record(self, effect: Effect) -> None:
        match effect:
            case effects.KeepLatch():
                self.audit.keep_latch(effect)
                self._login_latch.tell(effect)
            case effects.SaveBalance(balance):
                self.audit.save_balance(balance)
            case effects.SaveLossMarks(marks):
                self.audit.save_loss_marks(marks)
            case effects.SaveDivergence(divergence):
                self.audit.save_divergence(divergence)
            case effects.RaiseAlarm(name, detail, at):
                self.alarms[str(name)] = detail
                log.error("alarm_raised name=%s detail=%s", name, detail)
                self.audit.save_alarm(name, detail, at)
                self._say_alarm(str(name), detail, at, cleared=False)
            case effects.ClearAlarm(name, at):
                self.alarms.pop(str(name), None)
                log.info("alarm_cleared name=%s", name)
                self.audit.clear_alarm(name, at)
                self._say_alarm(str(name), "", at, cleared=True)
            case effects.Publish(_, value):
                self._publish(value)
            case effects.Log(level, event, fields):
                log.log(_LEVELS[level], "%s %s", event, " ".join(f"{key}={value}" for key, value in fields.items()))
            case effects.Finished(reason):
                log.info("session_finished reason=%s", reason)
                self.node.stop(0)
            case _:
                self._roll(effect)

    def _roll(self, effect: Effect) -> None:
        match effect:
            case effects.SaveRoll(roll):
                self.audit.save_roll(roll)
            case effects.SwitchContract(roll):
                self.tell(events.SwitchAnswered(self.audit.switch_contract(roll)))
                self.tell_of_changes()
            case effects.AskSpread(number, code):
                self._rolls.ask_spread(number, code)
            case effects.AskOldPosition(number, code):
                self._rolls.ask_position(number, code)
            case effects.BeginAnew(reason):
                raise Rolled(reason)
            case _:
                raise TypeError(f"not an effect that is recorded: {effect!r}")

    def _publish(self, value: effects.Published) -> None:
        node = self.node
        match value:
            case Order():
                node.publish(trader_messages.ORDER, OrderBody.of(value))
            case Fill():
                node.publish(trader_messages.FILL, value)
            case Position():
                node.publish(trader_messages.POSITION, value)
            case Candle():
                node.publish(trader_messages.CANDLE, CandleBody.of(value, self._contract, self._minutes))
            case Divergence():
                node.publish(trader_messages.DIVERGENCE, value)
            case HeatAnswer():
                self.decisions.note_heat(value)
            case effects.DecisionNoted():
                self.decisions.note(value)
                node.publish(trader_messages.DECISION, value)

    def _say_alarm(self, name: str, detail: str, at: Nanos, *, cleared: bool) -> None:
        since = self._alarm_since.pop(name, at) if cleared else self._alarm_since.setdefault(name, at)
        who, scope = ProcessName(self.node.name), scopes.of_session(self.audit.session)
        self.node.publish(ALARM, Alarm(who, name, scope, severity_of(name), since, detail, cleared))

    def _persist(self, unit: effects.Persist, following: deque[Effect] | None) -> None:
        def meanwhile() -> None:
            self._reserve_all()
            while following and isinstance(following[0], effects.Publish):
                self._record(following.popleft())

        failure = self.audit.persist(unit, meanwhile)
        self._reserve_all()
        self.tell_of_changes()
        if unit.ticket is not None:
            self.tell(events.PersistFailed(unit.ticket, failure) if failure else events.Persisted(unit.ticket))
        if unit.ticket is not None and failure and self.audit.is_up:
            # the engine takes every failure for a database that is down; here it is up, and the lease was lost or the
            # row was refused
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

    def _operate(self, method: Method[Q, Outcome], question: Q, to_event: Callable[[Outcome], Event]) -> None:
        """Ask the account manager for an order operation, once; silence means that nobody knows."""

        def replied(reply: Reply[Outcome]) -> None:
            self.tell(to_event(_outcome(reply)))

        self.node.request(self._account, method, question, seconds=self._timing.order, on_reply=replied)

    def _reserve_all(self) -> None:
        while self._reserving:
            self._reserve(self._reserving.popleft())

    def _reserve(self, effect: effects.ReserveHeat) -> None:
        """Ask the portfolio server; the answer is given half a second before the engine stops waiting."""
        order_id, number = effect.order_id, effect.number
        question = HeatQuestion(
            session=self.audit.session,
            fence=self.audit.fence,
            life=effect.life,
            number=number,
            portfolio=effect.portfolio,
            order_id=order_id,
            heat=effect.heat,
            currency=effect.currency,
            product=Contract.parse(self._contract).root,
            contracts=effect.contracts,
            notional=effect.notional,
            is_change=effect.is_change,
        )

        def replied(reply: Reply[HeatGrant]) -> None:
            match reply:
                case Answered(grant):
                    self.tell(events.HeatGranted(order_id, grant.life, grant.number))
                case RequestWasRefused(reason):
                    self.tell(events.HeatRefused(order_id, number, reason))
                case NoAnswer(reason):
                    self.tell(events.HeatUnanswered(order_id, number, reason))

        seconds = max(0.1, (effect.until - self.audit.clock.now()) / SECOND)
        self.node.request(names.PORTFOLIO, RESERVE_HEAT, question, seconds=seconds, on_reply=replied)

    def _ask_orders(self, number: int, question: OrdersQuestion) -> None:
        def replied(reply: Reply[Answer[tuple[ListedOrder, ...]]]) -> None:
            self.tell(events.OrdersAnswered(number, answer_of(reply)))

        self.node.request(self._account, ORDERS, question, seconds=self._timing.question, on_reply=replied)

    def _ask_position(self, number: int, within: float) -> None:
        def replied(reply: Reply[Answer[Position]]) -> None:
            self.tell(events.PositionAnswered(number, answer_of(reply)))

        question = PositionQuestion(Contract.parse(self._contract), within=within)
        self.node.request(self._account, POSITION, question, seconds=self._timing.question, on_reply=replied)


def _outcome(reply: Reply[Outcome]) -> Outcome:
    match reply:
        case Answered(outcome):
            return outcome
        case RequestWasRefused(reason):
            return Refused(reason)
        case NoAnswer(reason):
            return Unanswered(reason)
