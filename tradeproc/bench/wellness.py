"""When a desk is well: every process is ready, has heard the newest life of its feeds, and the session may trade."""

import time
from collections.abc import Mapping

from tradeproc.bench.figures import BenchFailed
from tradeproc.bus.client import Client
from tradeproc.errors import Outage, Refusal
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import ProcessName
from tradeproc.protocol.process_messages import STATUS, Status
from tradeproc.protocol.trader_messages import ASK_STATE, SessionState

LOOK_SECONDS = 0.02
_ANSWER_SECONDS = 0.1
_LONGEST_SECONDS = 90.0
# the second is a normal state too: the strategy is leaving a position
_AT_WORK = ("allowed", "the position is being closed")


class Wellness:
    """Looks at the processes of one session's desk until nothing is wrong with any of them."""

    def __init__(self, client: Client, processes: list[str], trader: str) -> None:
        self._client, self._processes, self._trader = client, processes, trader
        self.last_trouble = ""

    def wait(self, killed: Mapping[str, int]) -> float:
        """Return the monotonic second at which all was well, twice in a row.

        Args:
            killed: pids of processes that must have been replaced.

        Raises:
            BenchFailed: it does not become well.
        """
        deadline = time.monotonic() + _LONGEST_SECONDS
        well_since: float | None = None
        self.last_trouble = ""
        while True:
            looked = time.monotonic()
            trouble = self.trouble(killed)
            if not trouble and well_since is not None:
                return well_since
            well_since = None if trouble else looked
            self.last_trouble = trouble or self.last_trouble
            if looked > deadline:
                raise BenchFailed(f"not well within {_LONGEST_SECONDS:.0f} s: {trouble}")
            time.sleep(LOOK_SECONDS)

    def trouble(self, killed: Mapping[str, int]) -> str:
        """Return in one line what is not well yet, empty when all is."""
        statuses: dict[str, Status] = {}
        try:
            # those that were killed first, the trader last: it depends on all others
            for process in sorted(self._processes, key=lambda each: (each not in killed, each == self._trader)):
                status = statuses[process] = self._client.call(process, STATUS, NoBody(), _ANSWER_SECONDS)
                if status.pid == killed.get(process):
                    return f"{process} is still the killed one"
                if status.state != "ready":
                    return f"{process} is {status.state}: {status.detail}"
            summary = self._client.call(self._trader, ASK_STATE, NoBody(), _ANSWER_SECONDS)
        except (Outage, Refusal) as error:
            return str(error)
        return _stale(statuses) or _idle(self._trader, summary)


def _stale(statuses: Mapping[str, Status]) -> str:
    """Return which process has not heard the present life of a feed yet, empty if none."""
    epochs = {ProcessName(process).kind: status.epoch for process, status in statuses.items()}
    for process, status in statuses.items():
        for key, epoch in status.statistics.items():
            kind = key.removeprefix("followed_")
            if kind != key and epoch != epochs[kind]:
                return f"{process} has not heard the new {kind}"
    return ""


def _idle(trader: str, told: SessionState) -> str:
    """Return why the trader would not trade now, empty if it would."""
    if told.entries not in _AT_WORK:
        return f"{trader}: {told.entries}"
    has = {"warm": told.warm, "reconciled": told.reconciled, "lease": told.lease}
    missing = [name for name, is_there in has.items() if not is_there]
    down = [f"{name}: {state}" for name, state in told.streams.items() if state != "up"]
    return f"{trader}: {', '.join(missing + down)}" if missing or down else ""
