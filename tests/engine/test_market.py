"""Which candles run a strategy: new, closed, live or missed ones, in order, and nothing else."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.desk import Desk, candle
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.engine import effects as do
from tradeproc.engine import events
from tradeproc.engine.state import USUAL


def test_history_fills_the_series_and_runs_nothing() -> None:
    desk = Desk()
    desk.tell(events.CandleReceived(candle(2)))
    desk.tell(events.CandleReceived(candle(3, is_closed=False)))

    desk.start(history=3)

    assert desk.strategy.seen == []
    assert len(desk.state.strategy.candles) == 3
    assert desk.state.strategy.candles.partial is not None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.floats(4000, 5000)), max_size=40))
def test_a_replacement_never_runs_the_strategy(told_candles: list[tuple[int, bool, float]]) -> None:
    desk = Desk().start(history=2)

    for number, is_closed, close in told_candles:
        desk.tell(events.CandleReceived(candle(number, close, is_closed=is_closed)))

    ran_on = [view.candle.opened_at for view in desk.strategy.seen]
    assert ran_on == sorted(set(ran_on))
    assert all(opened_at > candle(1).opened_at for opened_at in ran_on)
    newest = max((number for number, is_closed, _ in told_candles if is_closed), default=0)
    assert (candle(newest).opened_at in ran_on) == (newest > 1)


def test_the_view_shows_the_newest_candle_as_the_last_of_the_series() -> None:
    desk = Desk().start()

    desk.bar(4801.0)

    (view,) = desk.strategy.seen
    assert view.candle == view.candles[-1]
    assert view.market_at == view.candle.closed_at
    assert (view.is_idle, view.position, view.average, view.quantity) == (True, 0, None, 1)


def test_forming_candles_are_published_as_they_change_and_repeated_ones_are_not() -> None:
    desk = Desk().start()
    forming = candle(desk.candles, 4801.0, is_closed=False)

    first = desk.tell(events.CandleReceived(forming))
    closed = desk.tell(events.CandleReceived(candle(desk.candles, 4801.0)))
    again = desk.tell(events.CandleReceived(candle(desk.candles, 4801.0)))

    assert [effect for effect in first if isinstance(effect, do.Publish)] == [do.Publish("candle", forming)]
    assert len(closed) == 1
    assert again == ()


def test_a_strategy_that_overruns_its_budget_for_a_bar_is_alarmed_by_name_until_a_bar_keeps_to_it() -> None:
    desk = Desk().start()

    assert not desk.tell(events.BarTimed(USUAL.bar_budget))
    late = desk.tell(events.BarTimed(Nanos(2 * SECOND)))
    later = desk.tell(events.BarTimed(Nanos(3 * SECOND)))
    in_time = desk.tell(events.BarTimed(USUAL.bar_budget))

    (alarm,) = [effect for effect in late if isinstance(effect, do.RaiseAlarm)]
    assert (alarm.name, alarm.detail) == (
        "strategy_overran",
        "strategy scripted took 2.0 s for one bar; its budget is 0.5 s",
    )
    assert [effect for effect in later if not isinstance(effect, do.Log)] == []
    assert [effect.name for effect in in_time if isinstance(effect, do.ClearAlarm)] == ["strategy_overran"]
