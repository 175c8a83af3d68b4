"""A simulated life as a table that a person can read: the time, what happened, and what the trader did about it."""

from collections.abc import Sequence

from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.broker_orders import BracketRequest, BrokerOrder
from tradeproc.domain.units import SECOND
from tradeproc.engine import effects, events
from tradeproc.engine.effects import Effect
from tradeproc.engine.events import Event
from tradeproc.simulation.scenario import Scenario
from tradeproc.simulation.world import LivedLife, World

_ROUTINE = events.TimePassed | events.CandleReceived | events.BarTimed | events.BalanceUpdated
_LONGEST = 110


class Story:
    """Collects the lines of a life while it is lived."""

    def __init__(self, scenario: Scenario, steps: Sequence[int] = ()) -> None:
        self._world = World(scenario, steps, self._note)
        self._lines: list[tuple[int, str]] = [(blow.at, f"!! {blow}") for blow in scenario.blows]

    def live(self) -> LivedLife:
        """Live the life."""
        outcome = self._world.run()
        self._lines.append(
            (outcome.at, f"## {outcome.invariant}: {outcome.detail}" if outcome.invariant else "## end")
        )
        return outcome

    def table(self, newest: int = 60) -> str:
        """Return the newest lines, after the troubles and the session in words."""
        told = sorted(self._lines, key=lambda line: line[0])
        end = self._lines[-1][0]
        told = [line for line in told if line[0] <= end]
        head = [_said(self._world.scenario), ""]
        head += [f"{at / SECOND:10.3f}  {text}" for at, text in told[:-newest] if text.startswith("!!")]
        return "\n".join([*head, *(f"{at / SECOND:10.3f}  {text}" for at, text in told[-newest:])])

    def _note(self, session: int, event: Event, wanted: tuple[Effect, ...]) -> None:
        said = list(filter(None, map(_effect, wanted)))
        if isinstance(event, _ROUTINE) and not said:
            return
        now, where = self._world.agenda.now, f"{session}: " if self._world.scenario.sessions > 1 else ""
        self._lines.append((now, f"{where}{_event(event)}"[:_LONGEST]))
        self._lines += [(now, f"    -> {line}"[:_LONGEST]) for line in said]


def _said(scenario: Scenario) -> str:
    policies = ", ".join(policy.value for policy in scenario.policies)
    broker = "tells our ids" if scenario.echoes else "does not tell our ids"
    return (
        f"seed {scenario.seed}: {scenario.length / SECOND / 60:.1f} min, at most {scenario.largest} contracts, "
        f"stop policy {policies}, the broker {broker}; in the end {scenario.ending.value}"
    )


def _event(event: Event) -> str:
    match event:
        case events.OrderUpdated(order):
            return f"told: {_order(order)}"
        case events.PositionUpdated(position):
            return f"told: position {position.quantity:+d}"
        case events.OrdersAnswered(number, Known(orders)):
            open_now = [o for o in orders if isinstance(o, BrokerOrder) and not o.state.is_terminal]
            return f"answer {number}: {len(orders)} orders, open: {'; '.join(map(_order, open_now)) or 'none'}"
        case events.PositionAnswered(number, Known(position)):
            return f"answer {number}: position {position.quantity:+d}"
        case events.OrdersAnswered(number, Unknown(reason)) | events.PositionAnswered(number, Unknown(reason)):
            return f"answer {number}: unknown, {reason}"
        case events.CandleReceived(candle):
            return f"bar closes at {candle.close}" if candle.is_closed else f"bar forms at {candle.close}"
        case events.Started(orders=orders, position=position):
            held = 0 if position is None else position.quantity
            return f"trader starts: knows {len(orders)} orders, position {held:+d}"
        case events.WarmedUp(candles):
            return f"history: {len(candles)} bars"
        case _:
            return str(event)


def _order(order: BrokerOrder) -> str:
    prices = " ".join(f"{price:f}" for price in (order.limit, order.stop) if price is not None)
    what = f"{order.side.value} {order.filled}/{order.quantity} {order.type.value} {prices}".strip()
    return f"…{order.broker_id[-4:]} {order.state.value} {what}"


def _effect(effect: Effect) -> str:
    return _operation(effect) or _record(effect)


def _operation(effect: Effect) -> str:
    match effect:
        case effects.Persist(orders=orders, events=rows, fills=fills):
            moves = [f"{row.order_id} {row.what} {row.after.value} {row.filled}" for row in rows]
            moves += [f"{fill.kind.value} fill {fill.side.value} {fill.quantity} at {fill.price}" for fill in fills]
            return f"write: {'; '.join(moves)}" if moves or orders else ""
        case effects.Send(order_id, request):
            single = request.entry if isinstance(request, BracketRequest) else request
            return f"send {order_id}: {single.role.value} {single.side.value} {single.quantity} {single.type.value}"
        case effects.Modify(order_id):
            return f"modify {order_id}"
        case effects.Cancel(order_id):
            return f"cancel {order_id}"
        case effects.AskOrders(number, reason):
            return f"ask {number} for orders: {reason}"
        case effects.AskPosition(number, reason):
            return f"ask {number} for the position: {reason}"
        case _:
            return ""


def _record(effect: Effect) -> str:
    match effect:
        case effects.RaiseAlarm(name, detail):
            return f"alarm {name}: {detail}"
        case effects.ClearAlarm(name):
            return f"alarm {name} is over"
        case effects.Log(_, event, fields):
            return f"{event} " + " ".join(f"{key}={value}" for key, value in fields.items())
        case effects.KeepLatch(state=state, reason=reason):
            return f"latch {state.value}: {reason}"
        case effects.Finished():
            return "finished"
        case _:
            return ""
