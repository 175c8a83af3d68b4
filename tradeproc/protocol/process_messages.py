"""What every process says about itself, whatever it is: heartbeat, status, ping."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from tradeproc.domain.frozen import dataclass
from tradeproc.domain.units import Nanos
from tradeproc.protocol.definitions import ANY, Method, NoBody, Topic
from tradeproc.protocol.names import ProcessName

ProcessState = Literal["starting", "ready", "degraded", "stopping"]

_ALL: Final = (ANY,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """State, progress and lag of a process; `bus/vitals.py` says what the numbers mean.

    `lag_ns` is the longest time that a message was under way, within the last second; `statistics` are the numbers of
    the parts of a process, each under its own name. A process of a version before counts no `work`.
    """

    process: ProcessName
    pid: int
    kind: str
    state: ProcessState
    detail: str
    started_at: Nanos
    at: Nanos
    last_event_at: Nanos | None
    market_at: Nanos | None
    lag_ns: int
    loop: int
    work: int = 0
    epoch: int
    statistics: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(Status):
    """The same, with the last number of each topic, by which a subscriber sees what it has missed."""

    topics: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LifeSign:
    """The part of a heartbeat by which supervision tells that a process lives and gets on.

    It reads nothing else of it: a word of another version that it does not know must not make a living process one
    that hangs and is killed.
    """

    pid: int
    loop: int
    work: int = 0


LIFE_SIGN: Topic[LifeSign] = Topic("heartbeat", LifeSign, _ALL)
HEARTBEAT: Topic[Heartbeat] = Topic("heartbeat", Heartbeat, _ALL)
STATUS: Method[NoBody, Status] = Method("status", NoBody, Status, _ALL)
PING: Method[NoBody, NoBody] = Method("ping", NoBody, NoBody, _ALL)
