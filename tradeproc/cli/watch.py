"""Gathers what the one-screen view shows and keeps it on the screen.

It listens: the trader tells its state, candles and fills, every process its heartbeat. Only at the start, after a
gap and after a restart of the trader is anything asked, so that watching costs a trading process next to nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tradeproc.bus.codec import Body, Envelope
from tradeproc.bus.gaps import Heard, Sequences
from tradeproc.cli.layout import plain_text
from tradeproc.cli.screen import Screen
from tradeproc.cli.view import progress_line, render
from tradeproc.cli.why import death_line
from tradeproc.clock import monotonic_ns, wall_ns
from tradeproc.desk.installation import Desk
from tradeproc.desk.listed import SessionListed
from tradeproc.desk.subscriber import Subscriber
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.units import SECOND
from tradeproc.errors import TradeprocError
from tradeproc.protocol import names
from tradeproc.protocol.book_messages import FILLS, ListRows
from tradeproc.protocol.codec import BadMessage
from tradeproc.protocol.definitions import FollowedTopic, Method, NoBody
from tradeproc.protocol.names import KEEPER, ProcessName
from tradeproc.protocol.process_messages import HEARTBEAT
from tradeproc.protocol.trader_messages import ASK_STATE, CANDLE, FILL, STATE
from tradeproc.supervision.deaths import read_deaths
from tradeproc.supervision.wanted_groups import is_done

Q = TypeVar("Q")
A = TypeVar("A")
S = TypeVar("S")

_FRAME_SECONDS = 0.25
_AROUND_SECONDS = 1.0
_PLAIN_SECONDS = 5.0
_ANSWER_SECONDS = 1.0
_TAPE_IS_OVER = "the tape is over"
# how long a death stays on the screen
_DEATH_SECONDS = 600


def first_screen(row: SessionListed, *, speed: float | None = None, hint: str = "") -> Screen:
    """Return the empty screen of a session, from its row as the keeper tells it."""
    product = instrument_of(row.contract)
    return Screen(
        title=f"session {row.id} {row.name} · {row.strategy} · {row.contract} {row.minutes} min",
        account=f"{row.account} {row.environment}",
        speed=speed,
        hint=hint,
        tick=float(product.tick_size),
    )


class Watch:
    """The screen of one session, renewed by `look`; close it afterwards.

    `logins` are the session's, the one that serves its bars last.
    """

    def __init__(self, desk: Desk, session: int, logins: Sequence[str], screen: Screen) -> None:
        self._desk, self._session, self.screen = desk, session, screen
        self._trader = names.trader(session)
        self._groups = (names.session_group(session), *map(names.link_group, logins))
        self._tape = names.LOCAL_BROKER if is_at_local_broker(desk, logins[-1]) else ""
        self._listener = Subscriber(desk.directory)
        self._sequences = Sequences()
        self._is_behind = True
        self._looked_around_at = 0.0

    def look(self, seconds: float = _FRAME_SECONDS) -> Screen:
        """Take in what was said within `seconds`."""
        if time.monotonic() - self._looked_around_at >= _AROUND_SECONDS:
            self._looked_around_at = time.monotonic()
            self._look_around()
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for envelope in self._listener.hear(left):
                self._take(envelope)
        if self._is_behind:
            self._is_behind = not self._catch_up()
        return self.screen

    def close(self) -> None:
        """Close the sockets."""
        self._listener.close()

    def _look_around(self) -> None:
        """Find processes that are new, and ask supervisord which are down."""
        for process in self._desk.processes():
            if self._concerns(process):
                self._listener.follow(process, "" if process == self._trader else HEARTBEAT.name)
        try:
            programs = self._desk.supervisor.processes()
        except TradeprocError:
            return
        seen: dict[str, str] = {
            each.process: each.state.value for each in programs if self._concerns(each.process) and not is_done(each)
        }
        self.screen = replace(self.screen.with_programs(seen), death=self._last_death(list(seen)))

    def _last_death(self, processes: list[str]) -> str:
        """Return the newest death of the last minutes among the processes shown, empty when there is none."""
        since = wall_ns() - _DEATH_SECONDS * SECOND
        found = [(each, death) for each in processes for death in read_deaths(self._desk.home, each)[:1]]
        newest = max(found, key=lambda pair: pair[1].at, default=None)
        return "" if newest is None or newest[1].at < since else death_line(*newest)

    def _concerns(self, process: str) -> bool:
        group = ProcessName(process).group
        return group in self._groups or not group.is_generated

    def _take(self, envelope: Envelope[Body]) -> None:
        try:
            self._show(envelope)
        except BadMessage:
            # a process of another version, in the midst of an upgrade, tells something else
            self._is_behind = True

    def _show(self, envelope: Envelope[Body]) -> None:
        topic, told, screen = envelope.topic, envelope.body, self.screen
        if topic == HEARTBEAT.name:
            beat = HEARTBEAT.codec.read(told)
            screen = self.screen = screen.with_heartbeat(beat, monotonic_ns())
            if envelope.publisher == self._tape:
                is_over = bool(beat.statistics.get("tape_is_over"))
                self.screen = replace(screen, note=_TAPE_IS_OVER if is_over else "")
        if envelope.publisher != self._trader:
            return
        if self._sequences.is_new(envelope.epoch):
            # a trader's new life begins with all it knows; its tape may have been begun again
            self.screen = screen = replace(self.screen, candles={}, market_at=None)
            self._is_behind = True
        if topic != HEARTBEAT.name and self._sequences.hear(topic, envelope.sequence) is Heard.GAP:
            self._is_behind = True
        if topic == STATE.name:
            self.screen = screen.with_summary(STATE.codec.read(told))
        elif topic == CANDLE.name:
            self.screen = screen.with_candle(CANDLE.codec.read(told).candle)
        elif topic == FILL.name:
            self.screen = screen.with_fill(FILL.codec.read(told))

    def _catch_up(self) -> bool:
        """Ask once for what was said before we listened; False while the trader does not answer."""
        summary = self._ask(self._trader, ASK_STATE, NoBody())
        candles = self._snapshot(CANDLE)
        fills = self._snapshot(FILL)
        # the trader remembers its own recent fills; those of its former lives are in the database
        stored = self._ask(KEEPER, FILLS, ListRows(self._session, 200))
        if summary is None or candles is None:
            return False
        self.screen = self.screen.with_summary(summary)
        for each in candles.candles:
            self.screen = self.screen.with_candle(each.candle)
        for told in (stored, fills):
            for fill in told.fills if told is not None else ():
                self.screen = self.screen.with_fill(fill)
        return True

    def _ask(self, process: str, method: Method[Q, A], question: Q) -> A | None:
        if not self._desk.is_alive(process):
            return None
        try:
            return self._desk.client.call(process, method, question, _ANSWER_SECONDS)
        except TradeprocError:
            return None

    def _snapshot(self, topic: FollowedTopic[Any, S]) -> S | None:
        """Return what the trader knows of a topic, None when it does not answer."""
        if not self._desk.is_alive(self._trader):
            return None
        try:
            return self._desk.client.snapshot(self._trader, topic, _ANSWER_SECONDS)
        except TradeprocError:
            return None


def is_at_local_broker(desk: Desk, login: str) -> bool:
    """Tell whether a login is at the broker on this machine, whose market is a tape."""
    return desk.config.localbroker.enabled and desk.config.is_at_local_broker(login)


def show(watch: Watch, console: Console, is_over: Callable[[Screen], bool]) -> Screen:
    """Show the view until `is_over`, full-screen in a terminal, a line every few seconds elsewhere."""
    if not console.is_terminal:
        return _print_lines(watch, console, is_over)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            screen = replace(watch.look(), wall_at=wall_ns())
            live.update(render(screen, monotonic_ns(), width=console.width, height=console.height), refresh=True)
            if is_over(screen):
                return screen


def _print_lines(watch: Watch, console: Console, is_over: Callable[[Screen], bool]) -> Screen:
    printed_at = time.monotonic() - _PLAIN_SECONDS + _AROUND_SECONDS
    while True:
        screen = watch.look()
        is_last = is_over(screen)
        if is_last or time.monotonic() - printed_at >= _PLAIN_SECONDS:
            printed_at = time.monotonic()
            console.print(Text("  ").append_text(plain_text(progress_line(screen))))
        if is_last:
            return screen
