"""Which tries the measurement of missed fills counts; over a desk that is played."""

from typing import Any

from tradeproc.bench.missed_fills import missed

HELD, FLAT = {"position": 1, "orders": [{"role": "stop_loss"}]}, {"position": 0, "orders": []}


class Played:
    """A desk and its broker: session 2's stop has filled before the fault is set, session 1's fills after it."""

    def __init__(self) -> None:
        self.broker = self
        self.is_dropping = False
        self.looks = 0

    def fault(self, _name: str, **_options: Any) -> None:
        self.is_dropping = True

    def clear_faults(self, _name: str) -> None:
        self.is_dropping = False

    def exposure(self) -> dict[str, Any]:
        self.looks += 1
        quantities = {"SIM1": 1 if self.looks < 3 else 0, "SIM2": 0}
        return {"positions": [{"account": account, "quantity": held} for account, held in quantities.items()]}

    def state(self, session: int) -> dict[str, Any]:
        return FLAT if self.is_dropping and (session == 2 or self.looks > 3) else HELD


def test_a_stop_that_had_filled_before_the_frames_were_dropped_is_no_try() -> None:
    desk = Played()

    found = missed(desk, {1: "SIM1", 2: "SIM2"})  # type: ignore[arg-type]

    assert len(found) == 1
    assert found[0] > 0
    assert not desk.is_dropping


def test_a_session_of_which_the_broker_says_otherwise_than_its_trader_is_no_try_either() -> None:
    desk = Played()

    assert missed(desk, {2: "SIM2"}) == []  # type: ignore[arg-type]
    assert missed(desk, {3: "SIM2"}) == []  # type: ignore[arg-type]
