"""`tradectl explain`: the whole story of an order, or what a session knew at a moment, in plain words."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.commands.replaying import state_lines, strategy_apart, utc_time
from tradeproc.cli.outcome import Outcome, SubParsers
from tradeproc.cli.screen import price_of_order
from tradeproc.desk.exit_status import WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.desk.order_story import (
    DecidedOn,
    OrderStory,
    RefusedStory,
    plain_decided_on,
    plain_story,
    refused_of,
    story_of,
)
from tradeproc.desk.session_moment import SessionMoment, moment_of, plain_moment
from tradeproc.domain.texts import shown
from tradeproc.domain.units import SECOND, Nanos
from tradeproc.procs.session_start import database_of
from tradeproc.store.story_rows import OrderStories

UNKNOWN = "unknown"
_SESSION = "session/"
_HELP = (
    "tell the whole story of an order: the bar and the decision behind it, what happened to it, what it led to; or "
    "what a session knew and decided at a moment, and why it did not trade then"
)
Row = dict[str, Any]


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the command of this module."""
    parser = subparsers.add_parser("explain", help=_HELP, description=_HELP, parents=parents)
    text = (
        "our id, the broker's, or with --session which of its orders; with --refused a session; or a session at a "
        "time, as session/1@2026-11-27T14:30:00Z (UTC)"
    )
    parser.add_argument("order", metavar="ORDER", help=text)
    parser.add_argument("--session", metavar="ID|NAME", help="only an order of this session")
    text = "what the strategy of a session wanted and did not get: decisions that led to no order"
    parser.add_argument("--refused", action="store_true", help=text)
    parser.set_defaults(command=command)


def command(desk: Desk, arguments: Namespace) -> Outcome:
    """Tell the story of an order, or what was refused, read from the database without asking any process."""
    moment = _moment(arguments.order)
    with closing(OrderStories(database_of(desk.config, desk.home))) as stories:
        if moment is not None:
            with strategy_apart():
                told = moment_of(stories, desk.home, *moment)
            return Outcome(plain_moment(told), Text("\n".join(moment_lines(told))))
        if arguments.refused:
            found = refused_of(stories, desk.home, arguments.order)
            value = {"session": found.session, "refused": found.refused}
            newest = {"newest_decided_on": plain_decided_on(found.decided_on)} if found.refused else {}
            return Outcome({**value, **newest}, Text("\n".join(refused_lines(found))))
        story = story_of(stories, desk.home, arguments.order, arguments.session)
    return Outcome(plain_story(story), Text("\n".join(story_lines(story))))


def _moment(word: str) -> tuple[str, Nanos] | None:
    """Return the session and the time that a word as session/1@TIME names; None for the id of an order.

    Raises:
        WrongUsage: what stands after the sign is no time.
    """
    name, sign, time = word.removeprefix(_SESSION).rpartition("@")
    if not word.startswith(_SESSION) or not sign or not name:
        return None
    try:
        return name, utc_time(time)
    except (ValueError, OverflowError):
        raise WrongUsage(f"{time!r} is no time; write one as session/1@2026-11-27T14:30:00Z (UTC)") from None


def moment_lines(told: SessionMoment) -> list[str]:
    """Return what a session knew at a moment as a person reads it; texts are escaped."""
    known = told.recorded
    given = ", ".join(f"{name} {value}" for name, value in known.arguments.items()) or "its defaults"
    life = "" if known.life is None else f", the life under lease {known.life}"
    lines = [f"session {told.session} at {_time(told.at)} UTC{life}", *known.notes]
    if known.strategy:
        lines.append(f"strategy: {known.strategy}, arguments: {given}")
    if known.missing:
        lines.append(known.missing)
    else:
        lines += [f"why no entry: {known.why or 'nothing stood against one'}", f"entries: {known.entries}"]
        lines += ["", "what it knew", *state_lines(known.state)]
    lines += ["", told.missing] if told.missing else ["", *_rows_of_moment(told)]
    return [shown(each) for each in lines]


def _rows_of_moment(told: SessionMoment) -> Iterator[str]:
    yield "decided until then, the newest last (UTC)"
    for row in told.decisions:
        times = "" if row["times"] == 1 else f" to {_time(row['at'])}, {row['times']} times in a row"
        why = f", because: {row['reason']}" if row["reason"] else ""
        refused = f"; refused: {row['refusal']}" if row["refusal"] else ""
        yield f"  {_time(row['began_at'])}{times}: {row['decision']}{why}{refused}"
        if row["limits"]:
            yield f"    limits then: {_limits(row)}"
    if not told.decisions:
        yield "  none is kept"
    yield "alarms that stood"
    yield from (f"  {row['name']} since {_time(row['at'])}: {row['detail']}" for row in told.alarms)
    if not told.alarms:
        yield "  none"
    for row in told.blocks:
        yield f"portfolio {row['portfolio']} refused entries since {_time(row['began_at'])}: {row['reason']}"


def story_lines(story: OrderStory) -> list[str]:
    """Return a story as a person reads it: what it is, the timeline, what it led to; texts are escaped."""
    lines = [
        *([story.missing, ""] if story.missing else []),
        *_what(story),
        "",
        "decided",
        *(f"  {each}" for each in _decided(story)),
        "",
        "what happened (UTC)",
        *_timeline(story),
        "",
        "what it led to",
        *(f"  {each}" for each in _led_to(story)),
    ]
    return [shown(each) for each in lines]


def refused_lines(found: RefusedStory) -> list[str]:
    """Return a session's refused decisions as a person reads them, oldest first; texts are escaped."""
    lines = [f"refused decisions of session {found.session}, oldest first (UTC)"]
    for row in found.refused:
        times = "once" if row["times"] == 1 else f"{row['times']} times in a row since {_time(row['began_at'])}"
        why = f", because: {row['reason']}" if row["reason"] else ""
        lines.append(f"  {_time(row['at'])}, {times}: {row['decision']}{why}; refused: {row['refusal']}")
        if row["limits"]:
            lines.append(f"    limits then: {_limits(row)}")
    if found.refused:
        lines += ["the newest was decided on", *(f"  {each}" for each in _decided_on(found.decided_on))]
    else:
        lines.append("  none is kept")
    return [shown(each) for each in lines]


def _limits(row: Row) -> str:
    return ", ".join(f"{name} {used}" for name, used in row["limits"].items())


def _what(story: OrderStory) -> Iterator[str]:
    yield f"order {story.asked['id']} of session {story.asked['session']}"
    for row in story.orders:
        mark = "*" if row["id"] == story.asked["id"] else " "
        reason = f": {row['reason']}" if row["reason"] else ""
        yield (
            f"{mark} {row['role'].replace('_', ' ')} {row['id']}: {row['side']} {row['quantity']} {row['contract']} "
            f"{price_of_order(row['limit_price'], row['stop_price'])}, {row['time_in_force']}; {row['state']}, "
            f"{row['filled']} filled{_average(row)}; broker id {row['broker_id'] or UNKNOWN}{reason}"
        )


def _average(row: Row) -> str:
    if not row["filled"]:
        return ""
    return f" at {UNKNOWN if row['average'] is None else tables.number(row['average'])}"


def _decided(story: OrderStory) -> Iterator[str]:
    yield from _decided_on(story.decided_on)
    entry = story.orders[0]
    yield f"at {_time(entry['created_at'])}, market time {tables.when(entry['market_at'])}"
    for row in story.decisions:
        why = f", because: {row['reason']}" if row["reason"] else ""
        yield f"the strategy wanted {row['decision']}{why}" + (
            f"; refused: {row['refusal']}" if row["refusal"] else ""
        )
        if row["limits"]:
            yield f"limits then: {_limits(row)}"
    if not story.decisions:
        yield "what the strategy wanted: unknown; no decision is kept for that moment, or the trader made the order"


def _decided_on(found: DecidedOn) -> Iterator[str]:
    bar = found.candle
    yield f"event: {found.event}" + (f" ({found.why})" if found.why else "")
    if bar is None:
        yield f"newest closed bar: {UNKNOWN}"
    else:
        prices = f"open {bar.open:g}, high {bar.high:g}, low {bar.low:g}, close {bar.close:g}, volume {bar.volume}"
        yield f"newest closed bar: {tables.when(bar.opened_at)} to {tables.when(bar.closed_at)} UTC, {prices}"
    if found.strategy:
        given = ", ".join(f"{name} {value}" for name, value in found.arguments.items()) or "its defaults"
        yield f"strategy: {found.strategy}, arguments: {given}"


def _timeline(story: OrderStory) -> list[str]:
    moments = [(row["at"], _event(row) + _where(row)) for row in story.events]
    moments += [(row["at"], _fill(row) + _where(row)) for row in story.fills]
    moments += [(row["at"], f"by no order of ours: {_fill(row)}") for row in story.outside]
    moments += [moment for row in story.heat for moment in _heat(row)]
    moments += [moment for row in story.blocks for moment in _block(row)]
    moments += [(row["at"], _roll(row) + _where(row)) for row in story.rolls]
    moments += [
        (
            row["at"],
            f"difference to the broker: {row['kind'].replace('_', ' ')} of {row['subject']}: ours {row['ours']}, "
            f"the broker's {row['brokers']} (taken over); cause {row['cause']}{_where(row)}",
        )
        for row in story.divergences
    ]
    moments += [(row["at"], f"alarm {row['name']}: {row['detail']}{_where(row)}") for row in story.alarms]
    moments.sort(key=lambda pair: pair[0])
    return [f"  {_time(at)}  {text}" for at, text in moments] or ["  nothing is recorded"]


def _where(row: Row) -> str:
    return " (not in the database yet: it waits in the journal)" if row.get("waiting") else ""


def _heat(row: Row) -> Iterator[tuple[int, str]]:
    money = f"{tables.number(row['heat'])} {row['currency']}"
    of = f"portfolio {row['portfolio']}"
    yield row["asked_at"], f"{row['order_id']} heat of {money} asked of {of}"
    why = f": {row['reason']}" if row["reason"] else ""
    yield row["at"], f"{row['order_id']} heat of {money} {row['answer']} by {of}{why}"


def _block(row: Row) -> Iterator[tuple[int, str]]:
    yield row["began_at"], f"portfolio {row['portfolio']} refuses entries: {row['reason']}"
    if row["ended_at"] is not None:
        yield row["ended_at"], f"portfolio {row['portfolio']} refuses entries no more"


def _roll(row: Row) -> str:
    what = f"roll {row['id']} from {row['contract']} into {row['next_contract']}: {row['step'].replace('_', ' ')}"
    return f"{what}, {row['quantity']:+d} held, {row['reopen']:+d} to open again, by {row['by']}: {row['reason']}"


def _event(row: Row) -> str:
    before, after = row["before"], row["after"]
    change = f"made, {after}" if before is None else after if before == after else f"{before} -> {after}"
    details = "; ".join(f"{name} {value}" for name, value in row["details"].items())
    told = f"{row['order_id']} {row['what'].replace('_', ' ')}: {change}, {row['filled']} filled, by {row['source']}"
    return f"{told}; {details}" if details else told


def _fill(row: Row) -> str:
    price = UNKNOWN if row["price"] is None else tables.number(row["price"])
    kind = "" if row["kind"] == "own" else f" ({row['kind']})"
    return f"{row['order_id']} fill{kind}: {row['side']} {row['quantity']} at {price}, {row['cumulative']} in all"


def _led_to(story: OrderStory) -> Iterator[str]:
    for row in story.trades:
        prices = [UNKNOWN if row[key] is None else tables.number(row[key]) for key in ("entry_price", "exit_price")]
        profit = UNKNOWN if row["profit"] is None else f"{row['profit']:+,.2f}"
        yield (
            f"trade {row['number']}: {row['side']} {row['quantity']} {row['contract']} from {prices[0]} "
            f"to {prices[1]}, closed {_time(row['exited_at'])}, profit {profit} before fees"
        )
    if not story.trades:
        yield "no fill" if not story.fills else "no round trip yet: what it filled is not closed, or not computed yet"


def _time(at: int) -> str:
    return f"{tables.when(at)}.{at % SECOND // 1_000_000:03d}"
