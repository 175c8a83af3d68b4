"""The main job: the tape through supervisord and every process, with each example strategy, to the last order."""

import pytest

from tests.drills.desk import Desk
from tradeproc.testing.desk import ACCOUNTS, wait_for

pytestmark = pytest.mark.drill

EXAMPLES = {
    "moving_average_cross": {"fast": 2, "slow": 5},
    "opening_range_breakout": {"range_minutes": 12},
    "donchian_atr": {"channel": 5, "atr": 5},
}


def test_each_example_trades_the_tape_and_the_books_are_the_brokers_own(desk: Desk) -> None:
    sessions = {
        account: desk.begin(strategy, account, **arguments)
        for account, (strategy, arguments) in zip(ACCOUNTS, EXAMPLES.items(), strict=True)
    }
    desk.broker.speed(90.0)
    wait_for("the end of the tape", lambda: desk.broker.status()["over"], 120.0)
    for session in sessions.values():
        desk.flatten(session)

    for account, session in sessions.items():
        desk.assert_books_agree(session, account)
        assert desk.count_fills(session) >= 2, f"{account} never traded"
        assert not desk.rows("select * from divergences where session = %s", session)
        assert not desk.rows("select * from alarms where session = %s and cleared_at is null", session)
