"""Gathers what the one-screen view shows: asks the session's trader and every process, a few times a second."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.live import Live

from tradeproc.cli.desk import Desk
from tradeproc.cli.screen import Screen
from tradeproc.cli.view import progress_line, render
from tradeproc.clock import monotonic_ns
from tradeproc.errors import TradeprocError

_LOOK_SECONDS = 0.25
_PROCESSES_EVERY = 4
_PLAIN_SECONDS = 5.0
_ANSWER_SECONDS = 0.5


class Watch:
    """The screen of one session, renewed by `look`."""

    def __init__(
        self, desk: Desk, session: int, title: str, *, speed: float | None = None, decimals: int = 2
    ) -> None:
        self.desk, self.session = desk, session
        self.trader = f"session-{session}.trader"
        self.screen = Screen(title=title, speed=speed, decimals=decimals)
        self._looks = 0

    def look(self) -> Screen:
        """Ask the trader, and now and then everybody else; what does not answer keeps its last picture."""
        summary = self._ask(self.trader, "state")
        if summary is not None:
            screen = replace(self.screen, summary=summary, orders={}, note="; ".join(sorted(summary["alarms"])))
            for order in summary["orders"]:
                screen = screen.with_order(order)
            self.screen = screen
        for topic, key in (("candle", "candles"), ("fill", "fills")):
            told = self._ask(self.trader, "snapshot", {"topic": topic})
            for body in told[key] if told else ():
                self.screen = self.screen.with_candle(body) if topic == "candle" else self.screen.with_fill(body)
        if self._looks % _PROCESSES_EVERY == 0:
            self._look_at_processes()
        self._looks += 1
        return self.screen

    def _look_at_processes(self) -> None:
        for process in self.desk.directory.processes():
            told = self._ask(process, "status")
            if told is not None:
                self.screen = self.screen.with_heartbeat(told, monotonic_ns())

    def _ask(self, process: str, method: str, params: dict[str, Any] | None = None) -> dict[str, Any] | None:
        try:
            return self.desk.client.call(process, method, params or {}, _ANSWER_SECONDS)
        except TradeprocError:
            return None


def show(watch: Watch, console: Console, is_over: Callable[[Screen], bool]) -> Screen:
    """Show the view until `is_over`, full-screen in a terminal, a line every few seconds elsewhere."""
    if not console.is_terminal:
        return _print_lines(watch, console, is_over)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            screen = watch.look()
            live.update(render(screen, monotonic_ns(), width=console.width, height=console.height), refresh=True)
            if is_over(screen):
                return screen
            time.sleep(_LOOK_SECONDS)


def _print_lines(watch: Watch, console: Console, is_over: Callable[[Screen], bool]) -> Screen:
    printed_at = 0.0
    while True:
        screen = watch.look()
        is_last = is_over(screen)
        if is_last or time.monotonic() - printed_at >= _PLAIN_SECONDS:
            printed_at = time.monotonic()
            console.print(f"  {progress_line(screen)}", highlight=False)
        if is_last:
            return screen
        time.sleep(_LOOK_SECONDS)
