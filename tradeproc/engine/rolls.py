"""Out of one contract and into the next: close, confirm flat, change the session's contract, reopen, protect.

    wish         asked for by a person or the rule; it begins when broker, market and spread are known
    closing      `closing.py` cancels all and closes by one market order at a time; each one's id is in the row first
    flat         the broker said so; now the database itself gets the next contract, with the step in one unit
    switched     the trader ends and is restarted: a life is bound to one contract. The new one confirms that the old
                 contract is flat, then enters what the exits have closed, stop and target moved by the spread
    reopening    the entry is out as the broker's own bracket; what it did not fill is entered again, a few times
    rolled, given_up    over; the strategy runs again

Each step is a row before it is acted on, so a life that begins in the midst goes on from the row and from what the
broker says. What was closed otherwise than by the roll, as by its stop, is not opened again. The strategy does not
run meanwhile. A switch that is latched, a stop that the price has passed, an old contract that is not flat and half
an hour of waiting end the roll without opening: then the session is flat, and an alarm says why.
"""

from dataclasses import replace

from tradeproc.domain.orders import OrderRole, OrderSource
from tradeproc.domain.roll_rules import RollMode
from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.units import MINUTE, SECOND, Contracts, Nanos, Ticks
from tradeproc.engine import adoption, closing, reopening, roll_progress, sending
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.effects import AskSpread, BeginAnew, SwitchContract
from tradeproc.engine.events import (
    OldPositionAnswered,
    RollCommanded,
    RollPlanned,
    SpreadAnswered,
    StreamKind,
    SwitchAnswered,
)
from tradeproc.engine.roll_state import RollWish
from tradeproc.engine.state import State
from tradeproc.engine.turn import Turn

BY_RULE = "rule"
_FRESH = 2 * MINUTE
# each answer costs two questions of the login's budget
_SPREAD_AGAIN = 10 * SECOND
_WISH_ENDS_AFTER = 10 * MINUTE
_CRITICAL_DAYS = 2

RollNews = RollPlanned | RollCommanded | SpreadAnswered | OldPositionAnswered | SwitchAnswered


def refusal(state: State) -> str:
    """Return why a roll cannot be asked for now, empty when it can."""
    engine = state.engine
    if engine.roll.open is not None or engine.roll.wish is not None:
        return "a roll is under way already"
    if engine.is_stopping:
        return "the session is stopping"
    return "the position is being closed" if engine.closing is not None else ""


def heard(turn: Turn, event: RollNews) -> None:
    """Take in what was told; `advance` acts on it."""
    desk = turn.state.engine.roll
    match event:
        case RollPlanned():
            _planned(turn, event)
        case RollCommanded(by, next_contract, reason):
            if not refusal(turn.state):
                _wish(turn, RollWish(by, next_contract, reason or f"asked for by {by}", turn.now))
        case SpreadAnswered():
            if event.number == desk.number:
                desk.spread, desk.spread_at = event, turn.now
        case OldPositionAnswered(number, quantity):
            if number == desk.number:
                desk.old = quantity
        case SwitchAnswered(failure):
            _switched(turn, failure)


def flattened(turn: Turn, reason: str) -> None:
    """Open nothing again: somebody wants the session flat while it rolls."""
    desk = turn.state.engine.roll
    if desk.wish is not None:
        desk.wish = None
        roll_progress.go_on(turn)
    if desk.open is not None and desk.open.reopen:
        turn.keep_roll(replace(desk.open, reopen=Contracts(0), reason=reason, at=turn.now))


def advance(turn: Turn) -> None:
    """Go as far as what is known allows; called at the end of every turn, after the closing's own."""
    engine = turn.state.engine
    if engine.is_finished or engine.roll.is_switched:
        return
    if engine.roll.open is None and engine.roll.wish is not None:
        _begin(turn, engine.roll.wish)
    if engine.roll.open is not None and engine.roll.open.step is RollStep.CLOSING:
        _close(turn, engine.roll.open)
    if engine.roll.open is not None and engine.roll.open.step is RollStep.FLAT:
        _switch(turn, engine.roll.open)
    if engine.roll.open is not None and engine.roll.open.step in (RollStep.SWITCHED, RollStep.REOPENING):
        reopening.reopen(turn, engine.roll.open)


def on_time(turn: Turn) -> None:
    """Say that a roll waits for long, and end a wish that cannot begin; called when time passes."""
    desk = turn.state.engine.roll
    if desk.wish is None and desk.open is None:
        _review_plan(turn)
        return
    if desk.waits and turn.now - desk.waits_since >= roll_progress.STUCK_AFTER:
        turn.alarm(AlarmName.ROLL_STUCK, desk.waits)
    if desk.wish is not None and not desk.wish.is_by_rule and turn.now - desk.wish.since >= _WISH_ENDS_AFTER:
        turn.log("warning", "roll_not_begun", by=desk.wish.by, waits=desk.waits)
        desk.wish = None
        roll_progress.go_on(turn)


# --- the plan and the wish


def _planned(turn: Turn, plan: RollPlanned) -> None:
    desk = turn.state.engine.roll
    desk.plan = plan
    _review_plan(turn)
    if plan.is_due and not refusal(turn.state):
        reason = f"{plan.basis} {plan.last_day}, to be rolled on {plan.roll_on}{_why(plan)}"
        _wish(turn, RollWish(BY_RULE, plan.next_contract, reason, turn.now, is_by_rule=True))


def _why(plan: RollPlanned) -> str:
    return f" ({plan.why})" if plan.why else ""


def _review_plan(turn: Turn) -> None:
    """Say that the contract ends soon, and loudly that a position may be caught in it."""
    plan, spec, engine = turn.state.engine.roll.plan, turn.state.setup.spec, turn.state.engine
    policy = spec.roll
    if plan is None or policy.mode is RollMode.OFF or plan.days_left > policy.warn_days:
        turn.clear(AlarmName.ROLL_DUE)
        turn.clear(AlarmName.ROLL_OVERDUE)
        return
    who = "rolls by itself" if policy.mode is RollMode.AUTO else f"scripts/tradectl roll {turn.state.setup.session}"
    when = f"roll into {plan.next_contract} on {plan.roll_on}{_why(plan)}"
    ends = f"{spec.contract}: {plan.basis} {plan.last_day}, {when}: {who}"
    turn.alarm(AlarmName.ROLL_DUE, ends)
    is_late = plan.days_left < 0 if policy.mode is RollMode.AUTO else plan.days_to_end <= _CRITICAL_DAYS
    if is_late and engine.holding.quantity:
        held = f"{engine.holding.quantity:+d} contracts are open"
        turn.alarm(AlarmName.ROLL_OVERDUE, f"{held}, {plan.days_to_end} business days before the end; {ends}")
    else:
        turn.clear(AlarmName.ROLL_OVERDUE)


def _wish(turn: Turn, wish: RollWish) -> None:
    desk = turn.state.engine.roll
    desk.wish, desk.spread, desk.asked_at, desk.not_before = wish, None, None, turn.now
    roll_progress.go_on(turn)
    turn.log("info", "roll_wanted", by=wish.by, into=wish.next_contract, reason=wish.reason)


def _begin(turn: Turn, wish: RollWish) -> None:
    state, desk = turn.state, turn.state.engine.roll
    into = wish.next_contract or (desk.plan.next_contract if desk.plan is not None else "")
    if state.engine.is_stopping or (wish.is_by_rule and not (desk.plan is not None and desk.plan.is_due)):
        desk.wish = None
        roll_progress.go_on(turn)
        return
    if why := _cannot_begin(state, into):
        roll_progress.wait(turn, f"the roll into {into or 'the next contract'} waits: {why}")
        return
    spread = desk.spread
    is_known = spread is not None and spread.spread is not None and turn.now - desk.spread_at <= _FRESH
    # what is flat has no stop to move: then the answer that nobody knows will do
    if not is_known and (state.engine.holding.quantity or spread is None):
        if spread is not None:
            roll_progress.wait(
                turn, f"the roll into {into} waits: the spread is not known: {spread.reason or 'it is old'}"
            )
        roll_progress.ask(turn, lambda number: AskSpread(number, into), every=_SPREAD_AGAIN)
        return
    desk.wish, desk.has_begun = None, True
    roll_progress.go_on(turn)
    turn.keep_roll(_first_row(turn, wish, into, spread if is_known else None))
    turn.log("warning", "roll_begun", into=into, by=wish.by, quantity=state.engine.holding.quantity)
    closing.begin(turn, OrderSource.OPERATOR, f"roll into {into}")
    closing.advance(turn)


def _cannot_begin(state: State, into: str) -> str:
    engine, broker = state.engine, state.broker
    down = [kind.value for kind in StreamKind if broker.streams[kind]]
    # nobody watches the old contract any more when they fill
    foreign = sorted(adoption.foreign_orders(state))
    checks = (
        (not into, "its rule is not known yet"),
        (engine.closing is not None, "the position is being closed"),
        (not broker.is_reconciled, "orders and position are not confirmed"),
        (engine.has_unanswered or bool(broker.unpriced), "an order's fate or price is unknown"),
        (bool(foreign), f"orders of somebody else would be left in the old contract: {', '.join(foreign)}"),
        (bool(down), f"streams are down: {', '.join(down)}"),
        (not engine.is_database_up, "the database is down"),
        (not engine.is_lease_held, "the lease is lost"),
        (engine.roll.plan is None or not engine.roll.plan.is_open, "the market is closed, or closes soon"),
    )
    return next((why for is_so, why in checks if is_so), "")


def _first_row(turn: Turn, wish: RollWish, into: str, spread: SpreadAnswered | None) -> Roll:
    state = turn.state
    state.engine.counter += 1
    held = state.engine.holding.quantity
    return Roll(
        id=f"roll-{sending.client_id(state.setup, state.engine.counter)}",
        session=state.setup.session,
        contract=state.setup.spec.contract,
        next_contract=into,
        step=RollStep.CLOSING,
        by=wish.by,
        reason=wish.reason,
        quantity=held,
        reopen=held,
        spread=None if spread is None else spread.spread,
        price=None if spread is None else spread.price,
        stop=_nearest(state, OrderRole.STOP_LOSS),
        target=_nearest(state, OrderRole.PROFIT_TARGET),
        close_orders="",
        entry_orders="",
        market_at=state.strategy.market_at if spread is None else spread.market_at,
        began_at=turn.now,
        at=turn.now,
    )


def _nearest(state: State, role: OrderRole) -> Ticks | None:
    """Return the price of the working stop or target nearest to the market: of several, that adds the least risk."""
    held = state.engine.holding.quantity
    orders = [each for each in state.engine.open_orders if each.role is role and each.side.sign * held < 0]
    is_stop = role is OrderRole.STOP_LOSS
    prices = [price for each in orders if (price := each.stop if is_stop else each.limit) is not None]
    if not prices:
        return None
    return max(prices) if is_stop == (held > 0) else min(prices)


# --- in the old contract


def _close(turn: Turn, roll: Roll) -> None:
    engine, desk = turn.state.engine, turn.state.engine.roll
    now_closing = engine.closing
    if now_closing is not None:
        desk.has_begun = True
        exit_id = now_closing.exit_id
        if exit_id is not None and exit_id not in roll.close_orders.split():
            turn.keep_roll(
                replace(roll, close_orders=roll_progress.with_order(roll.close_orders, exit_id), at=turn.now)
            )
        return
    if not desk.has_begun or engine.holding.quantity or engine.open_orders:
        desk.has_begun = True
        closing.begin(turn, OrderSource.OPERATOR, f"roll into {roll.next_contract}")
        return
    closed = min(roll_progress.filled(turn.state, roll.close_orders), abs(roll.reopen))
    reopen = Contracts(closed if roll.reopen > 0 else -closed)
    turn.keep_roll(replace(roll, step=RollStep.FLAT, reopen=reopen, at=turn.now))


def _switch(turn: Turn, roll: Roll) -> None:
    """Ask for the next contract to be stored; what filled late is closed first."""
    engine, desk = turn.state.engine, turn.state.engine.roll
    if engine.holding.quantity or engine.open_orders or engine.closing is not None:
        turn.keep_roll(replace(roll, step=RollStep.CLOSING, at=turn.now))
        return
    if not (engine.is_database_up and engine.is_lease_held):
        roll_progress.wait(turn, f"{roll.contract} is flat; the next contract waits for the database to take it")
        return
    if not turn.state.broker.is_reconciled or turn.now < desk.not_before:
        return
    desk.not_before = Nanos(turn.now + roll_progress.AGAIN)
    turn.do(SwitchContract(replace(roll, step=RollStep.SWITCHED, at=turn.now)))


def _switched(turn: Turn, failure: str) -> None:
    desk = turn.state.engine.roll
    if desk.open is None or desk.open.step is not RollStep.FLAT:
        return
    if failure:
        roll_progress.wait(turn, f"{desk.open.contract} is flat; the next contract is not stored: {failure}")
        return
    desk.is_switched = True
    turn.do(BeginAnew(f"session {desk.open.session} trades {desk.open.next_contract} from now on"))
