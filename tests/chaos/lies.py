"""Troubles of a broker that lies and of people who trade past us: stops, legs, lists, foreign orders, a roll, alarms.

The strategy of a campaign moves its stop on each bar, so that the market is seldom beyond it for long: a stop that
does nothing is therefore that of a session of its own, whose strategy leaves it where it is.

Each ends by clearing the fault and, where it closed trading by design, by opening it again as a person would.
"""

import itertools
import random
import shutil
import time
from pathlib import Path

from tests.chaos.scene import Missed, Scene
from tests.chaos.trouble import Maker, Trouble, ask_now, clear, hit
from tests.drills.desk import Desk, duplicates
from tradeproc.bench.stops import resume
from tradeproc.protocol import names
from tradeproc.testing.desk import ACCOUNTS, wait_for
from tradeproc.testing.waiting import Late

NEXT = "ESM24"
# sessions that last as long as a fault have an account of their own
APART = ACCOUNTS[2]
_RAISED = r"alarm_raised name="
_HOLDS_SECONDS, _ROLL_SECONDS, _STOP_SECONDS = 40.0, 90.0, 120.0
_STEPS = ("closing", "flat", "switched", "reopening")
_numbers = itertools.count(1)


def open_again(scene: Scene) -> None:
    """Open what the fault has closed to entries, by a reason, as a person does who has looked at the broker."""
    clear(scene.desk)
    ask_now(scene)
    wait_for("all sessions trade again", lambda: _is_open(scene), 60.0)


def _is_open(scene: Scene) -> bool:
    desk = scene.desk
    states = [desk.state(session) for session in scene.sessions.values()]
    if all(state["trading_state"] == "active" and not _standing(state) for state in states):
        return True
    resume(desk)
    for session in scene.sessions.values():
        desk.ask(names.KEEPER, "resume", {"session": session, "by": "chaos", "reason": "it was a drill"}, 10.0)
    return False


def _standing(state: dict[str, object]) -> bool:
    alarms = state["alarms"]
    return isinstance(alarms, dict) and bool(alarms.keys() & {"external_change", "stop_inert", "position_uncovered"})


def _protection(name: str, target: str, pattern: str) -> Maker:
    """Take protection away: a log line says so at once, and the position is covered again, or closed, in ten seconds.

    The line is there also where the position ends at the same time; the watch over what is covered judges the rest.
    """

    def make(scene: Scene, _: random.Random) -> Trouble:
        since = hit(scene, name, target, 90.0, count=1)
        return Trouble(name, target, pattern, 12.0, lambda: open_again(scene), since)

    return make


def inert_stop(scene: Scene, _: random.Random) -> Trouble:
    """Let the stop of a session of its own do nothing; its policy closes the position, and the login is halted."""
    desk = scene.desk
    changes = {"name": f"inert-{time.time_ns():x}", "inert_stop_policy": "flatten", "inert_stop_seconds": 1}
    session = desk.begin("tradeproc.bench.long_only:LongOnly", APART, changes, stop_ticks=2)
    try:
        since = hit(scene, "inert_stop", "stops", _STOP_SECONDS, count=None, account=APART)
    except Missed:
        _stop_flat(desk, session)
        raise
    return Trouble(
        "inert_stop", "stops", rf"{_RAISED}stop_inert", end=lambda: _end_inert(scene, session), since=since
    )


def _end_inert(scene: Scene, session: int) -> None:
    _stop_flat(scene.desk, session)
    open_again(scene)
    assert _covered(scene.desk) == {}, "it ended flat"


def _stop_flat(desk: Desk, session: int) -> None:
    """Stop a session that is flat then; a trader that does not answer at this moment is told again by the keeper."""
    desk.tradectl("session", "stop", str(session), "--flatten", code=None)
    wait_for("it has ended", lambda: desk.pid(names.trader(session)) == 0, 60.0)


def cut_list(scene: Scene, _: random.Random) -> Trouble:
    """Answer questions about orders with half of them, for some seconds; nobody may conclude anything from it."""
    since = hit(scene, "cut_list", "orders", count=None)
    return Trouble("list cut", "orders", "", 8.0, lambda: clear(scene.desk), since)


def lose_page(scene: Scene, _: random.Random) -> Trouble:
    """Lose a page of the list of orders."""
    since = hit(scene, "lose_page", "orders", count=1)
    return Trouble("page lost", "orders", r"question_unknown", end=lambda: clear(scene.desk), since=since)


def by_hand(scene: Scene, _: random.Random) -> Trouble:
    """Close the position of a session by an order that somebody places in the broker's own platform."""
    try:
        account, since = wait_for("somebody holds something", lambda: _closed_by_hand(scene), _HOLDS_SECONDS)
    except Late:
        raise Missed("no session held anything") from None
    pattern = rf"{_RAISED}external_change"
    return Trouble("by hand", account, pattern, 5.0, lambda: open_again(scene), since)


def _closed_by_hand(scene: Scene) -> tuple[str, float] | None:
    """Close a protected position while the market stands still; return its account and when, or None without one."""
    broker = scene.desk.broker
    broker.pause()
    try:
        for row in broker.exposure()["positions"]:
            if row["account"] in scene.sessions and 0 < abs(row["quantity"]) == row["stopped"]:
                since = time.monotonic()
                scene.desk.trade_by_hand(
                    -int(row["quantity"]), row["account"], f"{next(_numbers)}-{time.time_ns() % 10**9:x}"
                )
                return row["account"], since
    finally:
        broker.resume()
    return None


def _killed(process: names.ProcessName) -> Maker:
    def make(scene: Scene, _: random.Random) -> Trouble:
        since = time.monotonic()
        scene.desk.kill(process)
        return Trouble(
            f"{process.program} killed", process, rf"exited: {process.program} \(terminated by SIGKILL", since=since
        )

    return make


def roll_killed(scene: Scene, chance: random.Random) -> Trouble:
    """Let a session roll and kill its trader at a step of it; it must end in the next contract, protected, once."""
    desk, step = scene.desk, chance.choice(_STEPS)
    shutil.copy(Path(__file__).parents[1] / "drills" / "holder.py", desk.home.root)
    name = f"roll-{time.time_ns():x}"
    session = desk.begin("holder.py:Holder", APART, {"name": name})
    wait_for("the position", lambda: desk.state(session)["position"] == 1, _ROLL_SECONDS)
    desk.ask(names.trader(session), "roll", {"by": "chaos", "reason": "drill", "next_contract": NEXT}, 10.0)
    reached = _STEPS[_STEPS.index(step) :]
    wait_for(f"the step {step}", lambda: _step(desk, session) in (*reached, "rolled"), _ROLL_SECONDS)
    since = time.monotonic()
    desk.kill(names.trader(session))
    pattern = r"exited: trader \(terminated by SIGKILL"
    return Trouble("roll killed", step, pattern, end=lambda: _end_roll(scene, session), since=since)


def _end_roll(scene: Scene, session: int) -> None:
    desk = scene.desk
    try:
        wait_for("the roll is over", lambda: _step(desk, session) == "rolled", _ROLL_SECONDS)
        wait_for("its trader knows", lambda: desk.state(session)["rolling"] is False)
        wait_for("it is protected", lambda: _covered(desk) == {NEXT: (1, 1)}, 30.0)
        assert duplicates(desk.broker.ledger()["requests"], APART) == []
        desk.assert_books_agree(session, APART)
    finally:
        _stop_flat(desk, session)


def _covered(desk: Desk) -> dict[str, tuple[int, int]]:
    rows = [row for row in desk.broker.exposure()["positions"] if row["account"] == APART and row["quantity"]]
    return {row["contract"]: (int(row["quantity"]), int(row["stopped"])) for row in rows}


def _step(desk: Desk, session: int) -> str:
    rows = desk.rows("select step from rolls where session = %s order by number desc limit 1", session)
    return str(rows[0]["step"]) if rows else ""


LIES: dict[str, tuple[int, Maker]] = {
    # a cancel of ours that comes second is refused
    "cancel_stop": (2, _protection("cancel_stop", "stops", r"stop_ended_by_broker .*state=cancelled|cancel_refused")),
    "reject_stop": (2, _protection("reject_stop", "stops", r"stop_ended_by_broker .*state=rejected")),
    "lose_legs": (2, _protection("lose_legs", "place", r"order_never_arrived|order_missing_at_broker")),
    "inert_stop": (2, inert_stop),
    "cut_list": (2, cut_list),
    "lose_page": (2, lose_page),
    "by_hand": (3, by_hand),
    "kill_portfolio": (2, _killed(names.PORTFOLIO)),
    "kill_notifier": (1, _killed(names.NOTIFIER)),
    "roll_killed": (3, roll_killed),
}
"""How often each is drawn, relative to the others, and how it is made."""
