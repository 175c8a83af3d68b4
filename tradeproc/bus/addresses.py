"""A process's name is its address: `<folder>/<group>.<name>.pub` and `.rpc`; the folder is the registry.

Processes of other hosts are the same names on tcp with CURVE keys; tcp without keys is refused.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tradeproc.bus.curve import CurveKeys, RemoteAccess, TcpPeer
from tradeproc.errors import Halt, Refusal
from tradeproc.protocol.names import ProcessName

_NAME = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9._-]+")
_LONGEST_ADDRESS = 107


class BadProcessName(Refusal):
    """A name that is not `<group>.<name>`; caught where it came in."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is no process name; write group.name, as core.keeper")


class SocketFolderTooDeep(Halt):
    """A socket path longer than the kernel takes; caught by the entry points."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: longer than {_LONGEST_ADDRESS} bytes; move the home to a shorter path")


class NoKeys(Halt):
    """A peer on tcp without CURVE keys; caught by the entry points."""

    def __init__(self, process: str) -> None:
        super().__init__(f"{process}: is on another host, but no CURVE keys are configured; plain tcp is refused")


@dataclass(frozen=True)
class Directory:
    """Where every process can be reached.

    `hosts` names processes of other hosts and needs `keys`, our own identity towards them. `listeners` names
    processes of this host that other hosts may reach.
    """

    folder: Path
    hosts: Mapping[str, TcpPeer] = field(default_factory=dict)
    keys: CurveKeys | None = None
    listeners: Mapping[str, RemoteAccess] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse tcp without keys.

        Raises:
            NoKeys: a peer on another host, but no keys of our own.
        """
        for process in self.hosts:
            if self.keys is None:
                raise NoKeys(process)

    def pub(self, process: str) -> str:
        """Return the address at which a process publishes."""
        peer = self.hosts.get(process)
        return f"tcp://{peer.host}:{peer.pub_port}" if peer else f"ipc://{self.path(process, 'pub')}"

    def rpc(self, process: str) -> str:
        """Return the address at which a process answers."""
        peer = self.hosts.get(process)
        return f"tcp://{peer.host}:{peer.rpc_port}" if peer else f"ipc://{self.path(process, 'rpc')}"

    def path(self, process: str, suffix: str) -> Path:
        """Return the file of a process with a suffix (`pub`, `rpc`, `lock`).

        Raises:
            BadProcessName: the name is no `<group>.<name>`.
            SocketFolderTooDeep: the kernel would not take the path.
        """
        if not _NAME.fullmatch(process):
            raise BadProcessName(process)
        path = self.folder / f"{process}.{suffix}"
        if len(os.fsencode(path)) > _LONGEST_ADDRESS:
            raise SocketFolderTooDeep(str(path))
        return path

    def processes(self) -> list[ProcessName]:
        """Return the names of those with a socket file here; a killed process leaves its file until it is back."""
        return sorted(ProcessName(path.name.removesuffix(".rpc")) for path in self.folder.glob("*.rpc"))
