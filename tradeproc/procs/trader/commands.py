"""What a trader can be asked and told over the bus."""

from collections.abc import Callable
from dataclasses import replace

from tradeproc.bus.codec import Body
from tradeproc.domain import messages
from tradeproc.domain.candles import Candle
from tradeproc.engine import events
from tradeproc.engine.events import TradingState
from tradeproc.errors import Refusal
from tradeproc.procs.bodies import order_body
from tradeproc.procs.trader.summary import position_of
from tradeproc.procs.trader.trading import Trader
from tradeproc.protocol import scopes
from tradeproc.protocol.scopes import Scope

_SHOWN = 500


class BadCommand(Refusal):
    """A command whose words make no sense; answered as refused."""


def register(trader: Trader) -> None:
    """Serve the trader's methods and snapshots."""
    node = trader.node
    handlers: dict[str, Callable[[Body], Body]] = {
        "state": lambda _: trader.summary(),
        "orders": lambda _: {"orders": [order_body(order) for order in trader.state.engine.orders.values()]},
        "set_trading_state": lambda body: _set(trader, str(body["state"]), body),
        "halt": lambda body: _set(trader, "halted", body),
        "reduce": lambda body: _set(trader, "reducing", body),
        "resume": lambda body: _set(trader, "active", body),
        "flatten": lambda body: _tell(trader, events.FlattenCommanded(_by(body), str(body.get("reason", "")))),
        "reconcile": lambda body: _tell(trader, events.ReconcileCommanded(_by(body))),
        "stop": lambda body: _tell(trader, events.StopCommanded(_by(body), bool(body.get("flatten", False)))),
    }
    for method, handler in handlers.items():
        node.handle(method, handler)
    node.snapshot("state", lambda _: trader.summary())
    node.snapshot("candle", lambda _: {"candles": [_candle_body(trader, candle) for candle in _candles(trader)]})
    node.snapshot("order", lambda _: handlers["orders"]({}))
    node.snapshot("position", lambda _: {"positions": [messages.position_to_body(position_of(trader.state))]})
    node.snapshot("fill", lambda _: {"fills": [messages.fill_to_body(fill) for fill in trader.recent_fills]})


def _set(trader: Trader, word: str, body: Body) -> Body:
    try:
        state = TradingState(word)
    except ValueError:
        raise BadCommand(f"state: {word!r} is none of active, reducing, halted") from None
    scope = str(body.get("scope") or scopes.of_session(trader.session))
    if Scope(scope).login is not None and Scope(scope).login not in trader.spec.logins:
        # the keeper tells all traders of a login's switch: only they know without a database whose logins they need
        return {"trading_state": trader.state.engine.trading.value, "is_concerned": False}
    trader.latch(scope, state, _by(body), str(body.get("reason", "")))
    return {"trading_state": trader.state.engine.trading.value}


def _tell(trader: Trader, event: events.Event) -> Body:
    trader.tell(event)
    return {"trading_state": trader.state.engine.trading.value}


def _by(body: Body) -> str:
    return str(body.get("by") or "operator")


def _candles(trader: Trader) -> list[Candle]:
    series = trader.state.strategy.candles
    closed = [series[index] for index in range(max(0, len(series) - _SHOWN), len(series))]
    return closed if series.partial is None else [*closed, replace(series.partial, is_closed=False)]


def _candle_body(trader: Trader, candle: Candle) -> Body:
    return messages.candle_to_body(candle, trader.spec.contract, trader.spec.minutes, is_history=True)
