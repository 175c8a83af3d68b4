"""The second half of a roll, in the next contract: what was closed is entered again, protected as it was.

The entry goes out as the broker's own bracket, stop and target moved by the spread. What of it did not fill is
entered again, a few times. It is opened only when the broker tells the old contract as flat.
"""

from dataclasses import replace

from tradeproc.domain.backoff import Backoff
from tradeproc.domain.orders import Order, OrderRole, OrderSource, OrderType, Side, TimeInForce
from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.units import MINUTE, SECOND, Nanos, Ticks
from tradeproc.engine import reservations, roll_progress, sending
from tradeproc.engine.effects import AskOldPosition
from tradeproc.engine.events import TradingState
from tradeproc.engine.limits import Denied, admit_reopening
from tradeproc.engine.state import State
from tradeproc.engine.turn import Turn

MOST_ENTRIES = 5
REOPEN_WITHIN = 30 * MINUTE
_PAUSES = Backoff(1.0, 30.0)


def reopen(turn: Turn, roll: Roll) -> None:
    """Enter what is left to open, once everything that must be known is; end when nothing is left."""
    state, desk = turn.state, turn.state.engine.roll
    if state.setup.spec.contract != roll.next_contract:
        roll_progress.give_up(turn, roll, f"the session trades {state.setup.spec.contract}, not {roll.next_contract}")
        return
    if desk.old is None:
        roll_progress.ask(turn, lambda number: AskOldPosition(number, roll.contract))
    if not state.broker.has_orders:
        return
    orders = [order for each in roll.entry_orders.split() if (order := state.engine.orders.get(each)) is not None]
    if any(not order.state.is_terminal for order in orders):
        roll_progress.wait(turn, f"the entry in {roll.next_contract} is not over")
        return
    left = abs(roll.reopen) - sum(order.filled for order in orders)
    if left <= 0:
        roll_progress.end(turn, roll, RollStep.ROLLED, roll.reason)
    elif why := _ended(state, roll):
        roll_progress.give_up(turn, roll, f"{_rest(roll, left)}: {why}", is_odd=False)
    elif why := _went_wrong(turn, roll):
        roll_progress.give_up(turn, roll, f"{_rest(roll, left)}: {why}")
    elif turn.now >= desk.not_before:
        _enter(turn, roll, left)


def _rest(roll: Roll, left: int) -> str:
    return f"{left} of {abs(roll.reopen)} contracts are not opened again"


def _ended(state: State, roll: Roll) -> str:
    """Return why a roll ends in good order without opening the rest, empty when it does not."""
    if state.engine.trading is not TradingState.ACTIVE:
        return f"trading is {state.engine.trading.value}"
    return "the price has passed its stop" if _is_through(state, roll) else ""


def _went_wrong(turn: Turn, roll: Roll) -> str:
    """Return why a person must look at a roll before anything is opened, empty when nobody must."""
    state, desk, entries = turn.state, turn.state.engine.roll, roll.entry_orders.split()
    if desk.old:
        return f"{desk.old:+d} contracts are open in {roll.contract}, which this session has left"
    if len(entries) >= MOST_ENTRIES:
        last = state.engine.orders.get(entries[-1])
        return f"the entry failed {MOST_ENTRIES} times, the last time: {last.reason if last else 'not sent'}"
    if turn.now - roll.at >= REOPEN_WITHIN:
        return desk.waits or "it took too long"
    if state.broker.is_reconciled and state.engine.holding.quantity and not entries:
        return f"{state.engine.holding.quantity:+d} contracts are open in {roll.next_contract} already"
    return ""


def _enter(turn: Turn, roll: Roll, quantity: int) -> None:
    state, desk = turn.state, turn.state.engine.roll
    if desk.old is None:
        roll_progress.wait(turn, f"the broker has not told the position in {roll.contract}")
        return
    if _last_price(state) is None or desk.plan is None or not desk.plan.is_open:
        roll_progress.wait(turn, f"{roll.next_contract} waits for its market")
        return
    side = Side.BUY if roll.reopen > 0 else Side.SELL
    before = state.engine.counter
    entry = sending.draft(state, turn.now, side, quantity, role=OrderRole.ENTRY)
    admitted = admit_reopening(state, (entry, *_legs(turn, entry, roll)), turn.now)
    refusal = admitted.reason if isinstance(admitted, Denied) else reservations.ask_for_entry(turn, admitted.orders)
    if isinstance(admitted, Denied) or refusal:
        state.engine.counter = before
        roll_progress.wait(turn, f"{roll.next_contract} is not opened yet: {refusal}")
        return
    tries = len(roll.entry_orders.split())
    desk.not_before = Nanos(turn.now + int(_PAUSES.delay(tries + 1)) * SECOND)
    entries = roll_progress.with_order(roll.entry_orders, entry.id)
    turn.keep_roll(replace(roll, step=RollStep.REOPENING, entry_orders=entries, at=turn.now))
    sending.submit_entry(turn, admitted, OrderSource.OPERATOR, f"rolled from {roll.contract}")


def _legs(turn: Turn, entry: Order, roll: Roll) -> list[Order]:
    """Return stop and target of the old contract, moved by the spread; without a stop there is no bracket."""
    if roll.stop is None or roll.spread is None:
        return []
    stop = _leg(turn, entry, OrderRole.STOP_LOSS, stop=Ticks(roll.stop + roll.spread))
    if roll.target is None:
        return [stop]
    return [stop, _leg(turn, entry, OrderRole.PROFIT_TARGET, limit=Ticks(roll.target + roll.spread))]


def _leg(turn: Turn, entry: Order, role: OrderRole, stop: Ticks | None = None, limit: Ticks | None = None) -> Order:
    return sending.draft(
        turn.state,
        turn.now,
        entry.side.opposite,
        entry.quantity,
        role=role,
        type=OrderType.LIMIT if stop is None else OrderType.STOP,
        limit=limit,
        stop=stop,
        time_in_force=TimeInForce.GTC,
        parent=entry.id,
    )


def market_time(state: State) -> Nanos:
    """Return the market time, 0 while nobody knows it; the feed's candles tell it before the history has come."""
    early = state.strategy.early
    return state.strategy.market_at or (early[-1].opened_at if early else Nanos(0))


def _last_price(state: State) -> Ticks | None:
    """Return the newest price that the feed told in this life, None before; history may still be on its way."""
    own = state.strategy
    candle = own.candles.partial or own.candles.newest or (own.early[-1] if own.early else None)
    is_heard = bool(state.broker.market_heard_at)
    return state.setup.instrument.nearest(candle.close) if candle is not None and is_heard else None


def _is_through(state: State, roll: Roll) -> bool:
    price = _last_price(state)
    if price is None or roll.stop is None or roll.spread is None:
        return False
    return (price - roll.stop - roll.spread) * roll.reopen <= 0
