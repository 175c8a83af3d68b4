"""The live view: whatever there is to show, it fits, and what is wrong can be seen."""

import io
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest
from rich.console import Console

from tests.desk.states import STOP, state
from tradeproc.cli.commands.watching import picture
from tradeproc.cli.screen import Screen
from tradeproc.cli.view import market_line, progress_line, render
from tradeproc.domain.book import Fill
from tradeproc.domain.candles import Candle
from tradeproc.domain.orders import OrderRole, OrderState, Side
from tradeproc.domain.units import MINUTE, SECOND, Contracts, Money, Nanos, Price
from tradeproc.protocol.names import ProcessName
from tradeproc.protocol.process_messages import Heartbeat, ProcessState
from tradeproc.protocol.trader_messages import RefusedDecision, SessionState

NOW = 500 * SECOND
OPEN = 1_703_545_200 * SECOND


def candle(minute: int, close: float) -> Candle:
    at = OPEN + minute * MINUTE
    return Candle(Nanos(at), Nanos(at + MINUTE), close - 0.5, close + 1, close - 1, close, Contracts(1), 1, True)


def summary(**fields: Any) -> SessionState:
    held = {
        "position": 1,
        "average": Price(Decimal("4800.5")),
        "last": 4801.25,
        "realized": Money(Decimal(125)),
        "unrealized": Money(Decimal("37.5")),
        "orders": (STOP,),
    }
    return state(**{**held, **fields})


def heartbeat(process: str, state: ProcessState = "ready", lag_ns: int = 0) -> Heartbeat:
    at = Nanos(OPEN)
    market_at = Nanos(OPEN + 9 * MINUTE)
    return Heartbeat(
        process=ProcessName(process),
        pid=1,
        kind="x",
        state=state,
        detail="",
        started_at=at,
        at=at,
        last_event_at=at,
        market_at=market_at,
        lag_ns=lag_ns,
        loop=1,
        work=1,
        epoch=1,
        statistics={},
        topics={},
    )


def fill(side: Side, price: str, market_at: int, at: int) -> Fill:
    known, one = Price(Decimal(price)), Contracts(1)
    return Fill("o1", "b1", 1, "ESH24", side, one, one, known, Nanos(at), Nanos(market_at))


def full() -> Screen:
    screen = Screen("session 1 mine", "SIM0000001F paper", "Ctrl-C leaves", speed=60.0, wall_at=OPEN, tick=0.25)
    for minute in range(30):
        screen = screen.with_candle(candle(minute, 4800 + minute % 7))
    screen = screen.with_summary(summary())
    names = ["core.keeper", "link-paper.orders-SIM0000001F", "session-1.trader"]
    for name in names:
        screen = screen.with_heartbeat(heartbeat(name, lag_ns=1_500_000), NOW)
    bought = fill(Side.BUY, "4800.5", OPEN + 3 * MINUTE, 5)
    return screen.with_fill(bought).with_programs(dict.fromkeys(names, "RUNNING"))


TARGET = replace(STOP, id="profit_target", role=OrderRole.PROFIT_TARGET, stop=None, stop_price=None)


def drawn(screen: Screen, width: int = 100, height: int = 28, now: int = NOW) -> list[str]:
    """Return the lines of the view as a terminal of that size shows them."""
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, color_system=None, legacy_windows=False)
    console.print(render(screen, now, width=width, height=height))
    return file.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize("screen", [Screen(), full()], ids=["empty", "full"])
@pytest.mark.parametrize(("width", "height"), [(60, 18), (80, 24), (100, 28), (120, 36), (200, 60)])
def test_it_fits_every_terminal(screen: Screen, width: int, height: int) -> None:
    lines = drawn(screen, width, height)

    assert len(lines) == height
    assert all(len(line) <= width for line in lines)


def test_everything_is_on_one_screen() -> None:
    text = " ".join(" ".join(drawn(full(), 80, 24)).split())

    for part in (
        "session 1 mine", "SIM0000001F paper", "market 2023-12-25 23:09:00 (60x)", "wall 23:00:00 UTC", "30 bars",
        "bus lag 1.50 ms", "+1 at 4800.50", "4801.25", "+125.00", "+37.50", "+162.50 USD", "3 up", "agrees",
        "stop loss sell 1 at 4799.25", "23:03:00 buy", "keeper", "trader", "▲", "Ctrl-C leaves",
    ):  # fmt: skip
        assert part in text, part


REFUSED = (RefusedDecision(Nanos(1), Nanos(1), "SubmitOrder", "no"),)


@pytest.mark.parametrize(
    ("screen", "shown"),
    [
        (full().with_programs({"core.keeper": "FATAL"}), "keeper fatal"),
        (full().with_programs({"core.jobs": "RUNNING"}), "jobs no heartbeat yet"),
        (full().with_heartbeat(heartbeat("core.keeper", "degraded"), NOW), "degraded"),
        (full().with_summary(summary(trading_state="halted")), "halted"),
        (full().with_summary(summary(streams={"market": "up", "orders": "cut"})), "orders down"),
        (full().with_summary(summary(database="down")), "database  down"),
        (full().with_summary(summary(reconciled=False)), "being asked"),
        (
            full().with_summary(summary(alarms={"position_uncovered": "1 contract"})),
            "! position_uncovered: 1 contract",
        ),
        (
            replace(full(), death="2026-11-27 14:00:00 session-1.trader: KeyError"),
            "! died: 2026-11-27 14:00:00 session-1",
        ),
        (full().with_summary(summary(entries="halted", why="trading is halted by host")), "trading is halted"),
        (
            full().with_summary(summary(decisions={"refused": 7, "wanted": 9, "newest": REFUSED})),
            "7 of 9: no",
        ),
        (replace(full(), account="123 live"), "123 live"),
        (Screen(), "waiting for the trader"),
    ],
)
def test_what_is_wrong_can_be_seen(screen: Screen, shown: str) -> None:
    assert shown in "\n".join(drawn(screen))


def test_a_process_that_fell_silent_grows_old() -> None:
    assert "keeper 42.0 s" in " ".join(" ".join(drawn(full(), now=NOW + 42 * SECOND)).split())


def test_a_fill_told_twice_is_shown_once_and_in_the_order_of_time() -> None:
    early = fill(Side.SELL, "4800", 0, 3)

    screen = full().with_fill(early).with_fill(early)

    assert [fill.at for fill in screen.fills] == [3, 5]


def test_a_process_that_supervisord_no_longer_has_is_forgotten() -> None:
    screen = full().with_programs({"core.keeper": "RUNNING"})

    assert list(screen.processes) == ["core.keeper"]


def test_an_order_that_is_over_is_not_shown() -> None:
    screen = full().with_summary(summary(orders=(replace(STOP, state=OrderState.FILLED), TARGET)))

    assert [each.role for each in screen.open_orders] == ["profit_target"]


@pytest.mark.parametrize(("tick", "decimals"), [(0.25, 2), (0.01, 2), (1.0, 0), (0.0000005, 7), (0.015625, 6)])
def test_prices_have_the_decimals_of_their_tick(tick: float, decimals: int) -> None:
    assert Screen(tick=tick).decimals == decimals


def test_without_a_terminal_it_is_one_line() -> None:
    assert progress_line(full()) == ("2023-12-25 23:09:00  30 bars  position +1  1 working  1 fills  P&L +162.50")
    assert progress_line(replace(full(), note="the tape is over")).endswith("P&L +162.50  the tape is over")
    assert "the tape is over" in market_line(replace(full(), note="the tape is over")).plain
    assert progress_line(Screen()) == "no market time yet  0 bars  position 0  0 working  0 fills"


def test_a_line_says_what_keeps_a_session_from_trading() -> None:
    told = {"refused": 7, "wanted": 9}

    assert progress_line(full().with_summary(summary(decisions=told))).endswith("7 refused")
    assert progress_line(full().with_summary(summary(decisions={**told, "failed": 2}))).endswith("failed on 2 bars")
    assert progress_line(full().with_summary(summary(decisions={**told, "off": "x"}))).endswith("strategy off")


def test_the_picture_of_a_screen_is_json() -> None:
    told = orjson.loads(orjson.dumps(picture(full()), default=str))

    assert told["summary"]["name"] == "mine"
    assert told["processes"]["core.keeper"]["state"] == "ready"
    assert orjson.loads(orjson.dumps(picture(Screen()), default=str))["summary"] == {}
