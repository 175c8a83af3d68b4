"""supervisord's event protocol: reads events from standard input, says READY and RESULT on standard output.

supervisord sends the next event only after the answer to the last. What is read is pure (`EventReader`); only
`EventListener` touches the two file descriptors.
"""

import os
from collections.abc import Callable, Mapping

from tradeproc.domain.frozen import dataclass
from tradeproc.errors import Fault

_READY = b"READY\n"
_OK = b"RESULT 2\nOK"


class BadProtocol(Fault):
    """supervisord sent what is no event; the warden restarts and rebuilds from supervisord."""


@dataclass(frozen=True, slots=True)
class SupervisorEvent:
    """One event: its name, as PROCESS_STATE_EXITED, and its fields."""

    name: str
    fields: Mapping[str, str]

    @property
    def group(self) -> str:
        """Name of the group it is about, empty when it is about none."""
        return self.fields.get("groupname", "")

    @property
    def program(self) -> str:
        """Name of the program in the group, empty when it is about none."""
        return self.fields.get("processname", "")


class EventReader:
    """Cuts a stream of bytes into events, however the bytes are split."""

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, data: bytes) -> list[SupervisorEvent]:
        """Return the events that are complete now.

        Raises:
            BadProtocol: a header without name or length.
        """
        self._kept += data
        found = []
        while (event := self._next()) is not None:
            found.append(event)
        return found

    def _next(self) -> SupervisorEvent | None:
        line, newline, rest = self._kept.partition(b"\n")
        if not newline:
            return None
        header = _fields(line)
        try:
            name, length = header["eventname"], int(header["len"])
        except (KeyError, ValueError) as error:
            raise BadProtocol(f"no event: {line[:200]!r}") from error
        if len(rest) < length:
            return None
        payload, self._kept = rest[:length], rest[length:]
        return SupervisorEvent(name, _fields(payload.partition(b"\n")[0]))


class EventListener:
    """The conversation; `on_event` is called for each event before it is answered."""

    def __init__(self, on_event: Callable[[SupervisorEvent], None], on_end: Callable[[], None]) -> None:
        self._on_event, self._on_end = on_event, on_end
        self._reader = EventReader()
        self.events = 0
        self.input, self._output = 0, 1

    def begin(self) -> None:
        """Say that we listen."""
        os.write(self._output, _READY)

    def read(self) -> None:
        """Take what came; to be called when `input` is readable."""
        data = os.read(self.input, 65536)
        if not data:
            self._on_end()
            return
        for event in self._reader.feed(data):
            self.events += 1
            self._on_event(event)
            os.write(self._output, _OK + _READY)


def _fields(line: bytes) -> dict[str, str]:
    pairs = (token.partition(":") for token in line.decode("utf-8", "replace").split())
    return {key: value for key, _, value in pairs}
