"""What a trader can be asked and told over the bus."""

import os
from dataclasses import replace

from tradeproc.domain.instruments import Contract, check_listed
from tradeproc.domain.orders import OrderRole
from tradeproc.domain.roll_rules import NoRoll, check_roll
from tradeproc.engine import adopt_command, events, rolls
from tradeproc.engine.events import TradingState
from tradeproc.errors import Refusal
from tradeproc.procs.trader.summary import position_of
from tradeproc.procs.trader.trading import Trader
from tradeproc.protocol import scopes
from tradeproc.protocol import trader_messages as said
from tradeproc.protocol.feed_messages import CandleBody, Candles
from tradeproc.protocol.trader_messages import (
    AdoptPosition,
    Command,
    Fills,
    Orders,
    PositionAdopted,
    Positions,
    Switch,
    TradingStateNow,
    order_bodies,
)

_SHOWN = 500


def register(trader: Trader) -> None:
    """Serve the trader's methods and snapshots."""
    node = trader.node

    def orders() -> Orders:
        return Orders(order_bodies(tuple(trader.state.engine.orders.values())))

    node.handle(said.ASK_STATE, lambda _: trader.summary())
    node.handle(said.ASK_ORDERS, lambda _: orders())
    node.handle(said.SET_TRADING_STATE, lambda wanted: _set(trader, TradingState(wanted.state), wanted))
    node.handle(said.HALT, lambda wanted: _set(trader, TradingState.HALTED, wanted))
    node.handle(said.REDUCE, lambda wanted: _set(trader, TradingState.REDUCING, wanted))
    node.handle(said.RESUME, lambda wanted: _set(trader, TradingState.ACTIVE, wanted))
    node.handle(said.FLATTEN, lambda wanted: _tell(trader, events.FlattenCommanded(_by(wanted), wanted.reason)))
    node.handle(said.ADOPT, lambda wanted: _adopt(trader, wanted))
    node.handle(said.RECONCILE, lambda wanted: _tell(trader, events.ReconcileCommanded(_by(wanted))))
    node.handle(said.ROLL, lambda wanted: _roll(trader, wanted))
    node.handle(said.STOP, lambda wanted: _stop(trader, wanted))
    node.snapshot(said.STATE, trader.summary)
    node.snapshot(said.CANDLE, lambda: Candles(candles=tuple(_candles(trader)), up=True))
    node.snapshot(said.ORDER, orders)
    node.snapshot(said.POSITION, lambda: Positions((position_of(trader.state),)))
    node.snapshot(said.FILL, lambda: Fills(tuple(trader.recent_fills)))


def _set(trader: Trader, state: TradingState, wanted: Switch) -> TradingStateNow:
    scope = wanted.scope or scopes.of_session(trader.session)
    terms = trader.state.engine.heat.terms
    portfolio = "" if terms is None else terms.portfolio
    is_shared = scope.login is not None or scope.account is not None or scope.portfolio is not None
    if is_shared and not scope.concerns(trader.session, trader.spec.logins, portfolio, trader.spec.account):
        # the keeper sends such a switch to all traders, because without a database only they know what they belong to
        return TradingStateNow(trader.state.engine.trading.value, is_concerned=False)
    trader.latch(scope, state, _by(wanted), wanted.reason)
    return TradingStateNow(trader.state.engine.trading.value)


class NotAdopted(Refusal):
    """A stop that a person wants and that cannot be placed; answered as refused, in one line."""


def _adopt(trader: Trader, wanted: AdoptPosition) -> PositionAdopted:
    if why := adopt_command.refusal(trader.state, wanted.stop):
        raise NotAdopted(why)
    trader.tell(events.AdoptCommanded(_by(wanted), wanted.stop, wanted.reason))
    engine = trader.state.engine
    stops = [order for order in engine.open_orders if order.role is OrderRole.STOP_LOSS]
    return PositionAdopted(engine.holding.quantity, order_bodies(stops))


class NotMeant(Refusal):
    """A stop that was meant for a life of this trader before it; answered as refused."""


def _stop(trader: Trader, wanted: said.StopTrading) -> TradingStateNow:
    if wanted.pid not in (0, os.getpid()):
        raise NotMeant(f"process {wanted.pid} was to stop; this is its successor")
    return _tell(trader, events.StopCommanded(_by(wanted), wanted.flatten))


def _tell(trader: Trader, event: events.Event) -> TradingStateNow:
    trader.tell(event)
    return TradingStateNow(trader.state.engine.trading.value)


def _roll(trader: Trader, wanted: said.RollSession) -> said.RollAsked:
    trader.look_at_rule()
    plan = trader.state.engine.roll.plan
    into = wanted.next_contract or (plan.next_contract if plan is not None else "")
    if not into:
        raise NoRoll("the market time is not known yet, so no rule says into what; name it with --to")
    check_roll(Contract.parse(trader.spec.contract), Contract.parse(into))
    check_listed(into)
    if why := rolls.refusal(trader.state):
        raise NoRoll(why)
    trader.tell(events.RollCommanded(_by(wanted), into, wanted.reason))
    return said.RollAsked(trader.spec.contract, into)


def _by(wanted: Command) -> str:
    return wanted.by or "operator"


def _candles(trader: Trader) -> list[CandleBody]:
    series = trader.state.strategy.candles
    told = [series[index] for index in range(max(0, len(series) - _SHOWN), len(series))]
    if series.partial is not None:
        told.append(replace(series.partial, is_closed=False))
    spec = trader.spec
    return [CandleBody.of(candle, spec.contract, spec.minutes, is_history=True) for candle in told]
