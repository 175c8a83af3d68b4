"""Halt, resume, reduce, flatten; and listening to what processes say."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import suppress
from queue import Empty, Queue
from threading import Thread
from typing import Any

import orjson
from rich.text import Text

from tradeproc.bus.codec import Envelope
from tradeproc.cli import tables
from tradeproc.cli.desk import KEEPER, Desk
from tradeproc.cli.exits import CommandFailed, NotRunning
from tradeproc.cli.outcome import Outcome, SubParsers
from tradeproc.errors import TradeprocError

_SECONDS = 30.0
_COMMANDS = (
    ("halt", "enter no more positions; exits and protection go on; stays until resumed, over every restart"),
    ("resume", "allow entries again"),
    ("reduce", "exits only: positions may shrink, not grow"),
    ("flatten", "cancel all working orders and close all positions at the market, now"),
)


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    for name, text in _COMMANDS:
        parser = subparsers.add_parser(name, help=text, description=text, parents=parents)
        parser.add_argument("--session", metavar="ID|NAME", help="only this session; default: the whole desk")
        parser.add_argument("--reason", default="", help="goes into the history")
        parser.set_defaults(command=command)
    text = "print what processes publish, one line a message, until Ctrl-C"
    parser = subparsers.add_parser("tail", help=text, description=text, parents=parents)
    parser.add_argument("topic", nargs="?", default="", help="topics that begin so, as order or candle; default: all")
    parser.add_argument("--process", metavar="NAME", help="only this process, as session-1.trader; default: all")
    parser.add_argument("--count", type=int, metavar="N", help="end after N messages")
    parser.add_argument("--heartbeats", action="store_true", help="heartbeats as well")
    parser.set_defaults(command=tail)


def command(desk: Desk, arguments: Namespace) -> Outcome:
    """Command the trading state of a session or the desk, through the keeper, which keeps it."""
    params: dict[str, Any] = {"by": "tradectl", "reason": arguments.reason}
    if arguments.session is not None:
        params["session"] = int(desk.session(arguments.session)["id"])
    answer = desk.ask(KEEPER, arguments.name, params, seconds=_SECONDS)
    return Outcome(answer, _told(arguments.name, answer))


def _told(name: str, answer: dict[str, Any]) -> Text:
    words = {"halt": "halted", "resume": "active again", "reduce": "reducing", "flatten": "is being flattened"}
    scope = answer["scope"]
    line = Text(f"{'the desk' if scope == 'host' else scope.replace(':', ' ')}: {words[name]}; {answer['latch']}")
    for heard in answer["sessions"]:
        line.append(f"\n  session {heard['session']}: ", style="dim")
        line.append_text(tables.state(heard["trading_state"]) if heard["ok"] else Text(heard["reason"], style="red"))
    if not answer["sessions"]:
        line.append("\n  no trader runs now; it counts for those that start", style="dim")
    return line


def tail(desk: Desk, arguments: Namespace) -> Outcome:
    """Print messages as they come."""
    processes = [arguments.process] if arguments.process else desk.directory.processes()
    if not processes:
        raise NotRunning("no process is running; scripts/tradectl up starts the desk")
    if arguments.process and arguments.process not in desk.directory.processes():
        raise CommandFailed(f"{arguments.process} is not running; scripts/tradectl status lists the processes")
    for number, envelope in enumerate(_listen(desk, processes, arguments), 1):
        line = _as_json(envelope) if arguments.json else _as_text(envelope)
        print(line, flush=True)
        if number == arguments.count:
            break
    return Outcome(None)


def _listen(desk: Desk, processes: Sequence[str], arguments: Namespace) -> Iterator[Envelope]:
    """Yield what several processes publish, as it comes; one thread each, which end with the command."""
    heard: Queue[Envelope] = Queue(10_000)

    def listen(process: str) -> None:
        with suppress(TradeprocError):
            for envelope in desk.client.tail(process, arguments.topic):
                if arguments.heartbeats or arguments.topic or envelope.topic != "heartbeat":
                    heard.put(envelope)

    for process in processes:
        Thread(target=listen, args=(process,), daemon=True).start()
    while True:
        with suppress(Empty):
            yield heard.get(timeout=0.5)


def _as_json(envelope: Envelope) -> str:
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


def _as_text(envelope: Envelope) -> str:
    fields = " ".join(f"{key}={_short(value)}" for key, value in envelope.body.items() if value not in (None, "", {}))
    return f"{tables.clock(envelope.sent_at)} {envelope.publisher} {envelope.topic} {fields}"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"[{len(value)}]"
    return "{…}" if isinstance(value, dict) else str(value)
