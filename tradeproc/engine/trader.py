"""The trader: `step(state, event, now)` applies one event and returns what has to be done.

    a candle      market.py → strategy.py → decisions.py → limits.py → sending.py
    an order      broker_events.py → orders.py (the table), or outcomes.py for a reply
    a position    positions.py (ours against the broker's)
    an answer     reconcile.py, positions.py; reservations.py for the portfolio server's
    a command     commands.py → closing.py; a roll rolls.py → closing.py, limits.py
    time          deadlines of all of them

`now` is the wall clock; market time comes with the candles. The state is updated in place: equal histories of events
and moments give equal effects, bit for bit. The effects stand in the order in which they must be carried out.
"""

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Nanos
from tradeproc.engine import (
    adopt_command,
    broker_events,
    closed_entries,
    closing,
    commands,
    early_close,
    events,
    inert_stops,
    loss_marks,
    market,
    outcomes,
    oversized,
    polling,
    positions,
    protection,
    reconcile,
    reservations,
    rolls,
    sending,
    unpriced,
    vanished,
    witness,
)
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
    loss_marks.review(turn)
    closing.advance(turn)
    rolls.advance(turn)
    closed_entries.review(turn)
    return Step(state, turn.effects())


def _apply(turn: Turn, event: Event) -> None:
    match event:
        # the two that come most often stand first
        case events.CandleReceived():
            market.candle_received(turn, event)
        case events.TimePassed():
            _time_passed(turn)
        case events.BarTimed(duration):
            market.bar_timed(turn, duration)
        case (
            events.OrderUpdated()
            | events.PositionUpdated()
            | events.RecordUnreadable()
            | events.BalanceUpdated()
            | events.WitnessPriced()
            | events.WitnessChanged()
        ):
            _apply_news(turn, event)
        case events.StreamChanged():
            broker_events.stream_changed(turn, event)
        case events.WarmedUp(candles):
            market.warmed_up(turn, candles)
        case events.Started():
            reconcile.started(turn, event)
        case (
            events.HeatTermsRead()
            | events.PortfolioHeard()
            | events.HeatGranted()
            | events.HeatRefused()
            | events.HeatUnanswered()
        ):
            reservations.heard(turn, event)
        case (
            events.RollPlanned()
            | events.RollCommanded()
            | events.SpreadAnswered()
            | events.OldPositionAnswered()
            | events.SwitchAnswered()
        ):
            rolls.heard(turn, event)
        case _:
            _apply_reply(turn, event)


News = (
    events.OrderUpdated
    | events.PositionUpdated
    | events.RecordUnreadable
    | events.BalanceUpdated
    | events.WitnessPriced
    | events.WitnessChanged
)


def _apply_news(turn: Turn, event: News) -> None:
    match event:
        case events.OrderUpdated(order):
            broker_events.order_updated(turn, order)
        case events.PositionUpdated(position):
            positions.position_updated(turn, position)
        case events.RecordUnreadable():
            broker_events.record_unreadable(turn, event)
        case events.BalanceUpdated(balance):
            broker_events.balance_updated(turn, balance)
        case events.WitnessPriced() | events.WitnessChanged():
            witness.heard(turn, event)


Reply = (
    events.MarketHoursReceived
    | events.Persisted
    | events.PersistFailed
    | events.DatabaseChanged
    | events.SubmitAnswered
    | events.ModifyAnswered
    | events.CancelAnswered
    | events.OrdersAnswered
    | events.PositionAnswered
)


def _apply_reply(turn: Turn, event: Reply | commands.Command) -> None:
    match event:
        case events.MarketHoursReceived():
            early_close.hours_told(turn, event)
        case events.Persisted(ticket):
            sending.persisted(turn, ticket)
        case events.PersistFailed(ticket, reason):
            sending.persist_failed(turn, ticket, reason)
        case events.DatabaseChanged(is_up, reason):
            sending.database_changed(turn, is_up=is_up, reason=reason)
        case events.SubmitAnswered(order_id, outcome):
            outcomes.submit_answered(turn, order_id, outcome)
        case events.ModifyAnswered(order_id, outcome):
            outcomes.change_answered(turn, order_id, outcome, Waiting.MODIFY)
        case events.CancelAnswered(order_id, outcome):
            outcomes.change_answered(turn, order_id, outcome, Waiting.CANCEL)
        case events.OrdersAnswered(number, orders):
            reconcile.orders_answered(turn, number, orders)
        case events.PositionAnswered(number, position):
            positions.position_answered(turn, number, position)
        case _:
            commands.obey(turn, event)


def _time_passed(turn: Turn) -> None:
    """Look at every deadline; each has one owner."""
    reconcile.pending_on_time(turn)
    reconcile.settle_doubts(turn)
    unpriced.on_time(turn)
    reservations.on_time(turn)
    vanished.on_time(turn)
    polling.on_time(turn)
    positions.on_time(turn)
    inert_stops.on_time(turn)
    protection.on_time(turn)
    adopt_command.on_time(turn)
    witness.on_time(turn)
    oversized.on_time(turn)
    early_close.on_time(turn)
    closing.on_time(turn)
    loss_marks.on_time(turn)
    market.on_time(turn)
    rolls.on_time(turn)
