"""The story of an order is read from its rows alone, whatever their texts, and says what nobody knows."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.book import AT, DIVERGENCE, EVENT, FILL, ORDER, SPEC, moved
from tradeproc.cli.commands.explaining import story_lines
from tradeproc.desk.exit_status import NotFound, WrongUsage
from tradeproc.desk.order_story import decided_on, plain_story, story_of
from tradeproc.domain.book import DecisionMade, DivergenceKind
from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side
from tradeproc.domain.units import Nanos
from tradeproc.engine import events
from tradeproc.engine.recording import Header
from tradeproc.home import Home
from tradeproc.procs.trader.recorder import Recorder
from tradeproc.protocol import names
from tradeproc.store import DatabaseDown, Store
from tradeproc.store.story_rows import OrderStories
from tradeproc.store.writes import divergence_write, orders_write


@pytest.fixture
def stories(url: str) -> Iterator[OrderStories]:
    made = OrderStories(url)
    yield made
    made.close()


def traded(store: Store) -> int:
    """Keep an entry that filled in part and was cancelled, with its stop, and return its session."""
    session = store.create_session(SPEC)
    entry = replace(ORDER, session=session, fence=0)
    stop = replace(
        entry,
        id="abcd1.1.2",
        parent=entry.id,
        side=Side.SELL,
        role=OrderRole.STOP_LOSS,
        type=OrderType.STOP,
        limit=None,
    )
    store.write(orders_write([entry, stop], [EVENT, replace(EVENT, order_id=stop.id)], fence=0))
    part, first = moved(entry, OrderState.PARTIALLY_FILLED, AT + 10, filled=1, broker_id="77")
    ended, second = moved(part, OrderState.CANCELLED, AT + 20, reason="by hand \x1b[31m[bold]")
    store.write(orders_write([part], [first], fence=0, fills=[replace(FILL, session=session)]))
    store.write(orders_write([ended], [second], fence=0))
    store.save_decisions(
        session, [DecisionMade(session, Nanos(AT), Nanos(AT), 1, Nanos(AT - 5), "SubmitBracket", "up\x00up", "")]
    )
    store.write(
        divergence_write(replace(DIVERGENCE, session=session, kind=DivergenceKind.ORDER_FILLED, subject="77"))
    )
    store.save_alarm(session, "order_unanswered", "no reply", Nanos(AT + 5), names.trader(session))
    return session


def test_the_story_is_told_from_the_leg_the_broker_id_and_the_row_number_alike(
    store: Store, stories: OrderStories, tmp_path: Path
) -> None:
    session = traded(store)

    told = [
        plain_story(story_of(stories, Home(tmp_path), named, "morning"))
        for named in ("abcd1.1.1", "77", "1", "abcd1.1.2")
    ]

    assert [each["order"] for each in told] == ["abcd1.1.1"] * 3 + ["abcd1.1.2"]
    assert told[0] == told[1] == told[2]
    assert {each["session"] for each in told} == {session}
    assert [row["id"] for row in told[3]["orders"]] == ["abcd1.1.1", "abcd1.1.2"]


def test_the_timeline_is_in_words_and_harmless(store: Store, stories: OrderStories, tmp_path: Path) -> None:
    session = traded(store)

    text = "\n".join(story_lines(story_of(stories, Home(tmp_path), "abcd1.1.1", None)))

    assert (
        text
        == f"""\
order abcd1.1.1 of session {session}
* entry abcd1.1.1: buy 2 ESH24 stop 4750 limit 4750.25, day; cancelled, 1 filled at unknown; broker id 77: \
by hand \\x1b[31m[bold]
  stop loss abcd1.1.2: sell 2 ESH24 stop 4750, day; pre_sent, 0 filled; broker id unknown

decided
  event: unknown (not recorded any more)
  newest closed bar: unknown
  at 2023-11-14 22:13:20.123, market time 2023-11-14 22:13:20
  the strategy wanted SubmitBracket, because: up\N{REPLACEMENT CHARACTER}up

what happened (UTC)
  2023-11-14 22:13:20.123  abcd1.1.1 order made: made, pre_sent, 0 filled, by strategy
  2023-11-14 22:13:20.123  abcd1.1.2 order made: made, pre_sent, 0 filled, by strategy
  2023-11-14 22:13:20.123  abcd1.1.1 fill: buy 1 at 4750.375, 1 in all
  2023-11-14 22:13:20.123  difference to the broker: order filled of 77: ours 2, the broker's 1 (taken over); \
cause unexplained
  2023-11-14 22:13:20.123  alarm order_unanswered: no reply
  2023-11-14 22:13:20.123  abcd1.1.1 order partially filled: pre_sent -> partially_filled, 1 filled, by broker_stream
  2023-11-14 22:13:20.123  abcd1.1.1 order cancelled: partially_filled -> cancelled, 1 filled, by broker_stream

what it led to
  no round trip yet: what it filled is not closed, or not computed yet"""
    )


def test_an_unknown_or_ambiguous_name_is_said(store: Store, stories: OrderStories, tmp_path: Path) -> None:
    session, home = traded(store), Home(tmp_path)
    store.write(orders_write([], [], [replace(FILL, session=session, cumulative=2)], fence=0).without_fence())
    twin = replace(ORDER, id="abcd1.1.9", session=session, fence=0, broker_id="77")
    store.write(orders_write([twin], [replace(EVENT, order_id=twin.id)], fence=0))

    with pytest.raises(WrongUsage, match="several orders are called 77: abcd1"):
        story_of(stories, home, "77", None)
    for named, of in (("9", "morning"), ("\x00'; drop table orders", None), ("1", None), ("9" * 30, "morning")):
        with pytest.raises(NotFound, match="there is no order"):
            story_of(stories, home, named, of)
    with pytest.raises(NotFound, match="there is no session"):
        story_of(stories, home, "1", "nobody")


def test_its_connection_cannot_write_and_a_database_that_is_away_is_one_line(
    url: str, stories: OrderStories, store: Store, tmp_path: Path
) -> None:
    session = traded(store)
    stories.begin()
    with pytest.raises(DatabaseDown, match="read-only transaction"):
        stories._database.rows("set_desired", {"id": session, "desired": "stopped", "at": AT})

    away = OrderStories("postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(DatabaseDown) as down:
        story_of(away, Home(tmp_path), "1", None)
    assert "\n" not in str(down.value)
    away.close()


def test_the_bar_that_was_decided_on_is_read_from_the_recording(tmp_path: Path) -> None:
    home = Home(tmp_path)
    recorder = Recorder(home.recordings, Header(7, 3, "abcd", SPEC.to_dict(), {}, Nanos(1), "0.1.0"))
    bar = Candle(Nanos(60), Nanos(120), 1.0, 3.0, 0.5, 2.0, 10, 5)
    partial = replace(bar, opened_at=Nanos(120), is_closed=False)
    recorder.note(events.CandleReceived(bar), Nanos(200), ())
    recorder.note(events.CandleReceived(partial), Nanos(210), ())
    recorder.note(events.FlattenCommanded("me"), Nanos(220), ())
    recorder.note(events.TimePassed(), Nanos(230), ())
    recorder.close()

    assert (decided_on(home, 7, 200).event, decided_on(home, 7, 200).candle) == ("CandleReceived", bar)
    assert (decided_on(home, 7, 220).event, decided_on(home, 7, 220).candle) == ("FlattenCommanded", bar)
    assert (decided_on(home, 7, 225).event, decided_on(home, 7, 225).candle) == ("unknown", bar)
    assert (decided_on(home, 7, 240).candle, decided_on(home, 7, 240).why) == (None, "not recorded any more")
    assert decided_on(home, 8, 220).why == "not recorded any more"
