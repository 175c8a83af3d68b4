"""The trader: `step(state, event, now)` applies one event and returns what has to be done.

    a candle      market.py → strategy.py → decisions.py → limits.py → sending.py
    an order      broker.py → orders.py (the table), or outcomes.py for a reply
    a position    positions.py (ours against the broker's)
    an answer     reconcile.py, positions.py
    a command     commands.py → closing.py
    time          deadlines of all of them

`now` is the wall clock; market time comes with the candles. The state is updated in place: equal histories of events
and moments give equal effects, bit for bit. The effects stand in the order in which they must be carried out.
"""

from dataclasses import dataclass

from tradeproc.domain.units import Nanos
from tradeproc.engine import (
    broker,
    closing,
    commands,
    early_close,
    market,
    outcomes,
    positions,
    protection,
    reconcile,
    sending,
    unpriced,
    vanished,
)
from tradeproc.engine import events as told
from tradeproc.engine.effects import Effect
from tradeproc.engine.events import Event
from tradeproc.engine.state import State, Waiting
from tradeproc.engine.turn import Turn


@dataclass(frozen=True, slots=True)
class Step:
    """The state after an event, and the effects in the order in which they must be carried out."""

    state: State
    effects: tuple[Effect, ...]


def step(state: State, event: Event, now: Nanos) -> Step:
    """Apply one event; what does not fit is kept as a row or a log line, and never raises; nor does a strategy."""
    turn = Turn(state, now)
    _apply(turn, event)
    positions.review(turn)
    closing.advance(turn)
    return Step(state, turn.effects())


def _apply(turn: Turn, event: Event) -> None:
    match event:
        case told.CandleTold():
            market.candle_told(turn, event)
        case told.BarTook(duration):
            market.bar_took(turn, duration)
        case told.OrderTold() | told.PositionTold() | told.RecordUnreadable() | told.BalanceTold():
            _apply_news(turn, event)
        case told.TimePassed():
            _time_passed(turn)
        case told.StreamChanged():
            broker.stream_changed(turn, event)
        case told.WarmedUp(candles):
            market.warmed_up(turn, candles)
        case told.Started():
            reconcile.started(turn, event)
        case _:
            _apply_reply(turn, event)


def _apply_news(
    turn: Turn, event: told.OrderTold | told.PositionTold | told.RecordUnreadable | told.BalanceTold
) -> None:
    match event:
        case told.OrderTold(order):
            broker.order_told(turn, order)
        case told.PositionTold(position):
            positions.position_told(turn, position)
        case told.RecordUnreadable():
            broker.record_unreadable(turn, event)
        case told.BalanceTold(balance):
            broker.balance_told(turn, balance)


Reply = (
    told.MarketHoursTold
    | told.Persisted
    | told.PersistFailed
    | told.DatabaseChanged
    | told.SubmitAnswered
    | told.ModifyAnswered
    | told.CancelAnswered
    | told.OrdersAnswered
    | told.PositionAnswered
)


def _apply_reply(turn: Turn, event: Reply | commands.Command) -> None:
    match event:
        case told.MarketHoursTold():
            early_close.hours_told(turn, event)
        case told.Persisted(ticket):
            sending.persisted(turn, ticket)
        case told.PersistFailed(ticket, reason):
            sending.persist_failed(turn, ticket, reason)
        case told.DatabaseChanged(is_up, reason):
            sending.database_changed(turn, is_up=is_up, reason=reason)
        case told.SubmitAnswered(order_id, outcome):
            outcomes.submit_answered(turn, order_id, outcome)
        case told.ModifyAnswered(order_id, outcome):
            outcomes.change_answered(turn, order_id, outcome, Waiting.MODIFY)
        case told.CancelAnswered(order_id, outcome):
            outcomes.change_answered(turn, order_id, outcome, Waiting.CANCEL)
        case told.OrdersAnswered(number, orders):
            reconcile.orders_answered(turn, number, orders)
        case told.PositionAnswered(number, position):
            positions.position_answered(turn, number, position)
        case _:
            commands.obey(turn, event)


def _time_passed(turn: Turn) -> None:
    """Look at every deadline; each has one owner."""
    reconcile.press_pending(turn)
    reconcile.settle_doubts(turn)
    unpriced.press(turn)
    vanished.press(turn)
    reconcile.press(turn)
    positions.press(turn)
    protection.press(turn)
    early_close.press(turn)
    closing.press(turn)
    market.press(turn)
