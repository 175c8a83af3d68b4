"""Asking supervisord over its unix socket: what runs, and start, stop, add, remove.

Every call is one short exchange with a deadline; nothing waits for a process here, callers look again instead.
"""

import http.client
import socket
import xmlrpc.client
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

from tradeproc.domain.frozen import dataclass
from tradeproc.errors import Outage, Refusal
from tradeproc.home import Home
from tradeproc.protocol.names import GroupName, ProcessName

_SECONDS = 5.0


class RefusalCode(IntEnum):
    """Why supervisord refused, as far as we ask: some of its `supervisor.xmlrpc.Faults`.

    They are written again here, because that module loads supervisord's own server, 2 MB in every link.
    """

    SHUTDOWN_STATE = 6
    BAD_NAME = 10
    ALREADY_STARTED = 60
    ALREADY_ADDED = 90


class SupervisorAway(Outage):
    """supervisord does not answer or is stopping; caught by the loop that wanted something, which asks again."""


class SupervisorStopping(SupervisorAway):
    """supervisord is stopping; caught by whoever waits for its end. Everyone else treats it as away."""


class SupervisorRefused(Refusal):
    """supervisord answered with a fault; `code` is one of `RefusalCode`, or another of supervisord's."""

    def __init__(self, method: str, code: int, text: str) -> None:
        self.code = code
        super().__init__(f"supervisord refused {method}: {text}")


class ProgramState(StrEnum):
    """State of a program as supervisord names it."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    STOPPING = "STOPPING"
    EXITED = "EXITED"
    FATAL = "FATAL"
    UNKNOWN = "UNKNOWN"

    @property
    def is_up(self) -> bool:
        """Tell whether there is a process, or supervisord is about to start one."""
        return self in (ProgramState.STARTING, ProgramState.RUNNING, ProgramState.BACKOFF)

    @property
    def is_down(self) -> bool:
        """Tell whether there is no process and supervisord will not start one."""
        return self in (ProgramState.STOPPED, ProgramState.EXITED, ProgramState.FATAL)


@dataclass(frozen=True, slots=True)
class Program:
    """One program as supervisord sees it; times are whole seconds since the epoch, 0 for never."""

    group: str
    name: str
    state: ProgramState
    pid: int
    exit_status: int
    started_at: int
    stopped_at: int
    error: str
    logfile: str

    @property
    def process(self) -> ProcessName:
        """Name on the bus, as `session-1.trader`."""
        return GroupName(self.group).process(self.name)


class Supervisor:
    """The supervisord of one home."""

    def __init__(self, home: Home, *, seconds: float = _SECONDS) -> None:
        self._path = home.supervisor_socket
        self._seconds = seconds

    def processes(self) -> list[Program]:
        """Return all programs, by priority of their group and their own.

        Raises:
            SupervisorAway: supervisord does not answer.
        """
        return [_program(row) for row in self._call("supervisor.getAllProcessInfo")]

    def is_up(self) -> bool:
        """Tell whether supervisord answers and is not on its way down."""
        try:
            state: dict[str, Any] = self._call("supervisor.getState")
        except SupervisorAway:
            return False
        return bool(state["statename"] == "RUNNING")

    def pid(self) -> int:
        """Return the process id of supervisord."""
        return int(self._call("supervisor.getPID"))

    def start(self, group: str, name: str) -> bool:
        """Start one program; False when it is up already."""
        return self._unless(
            RefusalCode.ALREADY_STARTED,
            "supervisor.startProcess",
            GroupName(group).process(name).at_supervisord,
            False,
        )

    def stop(self, group: str, name: str) -> bool:
        """Begin to stop one program, also one that died and that supervisord is about to start again.

        False when it was down.
        """
        return bool(self._call("tradeproc.stopProgram", group, name))

    def start_group(self, group: str) -> None:
        """Start every program of a group that is not up."""
        self._call("supervisor.startProcessGroup", group, False)

    def stop_group(self, group: str) -> None:
        """Begin to stop every program of a group, the last started first."""
        self._call("supervisor.stopProcessGroup", group, False)

    def reread(self) -> list[str]:
        """Let supervisord read its files again, touching no running program.

        Return the groups that run otherwise than their files say.
        """
        (_added, changed, _removed), *_ = self._call("supervisor.reloadConfig")
        return [str(group) for group in changed]

    def add_group(self, group: str) -> bool:
        """Add a group whose file is in `run/groups`, and start it; False when it is there already."""
        self.reread()
        return self._unless(RefusalCode.ALREADY_ADDED, "supervisor.addProcessGroup", group)

    def remove_group(self, group: str) -> bool:
        """Forget a group that is down; False when it is not there.

        Raises:
            SupervisorRefused: a program of it is still up.
        """
        return self._unless(RefusalCode.BAD_NAME, "supervisor.removeProcessGroup", group)

    def add_program(self, group: str, name: str) -> bool:
        """Add one program to a running group whose file names it now, and start it; False when it is there."""
        return bool(self._call("tradeproc.addProgram", group, name))

    def remove_program(self, group: str, name: str) -> bool:
        """Forget one program that is down and that the group's file no longer names; False when it is not there."""
        return bool(self._call("tradeproc.removeProgram", group, name))

    def say_ready(self) -> None:
        """Let systemd, where it started supervisord, know that the desk is ready.

        Raises:
            SupervisorAway: supervisord does not answer.
            SupervisorRefused: it is of a version that cannot.
        """
        self._call("tradeproc.sayReady")

    def set_note(self, key: str, text: str) -> None:
        """Let supervisord remember a text as long as it lives; an empty one forgets it."""
        self._call("tradeproc.setNote", key, text)

    def notes(self) -> dict[str, str]:
        """Return what supervisord was asked to remember."""
        return {str(key): str(text) for key, text in self._call("tradeproc.getNotes").items()}

    def shutdown(self) -> None:
        """Begin to stop everything: sessions at once, then logins, then group by group in supervisord's own order."""
        groups = sorted({program.process.group for program in self.processes()})
        sessions = [group for group in groups if group.session is not None]
        for group in (*sessions, *(group for group in groups if group.login is not None)):
            self.stop_group(group)
        self._call("supervisor.shutdown")

    def _unless(self, code: int, method: str, *parameters: str | bool) -> bool:
        try:
            self._call(method, *parameters)
        except SupervisorRefused as refused:
            if refused.code == code:
                return False
            raise
        return True

    def _call(self, method: str, *parameters: str | bool) -> Any:
        # xmlrpc writes texts alone, not what is derived from them
        plain = tuple(str(each) if isinstance(each, str) else each for each in parameters)
        body = xmlrpc.client.dumps(plain, method).encode()
        try:
            answer = _post(self._path, body, self._seconds)
            return xmlrpc.client.loads(answer)[0][0]
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == RefusalCode.SHUTDOWN_STATE:
                raise SupervisorStopping(f"supervisord is stopping; it does not take {method} any more") from None
            raise SupervisorRefused(method, fault.faultCode, fault.faultString) from None
        except (OSError, http.client.HTTPException, ValueError, xmlrpc.client.Error) as error:
            raise SupervisorAway(f"supervisord does not answer at {self._path}: {error!r}") from error


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _post(path: Path, body: bytes, seconds: float) -> str:
    connection = _UnixConnection(path, seconds)
    try:
        connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise http.client.HTTPException(f"status {response.status}")
        return response.read().decode("utf-8", "replace")
    finally:
        connection.close()


def _program(row: dict[str, Any]) -> Program:
    return Program(
        group=str(row["group"]),
        name=str(row["name"]),
        state=ProgramState(row["statename"]),
        pid=int(row["pid"]),
        exit_status=int(row["exitstatus"]),
        started_at=int(row["start"]),
        stopped_at=int(row["stop"]),
        error=str(row["spawnerr"]),
        logfile=str(row["stdout_logfile"] or row["stderr_logfile"]),
    )
