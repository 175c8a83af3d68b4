"""Control the local broker: its pace, its faults, its own books."""

import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from textwrap import dedent
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.commands import rewinding
from tradeproc.cli.layout import NOTHING, Column, Listing, pairs, plain_text
from tradeproc.cli.outcome import Outcome, SubParsers
from tradeproc.clock import SECOND, monotonic_ns
from tradeproc.desk.exit_status import CommandFailed, supervisorctl
from tradeproc.desk.installation import Desk
from tradeproc.localbroker import faults
from tradeproc.localbroker.client import LocalBroker
from tradeproc.localbroker.control_key import key_file_of
from tradeproc.localbroker.faults import FaultName
from tradeproc.protocol import names

_HIT_SECONDS, _LOOK_SECONDS = 1.0, 0.05
# of these faults `seconds` is how long, of the others how late
_LASTING = frozenset({FaultName.STALL, FaultName.DROP_ORDER_FRAMES, FaultName.INERT_STOP})


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the commands of this module."""
    text = "control the local broker: pace, faults, books"
    actions = subparsers.add_parser("localbroker", help=text, description=text).add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    for name, about in (
        ("status", "pace, market time, open streams and faults"),
        ("pause", "stop market time; heartbeats go on"),
        ("resume", "let market time run again"),
        ("faults", "the faults that are armed, and those used up: what each hit, and when"),
        ("ledger", "its own orders and fills"),
        ("expire-tokens", "make all access tokens worthless at once"),
        ("stop", f"end it; {supervisorctl('start', names.LOCAL_BROKER.at_supervisord)} brings it back"),
    ):
        parser = actions.add_parser(name, help=about, description=about, parents=parents)
        parser.set_defaults(command=simple)
    about = "set market seconds per wall second"
    speed = actions.add_parser("speed", help=about, description=about, parents=parents)
    speed.add_argument("factor", type=float, metavar="X")
    speed.set_defaults(command=set_speed)
    _add_rewind(actions, parents)
    _add_fault(actions, parents)
    about = "clear all faults, or those of one name"
    clear = actions.add_parser("clear", help=about, description=about, parents=parents)
    clear.add_argument("fault", nargs="?", default="", metavar="FAULT")
    clear.set_defaults(command=clear_faults)


def _add_rewind(actions: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    about = "begin the tape again; accounts keep their money, orders and fills"
    parser = actions.add_parser("rewind", help=about, description=about, parents=parents)
    parser.add_argument(
        "--restart-sessions", action="store_true", help="stop the sessions on it flat first, start them again after"
    )
    parser.add_argument("--close", action="store_true", help="cancel what works and close what is held, first")
    parser.add_argument(
        "--new-books", action="store_true", help="of a local broker that is not running: put its books aside"
    )
    parser.set_defaults(command=rewind)


def rewind(desk: Desk, arguments: Namespace) -> Outcome:
    """Begin the tape again."""
    with _control(desk) as broker:
        return rewinding.rewind(desk, broker, arguments)


def _add_fault(actions: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    about = "make trouble on purpose"
    table = (faults.__doc__ or "").partition("visible.")[2].partition("\n\n")[2]
    fault = actions.add_parser(
        "fault",
        help=about,
        description=about,
        epilog=dedent(table).replace("name ", "FAULT", 1),
        formatter_class=RawDescriptionHelpFormatter,
        parents=parents,
    )
    fault.add_argument(
        "fault", metavar="FAULT", choices=[each.value for each in FaultName], help="one of those below"
    )
    fault.add_argument(
        "--target", help="where: stream, requests, order_entry, stops, limits, or one as orders_stream"
    )
    fault.add_argument("--account", help="only this account's")
    fault.add_argument("--count", type=int, help="how many times (default: once)")
    fault.add_argument("--seconds", type=float, help="how long")
    fault.add_argument("--status", type=int, help="of 5xx: which one")
    fault.set_defaults(command=set_fault)


def _control(desk: Desk) -> LocalBroker:
    configured = desk.config.localbroker
    if not configured.enabled:
        raise CommandFailed("the local broker is not enabled in conf/tradeproc.toml: [localbroker] enabled = true")
    return LocalBroker(f"http://127.0.0.1:{configured.port}", key_file_of(desk.home))


def simple(desk: Desk, arguments: Namespace) -> Outcome:
    """Do one of the commands that need no argument."""
    with _control(desk) as broker:
        answer = {
            "status": broker.status,
            "pause": broker.pause,
            "resume": broker.resume,
            "faults": broker.faults,
            "ledger": broker.ledger,
            "expire-tokens": broker.expire_tokens,
            "stop": broker.shutdown,
        }[arguments.action]()
    done = {
        "pause": "market time stands still; scripts/tradectl localbroker resume lets it run again",
        "resume": f"market time runs, {answer.get('speed', 1.0):g} times as fast as the clock",
        "expire-tokens": "all access tokens are worthless now",
        "stop": "the local broker ends; supervisorctl start localbroker: brings it back",
    }.get(arguments.action)
    if arguments.action == "faults":
        return Outcome(answer, _table_of_faults(answer["faults"]))
    return Outcome(answer, _lines(answer) if done is None else Text(done))


def set_speed(desk: Desk, arguments: Namespace) -> Outcome:
    """Set the pace of market time."""
    with _control(desk) as broker:
        answer = broker.speed(arguments.factor)
    paused = ", once it runs again: it is paused" if answer["paused"] else ""
    return Outcome(answer, Text(f"market time is {answer['speed']:g} times as fast as the clock{paused}"))


def set_fault(desk: Desk, arguments: Namespace) -> Outcome:
    """Order a fault."""
    names = ("target", "account", "count", "seconds", "status")
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    with _control(desk) as broker:
        answer = _after_a_moment(broker, broker.fault(arguments.fault, **options))
    return Outcome(answer, plain_text(sentence(answer)))


def _after_a_moment(broker: LocalBroker, fault: dict[str, Any]) -> dict[str, Any]:
    """Return a fault once it is used up, or as it stands after a second: what it hits is often there already."""
    deadline = monotonic_ns() + _HIT_SECONDS * SECOND
    while fault["state"] == "armed" and monotonic_ns() < deadline:
        time.sleep(_LOOK_SECONDS)
        fault = next((each for each in broker.faults()["faults"] if each["id"] == fault["id"]), fault)
    return fault


def clear_faults(desk: Desk, arguments: Namespace) -> Outcome:
    """Clear faults."""
    with _control(desk) as broker:
        answer = broker.clear_faults(arguments.fault)
    count, which = answer["cleared"], f" {arguments.fault}" if arguments.fault else ""
    return Outcome(answer, Text(f"cleared {count}{which} {'fault' if count == 1 else 'faults'}"))


def sentence(fault: Mapping[str, Any]) -> str:
    """Return in one sentence what a fault hit, and what it will hit yet and how that ends, or that it is used up."""
    name, left, seconds = FaultName(fault["name"]), fault["left"], fault["seconds"]
    endpoints = faults.endpoints_of(name, fault["target"])
    groups = (("stream", faults.STREAMS), ("request", faults.REQUESTS), ("order", faults.RESTING))
    kind = next((kind for kind, group in groups if endpoints <= group), "call")
    hits = f"every {kind}" if left is None else f"the next {kind}" if left == 1 else f"the next {left} {kind}s"
    where = f" {'of the' if kind == 'order' else 'to'} {fault['target']}" if fault["target"] else ""
    whose = f" of {fault['account']}" if fault["account"] else ""
    lasts = "" if seconds is None else f" for {seconds:g} s" if name in _LASTING else f", {seconds:g} s late"
    done = [hit["where"] for hit in fault.get("hit") or ()]
    for_how_long = f" for {seconds:g} s" if seconds is not None and name in _LASTING else ""
    past = f"{name} hit {', '.join(done)}{for_how_long}; " if done else ""
    if past and fault["state"] != "armed":
        return f"{past}it is {fault['state']}"
    armed = f"it is armed and {'also ' if done else ''}hits" if past else f"{name} is armed: it hits"
    takes_back = f"scripts/tradectl localbroker clear {name} takes it back"
    return f"{past}{armed} {hits}{where}{whose}{lasts}; scripts/tradectl localbroker faults shows what; {takes_back}"


def _table_of_faults(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    if not rows:
        return Text("no fault was ordered since the local broker's start")
    return Listing(_FAULTS, rows)


def _hits(value: Any) -> str:
    return ", ".join(f"{tables.clock(hit['at'])} {hit['where']}" for hit in value)


_FAULTS = (
    Column("id", "id", right=True),
    Column("fault", "name"),
    Column("state", "state"),
    Column("left", "left", right=True, drop=2),
    Column("target", "target", drop=1),
    Column("account", "account", drop=3),
    Column("ordered", "set_at", tables.moment, drop=4),
    Column("hit", "hit", _hits, cut=20),
)


def _lines(answer: dict[str, Any]) -> Table:
    rows = ((key, value if isinstance(value, list) else [value]) for key, value in answer.items())
    return pairs((key, "\n".join(_line(key, each) for each in value) or NOTHING) for key, value in rows)


def _line(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_line(name, each)}" for name, each in value.items())
    if key.endswith("_at") and isinstance(value, int):
        return tables.when(value)
    return str(value)
