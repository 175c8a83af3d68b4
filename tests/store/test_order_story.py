"""The story of an order is read from its rows alone, whatever their texts, and says what nobody knows."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.store.book import AT, DIVERGENCE, EVENT, FILL, ORDER, SPEC, moved
from tradeproc.cli.commands.explaining import moment_lines, refused_lines, story_lines
from tradeproc.clock import wall_ns
from tradeproc.desk.exit_status import NotFound, WrongUsage
from tradeproc.desk.order_story import decided_on, plain_story, refused_of, story_of
from tradeproc.desk.session_moment import moment_of
from tradeproc.domain.book import DecisionMade, DivergenceKind, FillKind
from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import OrderRole, OrderState, OrderType, Side
from tradeproc.domain.portfolio import HeatAnswer
from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.units import SECOND, Contracts, Money, Nanos, Price, Ticks
from tradeproc.engine import events
from tradeproc.engine.recording import Header
from tradeproc.home import Home
from tradeproc.procs.trader.recorder import Recorder
from tradeproc.protocol import names
from tradeproc.store import DatabaseDown, Store
from tradeproc.store.journal import Journal, journal_path
from tradeproc.store.story_rows import OrderStories
from tradeproc.store.writes import alarm_write, divergence_write, orders_write, roll_write


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
    assert (decided_on(home, 7, 200).strategy, decided_on(home, 7, 200).arguments) == (SPEC.strategy, SPEC.arguments)


def lines_of(stories: OrderStories, home: Home, named: str = "abcd1.1.1") -> str:
    return "\n".join(story_lines(story_of(stories, home, named, None)))


def test_limits_heat_rolls_and_what_others_did_are_part_of_the_story(
    store: Store, stories: OrderStories, tmp_path: Path
) -> None:
    session = traded(store)
    limits = {"max_order": "2 of 2", "heat": "125 USD asked of portfolio main"}
    wanted = DecisionMade(session, Nanos(AT), Nanos(AT), 1, Nanos(AT), "SubmitBracket", "up", "", limits)
    store.save_decisions(session, [wanted])
    answer = HeatAnswer(
        session, "abcd1.1.1", "main", Money(Decimal("125.50")), "USD", Nanos(AT + 1), Nanos(AT + 2), "granted", ""
    )
    for _ in range(2):  # told again, because the reply was lost: kept once
        store.save_heat_answers(session, [answer, replace(answer, order_id="abcd1.9.9")])
    assert len(store.heat_answers(session)) == 2
    roll = Roll(
        "roll-1", session, "ESH24", "ESM24", RollStep.CLOSING, "anna", "why \x1b[1m", Contracts(1), Contracts(1),
        Ticks(200), Ticks(19200), None, None, "", "", Nanos(AT), Nanos(AT + 3), Nanos(AT + 3),
    )  # fmt: skip
    store.write(roll_write(roll))
    store.write(roll_write(replace(roll, close_orders="abcd1.1.2 abcd1.1.7", at=Nanos(AT + 4))))
    store.write(roll_write(replace(roll, id="roll-2", close_orders="abcd1.1.8", at=Nanos(AT + 5))))
    by_hand = replace(
        FILL, session=session, order_id="hand", kind=FillKind.EXTERNAL, price=Price(Decimal(4751)), at=Nanos(AT + 6)
    )
    store.write(orders_write([], [], [by_hand], fence=0).without_fence())

    text = lines_of(stories, Home(tmp_path))

    assert "limits then: heat 125 USD asked of portfolio main, max_order 2 of 2" in text
    assert "abcd1.1.1 heat of 125.5 USD asked of portfolio main\n" in text
    assert text.count("abcd1.1.1 heat of 125.5 USD granted by portfolio main\n") == 1
    assert "abcd1.9.9" not in text
    closing = "roll roll-1 from ESH24 into ESM24: closing, +1 held, +1 to open again, by anna: why \\x1b[1m"
    assert text.count(closing) == 2, "both steps, also the one before the order was made"
    assert "roll-2" not in text
    assert "by no order of ours: hand fill (external): buy 1 at 4751" in text


def test_what_waits_in_the_journal_is_told_as_such_and_once(
    store: Store, stories: OrderStories, tmp_path: Path
) -> None:
    session, home = traded(store), Home(tmp_path)
    (entry,) = [each for each in store.orders(session) if each.id == "abcd1.1.1"]
    late, event = moved(entry, OrderState.FILLED, AT + 30, filled=2)
    exit_order = replace(entry, id="abcd1.1.5", parent=entry.id, role=OrderRole.STOP_LOSS, broker_id="99", revision=1)
    journal = Journal(journal_path(home.journal, session))
    journal.append(orders_write([late], [event], [replace(FILL, session=session, cumulative=2)], fence=0))
    journal.append(orders_write([exit_order], [replace(EVENT, order_id=exit_order.id)], fence=0))
    journal.append(alarm_write(session, "stop_missing", "naked", Nanos(AT + 31), names.trader(session)))
    journal.append(alarm_write(session + 1, "stop_missing", "another's", Nanos(AT + 31), names.trader(session + 1)))
    journal.close()

    text, waits = lines_of(stories, home), " (not in the database yet: it waits in the journal)"

    assert f"abcd1.1.1 order filled: cancelled -> filled, 2 filled, by broker_stream{waits}" in text
    assert f"abcd1.1.5 order made: made, pre_sent, 0 filled, by strategy{waits}" in text
    assert f"alarm stop_missing: naked{waits}" in text
    assert "another's" not in text
    assert "abcd1.1.1: buy 2 ESH24 stop 4750 limit 4750.25, day; filled, 2 filled" in text
    assert lines_of(stories, home, "99").startswith(f"order abcd1.1.5 of session {session}")

    journal = Journal(journal_path(home.journal, session))
    journal.replay(store)
    journal.close()
    assert waits not in lines_of(stories, home)


def test_while_the_database_is_away_the_journal_alone_is_told_and_says_so(tmp_path: Path) -> None:
    home, away = Home(tmp_path), OrderStories("postgresql://nobody@127.0.0.1:9/none")
    journal = Journal(journal_path(home.journal, 1))
    journal.append(orders_write([ORDER], [EVENT], fence=0))
    journal.close()
    with journal_path(home.journal, 1).open("ab") as file:
        file.write(b"00000000 torn\n")

    story = story_of(away, home, ORDER.id, None)

    lines = story_lines(story)
    assert lines[0].startswith("the database is away, so only what waits in the journal is told: ")
    assert any("order made: made, pre_sent" in line and "waits in the journal" in line for line in lines)
    with pytest.raises(DatabaseDown):
        story_of(away, home, "another", None)
    away.close()


def test_refused_decisions_are_told_with_their_count_and_the_limits_then(
    store: Store, stories: OrderStories, tmp_path: Path
) -> None:
    session = traded(store)
    assert refused_lines(refused_of(stories, Home(tmp_path), "morning"))[-1] == "  none is kept"
    refused = DecisionMade(
        session, Nanos(AT + 50), Nanos(AT + 70), 3, Nanos(AT), "SubmitBracket", "up", "too \x1b[1m many",
        {"max_order": "9 of 2"},
    )  # fmt: skip
    store.save_decisions(session, [refused])

    lines = refused_lines(refused_of(stories, Home(tmp_path), str(session)))

    assert lines[1:3] == [
        "  2023-11-14 22:13:20.123, 3 times in a row since 2023-11-14 22:13:20.123: SubmitBracket, because: up; "
        "refused: too \\x1b[1m many",
        "    limits then: max_order 9 of 2",
    ]
    assert "  event: unknown (not recorded any more)" in lines
    with pytest.raises(NotFound, match="there is no session"):
        refused_of(stories, Home(tmp_path), "nobody")


def test_a_moment_of_a_session_tells_the_decisions_until_then_and_the_alarms_that_stood(
    store: Store, stories: OrderStories, tmp_path: Path
) -> None:
    session = traded(store)
    later = DecisionMade(
        session, Nanos(AT + 50), Nanos(AT + 70), 3, Nanos(AT), "ClosePosition", "", "not \x1b[1m now"
    )
    store.save_decisions(session, [later])

    def at(moment: int) -> list[str]:
        return moment_lines(moment_of(stories, Home(tmp_path), "morning", Nanos(moment)))

    first, second = at(AT + 4), at(AT + 60)

    assert first[:2] == [
        f"session {session} at 2023-11-14 22:13:20.123 UTC",
        f"no recording of session {session} is kept, so what it knew is not known",
    ]
    assert [line.strip() for line in first if "Bracket" in line or "Position" in line] == [
        "2023-11-14 22:13:20.123: SubmitBracket, because: up\N{REPLACEMENT CHARACTER}up"
    ]
    assert first[-1] == "  none", "the alarm came a moment later"
    assert second[-1] == "  order_unanswered since 2023-11-14 22:13:20.123: no reply"
    assert any("3 times in a row: ClosePosition; refused: not \\x1b[1m now" in line for line in second)
    store.clear_alarms(session, "order_unanswered", Nanos(AT + 80))
    assert at(AT + 90)[-1] == "  none"
    assert at(AT + 60) == second, "what stood then stands there for ever"
    with pytest.raises(NotFound, match="there is no session"):
        moment_of(stories, Home(tmp_path), "nobody", Nanos(AT))
    with pytest.raises(WrongUsage, match="lies ahead"):
        moment_of(stories, Home(tmp_path), "morning", Nanos(wall_ns() + 3_600 * SECOND))
