"""A trading session at work: every message, reply, command and quarter of a second is one event of the engine.

Translation only: what an event means is `engine/trader.py`, what an effect does is `perform.py`.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from tradeproc.bus.codec import Envelope
from tradeproc.bus.node import Answered, Node, Reply
from tradeproc.clock import monotonic_ns
from tradeproc.domain.answers import Answer, Unknown
from tradeproc.domain.book import Fill
from tradeproc.domain.broker_orders import ListedOrder, ListedPosition, UnreadableRecord
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import Contract
from tradeproc.domain.roll_steps import Roll
from tradeproc.domain.roll_volumes import RollVolume
from tradeproc.domain.units import Nanos
from tradeproc.engine import effects, events
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.events import Event, StreamKind, TradingState
from tradeproc.engine.latched_by import LIMIT
from tradeproc.engine.reopening import market_time
from tradeproc.engine.state import State
from tradeproc.engine.trader import step
from tradeproc.procs.follower import Follower
from tradeproc.procs.trader.audit_trail import AuditTrail
from tradeproc.procs.trader.contract_rolls import RollPlans
from tradeproc.procs.trader.heat_reporter import HeatReporter
from tradeproc.procs.trader.hours import Hours
from tradeproc.procs.trader.past_contracts import PastContracts
from tradeproc.procs.trader.perform import Performer
from tradeproc.procs.trader.recorder import Recorder
from tradeproc.procs.trader.replies import answer_of
from tradeproc.procs.trader.session_profit import SessionProfit
from tradeproc.procs.trader.summary import summary
from tradeproc.procs.trader.terms import Terms
from tradeproc.procs.trader.volume_watch import VolumeWatch
from tradeproc.procs.trader.witness_feed import WitnessFeed
from tradeproc.protocol import feed_messages, names
from tradeproc.protocol.account_messages import (
    BALANCE,
    ORDER,
    POSITION,
    RESYNC,
    STREAM,
    STREAMS,
    AccountFeed,
    StreamStates,
)
from tradeproc.protocol.definitions import NoBody, Topic
from tradeproc.protocol.feed_messages import CandleBody, Candles
from tradeproc.protocol.heat_messages import JointStanding
from tradeproc.protocol.link_messages import HISTORY, HistoryQuestion, Need
from tradeproc.protocol.process_messages import HEARTBEAT
from tradeproc.protocol.scopes import Scope
from tradeproc.protocol.trader_messages import STATE, SessionState
from tradeproc.store.database import DatabaseDown
from tradeproc.store.rows import Latch, SessionRow

log = logging.getLogger(__name__)

B = TypeVar("B")

_KEPT_FILLS = 200
# what a resume ends although the session was not latched
_FORGIVEN = {AlarmName.STRATEGY_FAILED.value, AlarmName.PROFIT_UNKNOWN.value}
_NO_PORTFOLIO = events.HeatTermsRead(None)
_STREAMS: Mapping[AccountFeed, StreamKind] = {"orders": StreamKind.ORDERS, "positions": StreamKind.POSITIONS}


class Trader:
    """One session from the moment its lease is held."""

    def __init__(
        self,
        node: Node,
        row: SessionRow,
        audit: AuditTrail,
        state: State,
        fills: Sequence[Fill],
        recorder: Recorder,
        rolls: Sequence[Roll] = (),
        volumes: Sequence[RollVolume] = (),
    ) -> None:
        self.node, self.session, self.spec = node, row.id, row.spec
        self._timing, self._contract = audit.timing, Contract.parse(row.spec.contract)
        self.audit, self.state, self.clock = audit, state, audit.clock
        self.profit = SessionProfit(state.setup.instrument.point_value, fills)
        self.recorder = recorder
        self.recent_fills: deque[Fill] = deque(fills, maxlen=_KEPT_FILLS)
        # bars and history come from the data login's link, orders and positions through the account manager
        self.data_link, self.account = names.link(row.spec.login_of_data), names.account(row.id)
        self.performer = Performer(node, audit, row.spec, self.account, self.tell)
        self._events: deque[Event] = deque()
        self._is_stepping = False
        self._latched_at: dict[str, int] = {}
        self._latches_read: dict[str, Latch] = {}
        self._streams_asked = self._streams_as_of = 0
        links = [names.link(login) for login in row.spec.logins]
        self._terms = Terms(node, links, row.spec.contract, state.setup.instrument, self._ask_history, self._timing)
        self._is_account_silent = self._is_asking_history = False
        self._hours = Hours(row.spec, self.tell)
        self._plans = RollPlans(row.spec, self.tell, VolumeWatch(node, row.id, row.spec, volumes, audit))
        self._heat = HeatReporter(node, row, audit, state, self.tell, self._joint_limit_reached)
        self._past = PastContracts(node, row.spec, rolls, self._timing)
        self._follow_account()
        self._bars = Follower(
            node,
            self.data_link,
            feed_messages.CANDLE,
            Need("bars", node.name, contract=self._contract, minutes=row.spec.minutes),
            self._candle,
            self._candles,
            self._market,
            self._timing.follower,
        )
        if row.spec.witness_login:
            self._witness = WitnessFeed(node, row.spec, self.tell, self._timing.follower)

    def begin(self, started: events.Started, heat: events.HeatTermsRead = _NO_PORTFOLIO) -> None:
        """Tell the engine that it lives and where, compare the contract's terms, fetch history, and let time pass."""
        self.tell(started)
        self._heat.begin(heat)
        self._terms.ask()
        self.node.every(0.25, self._pass_time)
        self.node.every(1.0, self._look_after)
        self.node.every(5.0, self._read_latches)
        self.node.on_stop(self._say_goodbye)

    # --- the engine

    def tell(self, event: Event) -> None:
        """Give the engine an event and carry out its effects; events that these cause wait their turn."""
        self._events.append(event)
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._events:
                self._step(self._events.popleft())
        finally:
            self._is_stepping = False
        self._say_how_we_are()

    def _step(self, event: Event) -> None:
        began, now = monotonic_ns(), self.clock.now()
        decided = self.state.strategy.decided
        try:
            wanted = step(self.state, event, now).effects
        except BaseException:
            # the process dies of this error: the event that caused it must be on the disk before
            self.recorder.note(event, now, ())
            self.recorder.close()
            raise
        self.recorder.note(event, now, wanted)
        if self.state.strategy.decided > decided:
            self.node.note_work()
        took = Nanos(monotonic_ns() - began)
        following = deque(wanted)
        while following:
            effect = following.popleft()
            if isinstance(effect, effects.Persist):
                for fill in effect.fills:
                    self.profit.add(fill)
                    self.recent_fills.append(fill)
            if isinstance(effect, effects.KeepLatch):
                # a stored latch counts again only when it is newer than this one
                self._latched_at[effect.scope] = self.clock.now()
            self.performer.perform(effect, following)
        if isinstance(event, events.CandleReceived) and event.candle.is_closed:
            # behind what the effects have caused: an entry that is written down by now goes out first
            self._events.append(events.BarTimed(took))

    # --- what is heard

    def _follow_account(self) -> None:
        self._listen(ORDER, self._order)
        self._listen(POSITION, self._position)
        self._listen(BALANCE, lambda balance: self.tell(events.BalanceUpdated(balance)))
        self._listen(STREAM, self._streams)
        self._listen(RESYNC, lambda resync: self._missed(StreamKind(resync.feed)))
        self.node.subscribe(self.account, HEARTBEAT, lambda _: None, lambda _: self._ask_streams())

    def _listen(self, topic: Topic[B], take: Callable[[B], object]) -> None:
        """Listen to a topic of the account manager."""

        def hear(envelope: Envelope[B]) -> None:
            take(envelope.body)
            self.node.note_event(sent_at=envelope.sent_at)

        self.node.subscribe(self.account, topic, hear, self._lost)

    def _order(self, listed: ListedOrder) -> None:
        if isinstance(listed, UnreadableRecord):
            self.tell(events.RecordUnreadable(StreamKind.ORDERS, listed))
        else:
            self.tell(events.OrderUpdated(listed))

    def _position(self, listed: ListedPosition) -> None:
        if isinstance(listed, UnreadableRecord):
            self.tell(events.RecordUnreadable(StreamKind.POSITIONS, listed))
        else:
            self.tell(events.PositionUpdated(listed))

    def _candle(self, envelope: Envelope[CandleBody]) -> None:
        told = envelope.body
        self.tell(events.CandleReceived(told.candle, is_history=told.history))
        self.node.note_event(market_at=told.opened_at, sent_at=envelope.sent_at)

    def _candles(self, told: Candles) -> None:
        """Take what the feed holds; ask for history when that leaves a hole."""
        newest = self.state.strategy.candles.newest
        if newest is not None and told.candles and told.candles[0].opened_at > newest.opened_at:
            self._ask_history()
        for each in told.candles:
            self.tell(events.CandleReceived(each.candle, is_history=True))

    def _market(self) -> None:
        self.tell(events.StreamChanged(StreamKind.MARKET, self._bars.is_up, self._bars.reason))

    def _streams(self, told: StreamStates) -> bool:
        """Take the streams' states, and tell whether they were news."""
        is_news = self._is_news(told)
        if is_news:
            for name, kind in _STREAMS.items():
                self.tell(events.StreamChanged(kind, told.is_up(name), told.reason))
        return is_news

    def _is_news(self, told: StreamStates) -> bool:
        """Tell whether this is newer than what we know of the streams: messages and answers overtake each other."""
        if told.as_of is None:
            return True
        is_news = told.as_of >= self._streams_as_of
        self._streams_as_of = max(told.as_of, self._streams_as_of)
        return is_news

    def _missed(self, kind: StreamKind) -> None:
        self.tell(events.StreamChanged(kind, is_up=True, has_gap=True))

    def _lost(self, reason: str) -> None:
        """Ask again after a message of the account manager was lost; its heartbeat tells when it has restarted."""
        if reason == "gap":
            self._ask_streams()

    def _ask_streams(self) -> None:
        """Ask the account manager how its streams are, after its start or a loss, until it answers."""
        self._streams_asked += 1
        number = self._streams_asked

        def again() -> None:
            if number == self._streams_asked:
                self._ask_streams()

        def replied(reply: Reply[StreamStates]) -> None:
            if number != self._streams_asked:
                return  # asked again since
            if not isinstance(reply, Answered) or not self._streams(reply.body):
                self.node.after(self._timing.again, again)
                return
            for name, kind in _STREAMS.items():
                if reply.body.is_up(name):
                    self._missed(kind)

        self.node.request(self.account, STREAMS, NoBody(), seconds=self._timing.again, on_reply=replied)

    def _listen_for_silence(self) -> None:
        """Count the streams as down while the account manager sends no heartbeat."""
        was_silent = self._is_account_silent
        self._is_account_silent = self.node.silent_for(self.account) > self._timing.silence
        if self._is_account_silent and not was_silent:
            for kind in _STREAMS.values():
                self.tell(events.StreamChanged(kind, is_up=False, reason=f"{self.account} is silent"))
        elif was_silent and not self._is_account_silent:
            self._ask_streams()

    @property
    def _wanted(self) -> int:
        return max(self.state.strategy.wanted + 1, 60)

    def _ask_history(self) -> None:
        """Fetch the history that the strategy wants; the feed is followed already, so no bar is missed between."""
        if self._is_asking_history or not self._terms.is_checked:
            return
        self._is_asking_history = True
        question = HistoryQuestion(self._contract, self.spec.minutes, self._wanted)
        self.node.request(self.data_link, HISTORY, question, seconds=self._timing.history, on_reply=self._history)

    def _history(self, reply: Reply[Answer[tuple[CandleBody, ...]]]) -> None:
        answer = answer_of(reply)
        if isinstance(answer, Unknown):
            self._is_asking_history = False
            log.warning("history_unknown session=%d reason=%s", self.session, answer.reason)
            self.node.after(self._timing.again, self._ask_history)
            return
        self._past.complete([each.candle for each in answer.value], self._wanted, self._complete_history)

    def _complete_history(self, candles: tuple[Candle, ...]) -> None:
        self._is_asking_history = False
        self.tell(events.WarmedUp(candles))

    # --- what is looked after

    def _pass_time(self) -> None:
        self.audit.look_after()
        self.performer.tell_of_changes()
        self.tell(events.TimePassed())

    def _look_after(self) -> None:
        self._hours.look(self.clock.now())
        self.look_at_rule()
        self._listen_for_silence()
        self.performer.decisions.flush(self.audit)
        self.node.publish(STATE, self.summary())

    def look_at_rule(self) -> None:
        """Tell the engine what the rule says of the contract at the market time now."""
        self._plans.look(market_time(self.state))

    def _say_how_we_are(self) -> None:
        if self.state.broker.is_reconciled and self.state.strategy.is_warm:
            alarms = self.performer.alarms
            self.node.set_state("degraded" if alarms else "ready", "; ".join(sorted(alarms)))
        else:
            waiting = "reconciliation" if self.state.strategy.is_warm else "history"
            waiting = waiting if self._terms.is_checked else self._terms.waiting
            self.node.set_state("starting", f"waiting for {waiting}")

    def _read_latches(self) -> None:
        """Read the stored latches, so that a command that did not reach us counts all the same.

        A latch counts when it is newer than ours. A stricter one counts whenever it was stored anew, whatever its
        time, because the clock may have been set.
        """
        terms = self.state.engine.heat.terms
        portfolio = "" if terms is None else terms.portfolio
        # the latch of a portfolio that it was in counts anew when it is put into that again
        read = self._latches_read
        self._latches_read = {each: read[each] for each in read if Scope(each).portfolio in (None, portfolio)}
        try:
            stored = self.audit.latches(self.spec.logins, portfolio, self.spec.account)
        except DatabaseDown as down:
            self.audit.went_down(down)
            self.performer.tell_of_changes()
            return
        for latch in stored:
            known, state = self._latches_read.get(latch.scope), TradingState(latch.state)
            self._latches_read[latch.scope] = latch
            present = self.state.engine.latches.get(latch.scope, TradingState.ACTIVE)
            is_stricter = latch != known and state.severity > present.severity
            if is_stricter or latch.at > self._latched_at.get(latch.scope, 0):
                self.latch(latch.scope, state, latch.by, latch.reason)

    def latch(self, scope: str, state: TradingState, by: str, reason: str) -> None:
        """Set a latch; what is stored counts again only when it is newer than this."""
        self._latched_at[scope] = self.clock.now()
        is_news = self.state.engine.latches.get(scope, TradingState.ACTIVE) is not state
        # a resume also forgives the strategy, whatever the latch was
        if is_news or (state is TradingState.ACTIVE and _is_in_trouble(self.state)):
            self.tell(events.TradingStateSet(scope, state, by, reason))

    def _joint_limit_reached(self, told: JointStanding) -> None:
        """Obey the latch of a portfolio or an account as soon as its server has set it, before the rows are read."""
        scope, reducing = Scope(told.scope), TradingState.REDUCING
        present = self.state.engine.latches.get(scope, TradingState.ACTIVE)
        if told.reached_at > self._latched_at.get(scope, 0) and present.severity < reducing.severity:
            self.latch(scope, reducing, LIMIT, told.reached)

    def summary(self) -> SessionState:
        """Return everything that people and the portfolio want to know of the session."""
        return summary(self.state, self.profit, self.performer.alarms, self.audit)

    def _say_goodbye(self) -> None:
        """Log what stays at the broker, then close the recording, the lease and the journal."""
        working = [order for order in self.state.engine.open_orders if order.state.is_working]
        log.info(
            "session_stopped session=%d position=%+d working_orders=%d: they stay at the broker",
            self.session,
            self.state.engine.holding.quantity,
            len(working),
        )
        self.recorder.close()
        self.performer.decisions.flush(self.audit)
        self.audit.close()


def _is_in_trouble(state: State) -> bool:
    return bool(state.strategy.off) or bool(_FORGIVEN & state.engine.alarms.keys())
