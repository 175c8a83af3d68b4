"""Watch a running session on one screen, or print what processes say as they say it."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import orjson
from rich.console import Console

from tradeproc.bus.codec import Body, Envelope
from tradeproc.cli import reader, tables, words
from tradeproc.cli.outcome import Outcome, SubParsers, positive
from tradeproc.cli.screen import Screen
from tradeproc.cli.view import progress_line
from tradeproc.cli.watch import Watch, first_screen, show
from tradeproc.desk import lookup
from tradeproc.desk.exit_status import NotFound, NotRunning, WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.desk.listed import SessionListed
from tradeproc.desk.subscriber import Subscriber
from tradeproc.domain.texts import shown
from tradeproc.protocol.process_messages import HEARTBEAT
from tradeproc.protocol.trader_messages import STATE

_SECOND = 1.0
_HINT = "Ctrl-C leaves; the session goes on"


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    text = "the live view of a running session, until Ctrl-C"
    parser = subparsers.add_parser("watch", help=text, description=text, parents=parents)
    parser.add_argument("--session", metavar="ID|NAME", help="which one; may be left out when only one runs")
    parser.add_argument("--count", type=positive, metavar="N", help="end after N seconds")
    parser.set_defaults(command=watch)
    text = "print what processes publish, one line a message, until Ctrl-C"
    parser = subparsers.add_parser("tail", help=text, description=text, parents=parents)
    parser.add_argument("topic", nargs="?", default="", help="topics that begin so, as order or candle; default: all")
    parser.add_argument("--process", metavar="NAME", help="only this process, as session-1.trader; default: all")
    parser.add_argument("--count", type=positive, metavar="N", help="end after N messages")
    parser.add_argument("--heartbeats", action="store_true", help="heartbeats as well")
    parser.set_defaults(command=tail)


# --- watch


def watch(desk: Desk, arguments: Namespace) -> Outcome:
    """Show a session: full-screen in a terminal, else a line every few seconds; with --json one each second."""
    row = _running_session(desk, arguments.session)
    screen = first_screen(row, hint=_HINT)
    with closing(Watch(desk, row.id, row.logins, screen)) as watched:
        if arguments.json:
            for number, line in enumerate(_lines(watched), 1):
                print(line, flush=True)
                if number == arguments.count or reader.is_gone():
                    break
            return Outcome(None)
        looks = iter(range(1, 1_000_000_000))
        most = None if arguments.count is None else arguments.count * _LOOKS_A_SECOND
        show(watched, Console(), lambda _: next(looks) == most or reader.is_gone())
    return Outcome(None)


_LOOKS_A_SECOND = 4


def _running_session(desk: Desk, named: str | None) -> SessionListed:
    if named is not None:
        row = lookup.find(desk, named).row
        if row.removed_at is not None:
            raise NotFound("session", named, "it was removed; scripts/tradectl session show tells about it")
        if row.desired != "running":
            raise NotRunning(f"session {row.id} is stopped; scripts/tradectl session start {row.id}")
        return row
    running = [row for row in desk.sessions() if row.desired == "running"]
    if not running:
        raise NotFound("running session", "to watch", "scripts/tradectl sessions lists them")
    if len(running) > 1:
        raise WrongUsage(f"{len(running)} sessions run; name one: --session {running[0].id}")
    return running[0]


def _lines(watched: Watch) -> Iterator[str]:
    while True:
        screen = watched.look(_SECOND)
        yield orjson.dumps(picture(screen), default=str).decode()


def picture(screen: Screen) -> dict[str, Any]:
    """Return a screen as a program wants it: the trader's own summary, every process, and how many bars and fills."""
    return {
        "line": progress_line(screen),
        "market_at": screen.market_at,
        "bars": screen.closed_bars,
        "fills": len(screen.fills),
        "lag_ns": screen.lag_ns,
        "summary": {} if screen.summary is None else STATE.codec.plain(screen.summary),
        "processes": {
            name: {"supervisor": screen.programs.get(name), "state": process.state, "lag_ns": process.lag_ns}
            for name, process in screen.processes.items()
        },
    }


# --- tail


def tail(desk: Desk, arguments: Namespace) -> Outcome:
    """Print messages as they come."""
    listed = desk.processes()
    if not listed:
        raise NotRunning("the desk is not running; scripts/tradectl up starts it")
    if arguments.process and arguments.process not in listed:
        raise NotFound("process", arguments.process, "scripts/tradectl status lists those that run")
    with Subscriber(desk.directory) as listener:
        for number, envelope in enumerate(_heard(desk, listener, arguments), 1):
            print(_as_json(envelope) if arguments.json else _as_text(envelope), flush=True)
            if number == arguments.count:
                break
    return Outcome(None)


def _heard(desk: Desk, listener: Subscriber, arguments: Namespace) -> Iterator[Envelope[Body]]:
    """Yield what is said, also by processes that come later."""
    wants_heartbeats = arguments.heartbeats or HEARTBEAT.name.startswith(arguments.topic or "-")
    while not reader.is_gone():
        for process in [arguments.process] if arguments.process else desk.processes():
            listener.follow(process, arguments.topic)
        for envelope in listener.hear(_SECOND):
            if wants_heartbeats or envelope.topic != HEARTBEAT.name:
                yield envelope


def _as_json(envelope: Envelope[Body]) -> str:
    return orjson.dumps(
        {
            "process": envelope.publisher,
            "topic": envelope.topic,
            "sent_at": envelope.sent_at,
            "epoch": envelope.epoch,
            "sequence": envelope.sequence,
            "body": envelope.body,
        }
    ).decode()


def _as_text(envelope: Envelope[Body]) -> str:
    fields = " ".join(words.pair(key, value) for key, value in envelope.body.items() if value not in (None, "", {}))
    return shown(f"{tables.clock(envelope.sent_at)} {envelope.publisher} {envelope.topic} {fields}")
