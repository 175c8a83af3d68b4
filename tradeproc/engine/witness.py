"""A second data login as a witness: a feed that tells wrong or frozen prices is found by one that tells others.

Both tell the last price of the same contract. Where the two are apart by more than `witness_ticks` for
`witness_seconds`, nobody knows which is right: an alarm, and no entries until they agree. Exits and stops go on. A
witness that is down testifies to nothing: entries go on, and after a minute an alarm says that it is missing.
"""

from tradeproc.domain.units import SECOND, Ticks
from tradeproc.engine.alarms import AlarmName
from tradeproc.engine.events import StreamKind, WitnessChanged, WitnessPriced
from tradeproc.engine.state import State
from tradeproc.engine.turn import Turn

_MISSED_AFTER = 60 * SECOND


def heard(turn: Turn, event: WitnessPriced | WitnessChanged) -> None:
    """Take what the witness tells, or that its stream goes up or down."""
    watch = turn.state.engine.witness
    if isinstance(event, WitnessPriced):
        watch.last = turn.state.setup.instrument.nearest(event.price)
        compare(turn)
        return
    watch.down = "" if event.is_up else event.reason or "down"
    watch.down_since = None if event.is_up else watch.down_since or turn.now
    if not event.is_up:
        watch.last = None
        compare(turn)


def compare(turn: Turn) -> None:
    """Hold the last prices of both against each other."""
    state = turn.state
    watch, spec = state.engine.witness, state.setup.spec
    ours = _ours(state)
    is_apart = None not in (ours, watch.last) and abs((ours or 0) - (watch.last or 0)) > spec.witness_ticks
    if not is_apart:
        watch.apart_since, watch.is_apart = None, False
        turn.clear(AlarmName.WITNESS_DISAGREES)
        return
    if watch.apart_since is None:
        watch.apart_since = turn.now
    if turn.now - watch.apart_since >= spec.witness_seconds * SECOND:
        watch.is_apart = True
        turn.alarm(AlarmName.WITNESS_DISAGREES, f"{_said(state)}; entries wait until they agree")


def on_time(turn: Turn) -> None:
    """Look at how long the two are apart, and at a witness that is missing; called when time passes."""
    state = turn.state
    if not state.setup.spec.witness_login:
        return
    compare(turn)
    watch = state.engine.witness
    is_market_up = not state.broker.streams[StreamKind.MARKET]
    if watch.down and watch.down_since is None:
        watch.down_since = turn.now
    if not watch.down:
        turn.clear(AlarmName.WITNESS_MISSING)
    elif is_market_up and watch.down_since is not None and turn.now - watch.down_since >= _MISSED_AFTER:
        login = state.setup.spec.witness_login
        turn.alarm(AlarmName.WITNESS_MISSING, f"witness login {login} tells no prices: {watch.down}; entries go on")


def against_entry(state: State) -> str | None:
    """Return why the witness stands against an entry, None when it does not."""
    return _said(state) if state.engine.witness.is_apart else None


def said(state: State) -> str:
    """Return the witness's last price in points, or that it tells none; empty where the session has no witness."""
    watch = state.engine.witness
    if not state.setup.spec.witness_login:
        return ""
    if watch.down or watch.last is None:
        return f"tells no prices: {watch.down or 'none yet'}"
    return f"{state.setup.instrument.price(watch.last):f}"


def _said(state: State) -> str:
    spec, price = state.setup.spec, state.setup.instrument.price
    ours, theirs = _ours(state) or Ticks(0), state.engine.witness.last or Ticks(0)
    return (
        f"last prices differ: {price(ours):f} by login {spec.login_of_data}, "
        f"{price(theirs):f} by the witness {spec.witness_login}"
    )


def _ours(state: State) -> Ticks | None:
    candle = state.strategy.candles.partial or state.strategy.candles.newest
    return None if candle is None else state.setup.instrument.nearest(candle.close)
