"""`localbroker rewind`: the tape begins again, and what that means for the sessions that trade on it."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from rich.text import Text

from tradeproc.cli import tables
from tradeproc.cli.outcome import Outcome
from tradeproc.desk.exit_status import CommandFailed, NotRunning
from tradeproc.desk.installation import Desk
from tradeproc.desk.listed import SessionListed
from tradeproc.desk.patience import wait_until
from tradeproc.engine.events import TradingState
from tradeproc.errors import Outage, TradeprocError
from tradeproc.localbroker.client import LocalBroker
from tradeproc.localbroker.journal import put_aside
from tradeproc.procs.localbroker.main import folder_of
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import KEEPER
from tradeproc.protocol.process_messages import STATUS
from tradeproc.protocol.session_messages import START, STOP, OfSession, StopSession
from tradeproc.supervision.client import SupervisorAway, SupervisorRefused

_STOP_SECONDS, _FEED_SECONDS, _READY_SECONDS = 60.0, 30.0, 60.0

Row = Mapping[str, Any]


def rewind(desk: Desk, broker: LocalBroker, arguments: Namespace) -> Outcome:
    """Begin the tape again; sessions on it are a reason to refuse, or are stopped flat and started again.

    Raises:
        CommandFailed: names what is in the way, and what to do.
        NotRunning: the local broker, or the keeper, does not answer.
    """
    if arguments.new_books:
        return _begin_new_books(desk)
    if not desk.is_alive(names.LOCAL_BROKER):
        raise NotRunning(
            "the local broker is not running; scripts/tradectl up starts it, or scripts/tradectl localbroker rewind "
            "--new-books puts its books aside, so that it begins with flat accounts"
        )
    sessions = [row for row in _at_local_broker(desk) if row.desired == "running" or row.state != "stopped"]
    if sessions and not arguments.restart_sessions:
        number = sessions[0].id
        raise CommandFailed(
            f"{_named(sessions)} would see the market jump back; stop it first with scripts/tradectl session stop "
            f"{number} --flatten, or add --restart-sessions: each is stopped flat, and started again afterwards"
        )
    was_paused = bool(broker.status()["paused"])
    for row in sessions:
        desk.ask(KEEPER, STOP, StopSession(row.id, flatten=True), seconds=_STOP_SECONDS)
    for row in sessions:
        wait_until(f"session {row.id} is flat and stopped", partial(_has_stopped, desk, row), _STOP_SECONDS)
    answer = broker.rewind(close=bool(arguments.close or arguments.restart_sessions))
    # the market stands still until the sessions run again, or they would miss its beginning
    broker.pause()
    try:
        _restart_bars(desk)
        for row in sessions:
            desk.ask(KEEPER, START, OfSession(row.id))
        with suppress(NotRunning):
            # one that starts by its schedule may have to wait
            wait_until("the traders are ready", lambda: all(_is_ready(desk, row) for row in sessions), _READY_SECONDS)
    finally:
        if not was_paused:
            broker.resume()
    value = {**answer, "paused": was_paused, "restarted": [row.id for row in sessions]}
    return Outcome(value, Text(". ".join(_told(value, sessions))))


def _is_ready(desk: Desk, row: SessionListed) -> bool:
    try:
        return desk.client.call(names.trader(row.id), STATUS, NoBody(), 1.0).state == "ready"
    except TradeprocError:
        return False


def _told(answer: Row, sessions: Sequence[SessionListed]) -> list[str]:
    lines = [
        f"the tape {answer['tape']['name']} begins again; market time is {tables.when(answer['market_at'])} UTC",
        "accounts keep their money, orders and fills",
    ]
    if answer["orders"] or answer["positions"]:
        lines.append(f"{answer['orders']} orders were cancelled and {answer['positions']} positions closed for it")
    if answer["paused"]:
        lines.append("it is paused: scripts/tradectl localbroker resume")
    if sessions:
        lines.append(f"{_named(sessions)} stopped flat and was started again")
    lines += [
        f"session {row.id} is {row.trading_state}, so it enters nothing before scripts/tradectl resume "
        f"--session {row.id}"
        for row in sessions
        if row.trading_state != TradingState.ACTIVE
    ]
    return lines


def _named(sessions: Sequence[SessionListed]) -> str:
    return ", ".join(f"session {row.id} ({row.name})" for row in sessions)


def _at_local_broker(desk: Desk) -> list[SessionListed]:
    """Return the sessions whose orders or prices are the local broker's."""
    port = desk.config.localbroker.port
    local = {name for name, login in desk.config.logins.items() if f":{port}" in login.base_url}
    return [row for row in desk.sessions() if set(row.logins) & local]


def _has_stopped(desk: Desk, row: SessionListed) -> bool:
    try:
        return desk.session(str(row.id)).state == "stopped"
    except TradeprocError:
        return False


def _restart_bars(desk: Desk) -> None:
    """Restart the bar feeds, so that they forget their candles: after the rewind those would lie in the future."""
    port = desk.config.localbroker.port
    groups = {names.link_group(name) for name, login in desk.config.logins.items() if f":{port}" in login.base_url}
    feeds = [each for each in desk.supervisor.processes() if each.group in groups and each.process.kind == "bars"]
    for feed in feeds:
        try:
            desk.supervisor.stop(feed.group, feed.name)
            wait_until(f"{feed.process} has ended", lambda: _is_down(desk, feed.process), _FEED_SECONDS)  # noqa: B023
            desk.supervisor.start(feed.group, feed.name)
        except SupervisorRefused:
            # its link has removed it meanwhile, because nobody needs it
            continue


def _is_down(desk: Desk, process: str) -> bool:
    return all(each.state.is_down for each in desk.supervisor.processes() if each.process == process)


def _begin_new_books(desk: Desk) -> Outcome:
    if desk.is_alive(names.LOCAL_BROKER):
        raise CommandFailed(
            "the local broker runs; leave --new-books out, or stop the desk first: scripts/tradectl down"
        )
    aside = put_aside(folder_of(desk.home) / "journal")
    try:
        desk.supervisor.start_group(names.LOCAL_BROKER.group)
        then = "it is starting"
    except (SupervisorAway, Outage):
        then = "scripts/tradectl up starts it"
    kept = f"; the former ones are kept as {aside}" if aside else ""
    value = {"put_aside": None if aside is None else str(aside)}
    return Outcome(value, Text(f"the local broker begins with new books and flat accounts{kept}; {then}"))
