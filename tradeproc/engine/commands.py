"""What people and the desk command: latches, flatten, reconcile, stop, and the lease."""

from dataclasses import replace
from typing import assert_never

from tradeproc.domain.orders import OrderSource
from tradeproc.engine import adopt_command, closing, loss_marks, rolls, sending, strategy
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.events import (
    AdoptCommanded,
    FlattenCommanded,
    LeaseChanged,
    ReconcileCommanded,
    StopCommanded,
    TradingState,
    TradingStateSet,
)
from tradeproc.engine.turn import Turn
from tradeproc.protocol import scopes

Command = TradingStateSet | FlattenCommanded | AdoptCommanded | ReconcileCommanded | StopCommanded | LeaseChanged


def obey(turn: Turn, command: Command) -> None:
    """Carry a command out; each may be repeated without harm."""
    match command:
        case TradingStateSet():
            _set_trading_state(turn, command)
        case FlattenCommanded(by, reason):
            rolls.flattened(turn, f"flatten by {by}")
            closing.begin(turn, OrderSource.OPERATOR, f"flatten by {by}: {reason}" if reason else f"flatten by {by}")
        case AdoptCommanded():
            adopt_command.commanded(turn, command)
        case ReconcileCommanded(by):
            turn.state.engine.contradictions.clear()
            turn.clear(AlarmName.ILLEGAL_TRANSITION)
            turn.ask_orders(f"asked by {by}")
            turn.ask_position(f"asked by {by}")
        case StopCommanded():
            _stop(turn, command)
        case LeaseChanged():
            _change_lease(turn, command)
        case _:
            assert_never(command)


def _change_lease(turn: Turn, change: LeaseChanged) -> None:
    """Allow entries only while the lease is held; new orders carry the fence of the lease that was held last."""
    turn.state.engine.is_lease_held = change.is_held
    if change.fence is not None:
        turn.state.setup = replace(turn.state.setup, fence=change.fence)
    if change.is_held:
        turn.clear(AlarmName.LEASE_LOST)
    else:
        turn.alarm(AlarmName.LEASE_LOST, f"entries stop, exits go on: {change.reason}")


def _set_trading_state(turn: Turn, command: TradingStateSet) -> None:
    """Latch a scope; entries that still work are cancelled, for a fill of theirs would be an entry too."""
    engine = turn.state.engine
    engine.latches[command.scope] = command.state
    turn.log(
        "warning",
        "trading_state_set",
        scope=command.scope,
        state=command.state.value,
        by=command.by,
        reason=command.reason,
    )
    if command.state is TradingState.ACTIVE and command.scope == scopes.of_session(turn.state.setup.session):
        strategy.resumed(turn)
        turn.clear(AlarmName.EXTERNAL_CHANGE)
        loss_marks.resumed(turn)
        turn.clear(AlarmName.ROLL_INCOMPLETE)
    if engine.trading is not TradingState.ACTIVE:
        sending.cancel_entries(turn, OrderSource.OPERATOR, f"trading is {engine.trading.value}")


def _stop(turn: Turn, command: StopCommanded) -> None:
    """Enter no more. Without `flatten` what works at the broker goes on working."""
    engine = turn.state.engine
    engine.is_stopping = True
    turn.log("info", "stop_commanded", by=command.by, flatten=command.flatten)
    for order in engine.open_orders:
        sending.withdraw(turn, order, "the session is stopping")
    if command.flatten:
        rolls.flattened(turn, f"stop by {command.by}")
        closing.begin(turn, OrderSource.OPERATOR, f"stop by {command.by}")
