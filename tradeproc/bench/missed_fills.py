"""How long a fill stays unknown of which the order stream has dropped the frame, with many sessions on one login.

A market that only falls is played, so that each stop is reached. What is measured is the time from when the broker no
longer holds the position to when the session's trader knows, seen by asking both a few times a second. A session
whose stop had filled before the frames were dropped was told of it: that is no try, and a further round makes up
for it.
"""

import time
from collections.abc import Mapping, Sequence
from statistics import median

from tradeproc.bench.figures import BenchFailed, Measured, Row
from tradeproc.bench.stops import SPEED, STRATEGY, TAPE, falling
from tradeproc.errors import TradeprocError
from tradeproc.testing.candles import write_tape
from tradeproc.testing.desk import TapeDesk, wait_for
from tradeproc.testing.running import configure, temporary_home
from tradeproc.testing.waiting import Late

GOAL_SECONDS = 10.0
SESSIONS, ROUNDS = 16, 2
STOP_TICKS = 60
_MOST_ROUNDS = 3
_FAULT = "drop_order_frames"
_PATIENCE = 180.0


def measure_missed_fills(sessions: int = SESSIONS, rounds: int = ROUNDS) -> list[Measured]:
    """Run sessions in as many accounts of one login, and drop the frames of all of them while their stops fill."""
    with temporary_home() as home:
        write_tape(home.root / TAPE, falling())
        desk = TapeDesk(home.root, speed=SPEED, tape=TAPE)
        accounts = [f"SIM{number:07}F" for number in range(1, sessions + 1)]
        configure(home, accounts=accounts)
        try:
            with desk:
                numbers = [
                    desk.begin(STRATEGY, account, {"name": f"missed-{account}"}, stop_ticks=STOP_TICKS)
                    for account in accounts
                ]
                holders = dict(zip(numbers, accounts, strict=True))
                found = _tries(desk, holders, rounds)
        except (TradeprocError, Late) as error:
            raise BenchFailed(f"{error}\n{desk.last_words()}") from error
    what = f"a fill whose frame was dropped → booked, {sessions} sessions on a login, {len(found)} tries"
    values = {"missed_fill_p50_s": median(found), "missed_fill_max_s": max(found)}
    return [Measured("detection of fills that the stream drops", [_row(what, found)], values)]


def _tries(desk: TapeDesk, holders: dict[int, str], rounds: int) -> list[float]:
    """Return what came of so many tries of each session, all in all."""
    found: list[float] = []
    for _ in range(_MOST_ROUNDS * rounds):
        found += missed(desk, holders)
        if len(found) >= rounds * len(holders):
            return found
    raise BenchFailed(f"only {len(found)} fills were dropped in {_MOST_ROUNDS * rounds} rounds")


def missed(desk: TapeDesk, holders: Mapping[int, str]) -> list[float]:
    """Let the stops of these sessions fill unheard, and return the seconds until each trader knows.

    Left out are sessions whose stop had filled when the frames began to be dropped.
    """
    for session in holders:
        wait_for(f"session {session} is protected", lambda session=session: _is_protected(desk, session), _PATIENCE)  # type: ignore[misc]
    for account in holders.values():
        desk.broker.fault(_FAULT, account=account)
    knowing = [session for session in holders if desk.state(session)["position"]]
    held = _held(desk)
    tried = {session: holders[session] for session in knowing if holders[session] in held}
    flat_at: dict[int, float] = {}
    found: dict[int, float] = {}

    def look() -> bool:
        held = _held(desk)
        now = time.monotonic()
        for session, account in tried.items():
            if account not in held:
                flat_at.setdefault(session, now)
            if session in flat_at and session not in found and desk.state(session)["position"] == 0:
                found[session] = time.monotonic() - flat_at[session]
        return len(found) == len(tried)

    wait_for("all know", look, _PATIENCE)
    desk.broker.clear_faults(_FAULT)
    return list(found.values())


def _held(desk: TapeDesk) -> set[str]:
    """Return the accounts in which the broker holds a position."""
    return {each["account"] for each in desk.broker.exposure()["positions"] if each["quantity"]}


def _is_protected(desk: TapeDesk, session: int) -> bool:
    state = desk.state(session)
    return bool(state["position"]) and any(each["role"] == "stop_loss" for each in state["orders"])


def _row(what: str, found: Sequence[float]) -> Row:
    told = f"p50 {median(found):.2f} s, max {max(found):.2f} s"
    return Row(what, told, goal=f"≤ {GOAL_SECONDS:g} s", is_met=max(found) <= GOAL_SECONDS)
