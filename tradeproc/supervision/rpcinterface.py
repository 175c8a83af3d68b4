"""Our methods inside supervisord: add one program to a running group, take one out, and remember notes.

supervisord itself can only add and remove whole groups, which would end every feed of a login when one is added.
The group's file is rewritten by the caller before either call, so file and running group always agree and
`supervisorctl update` finds nothing to do. This code runs in supervisord's own process: it must stay small.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from supervisor import events
from supervisor.http import NOT_DONE_YET
from supervisor.options import split_namespec
from supervisor.rpcinterface import SupervisorNamespaceRPCInterface
from supervisor.states import RUNNING_STATES, STOPPED_STATES, ProcessStates
from supervisor.xmlrpc import Faults, RPCError

from tradeproc.folders import keep_to_ourselves
from tradeproc.home import Home
from tradeproc.protocol.names import GroupName
from tradeproc.supervision.ending import ShutdownStep
from tradeproc.supervision.self_pipe import SelfPipe
from tradeproc.supervision.watchdog import SystemdNotifier, notify


class TradeprocNamespace:
    """Namespace `tradeproc` of supervisord's XML-RPC."""

    def __init__(self, supervisord: Any, herald: SystemdNotifier) -> None:
        self.supervisord, self._herald = supervisord, herald
        self._main = SupervisorNamespaceRPCInterface(supervisord)
        self._notes: dict[str, str] = {}

    def addProgram(self, group: str, name: str) -> bool:  # noqa: N802 - supervisord's own spelling
        """Let a running group have one more program of its file, and start it.

        A program that is there is started only when it was done (exit 0); one that a person or the warden stopped
        stays as it is.

        @param string group  name of the group
        @param string name   name of the program in it
        @return boolean result  True when it was started
        """
        self._main._update("addProgram")  # refuses while supervisord stops
        running = self._group(group)
        process = running.processes.get(name)
        if process is None:
            config = self._reread(group)
            added = next((each for each in config.process_configs if each.name == name), None)
            if added is None:
                raise RPCError(Faults.BAD_NAME, GroupName(group).process(name).at_supervisord)
            added.create_autochildlogs()
            process = added.make_process(running)
            running.processes[name] = process
            running.config = config
        is_done = process.get_state() == ProcessStates.EXITED and process.exitstatus == 0
        if not is_done and process.laststart:
            return False
        if process.get_state() not in RUNNING_STATES:
            process.spawn()
            process.transition()
        return True

    def removeProgram(self, group: str, name: str) -> bool | Callable[[], Any]:  # noqa: N802 - supervisord's own spelling
        """Stop one program of a running group, wait for its end, and forget it; its file no longer names it.

        @param string group  name of the group
        @param string name   name of the program in it
        @return boolean result  False when it was not there
        """
        running = self._group(group)
        process = running.processes.get(name)
        if process is None:
            return False
        if process.get_state() in RUNNING_STATES:
            self._main.stopProcess(GroupName(group).process(name).at_supervisord, False)

        def forget() -> Any:
            if process.get_state() not in STOPPED_STATES:
                return NOT_DONE_YET
            if running.processes.get(name) is process:
                del running.processes[name]
                running.config = self._reread(group)
            return True

        forget.delay = 0.05  # type: ignore[attr-defined]  # seconds between two looks, read by supervisor.http
        return forget

    def stopProgram(self, group: str, name: str) -> bool:  # noqa: N802 - supervisord's own spelling
        """Begin to stop a program, or keep one that died from being started again.

        supervisord's own stop refuses a program that has just died and is about to be started again.

        @param string group  name of the group
        @param string name   name of the program in it
        @return boolean result  True when it is or will be told as stopped, False when it was down for good
        """
        process = self._group(group).processes.get(name)
        if process is None or process.get_state() in (ProcessStates.STOPPED, ProcessStates.FATAL):
            return False
        if process.get_state() == ProcessStates.EXITED and process.exitstatus in process.config.exitcodes:
            return False
        if process.get_state() in (ProcessStates.EXITED, ProcessStates.BACKOFF):
            process.delay = process.backoff = 0
            process.change_state(ProcessStates.STOPPED)
        elif process.get_state() != ProcessStates.STOPPING:
            self._main.stopProcess(GroupName(group).process(name).at_supervisord, False)
        return True

    def sayReady(self) -> bool:  # noqa: N802 - supervisord's own spelling
        """Let systemd know that the desk is ready; called by the keeper.

        @return boolean result  always True
        """
        self._herald.ready()
        return True

    def setNote(self, key: str, text: str) -> bool:  # noqa: N802 - supervisord's own spelling
        """Remember a text as long as supervisord lives; called by the warden, so that its successor knows its plans.

        @param string key   what it is about
        @param string text  the note; empty forgets it
        @return boolean result  always True
        """
        if text:
            self._notes[key] = text
        else:
            self._notes.pop(key, None)
        return True

    def getNotes(self) -> dict[str, str]:  # noqa: N802 - supervisord's own spelling
        """Return all notes.

        @return struct result  texts by key
        """
        return dict(self._notes)

    def _group(self, name: str) -> Any:
        group = self.supervisord.process_groups.get(split_namespec(name)[0])
        if group is None:
            raise RPCError(Faults.BAD_NAME, name)
        return group

    def _reread(self, group: str) -> Any:
        self._main.reloadConfig()
        for config in self.supervisord.options.process_group_configs:
            if config.name == group:
                return config
        raise RPCError(Faults.BAD_NAME, group)


def make_rpcinterface(supervisord: Any, **_config: str) -> TradeprocNamespace:
    """Return our namespace; called by supervisord once at its start, before its loop turns.

    It also makes the folders that the programs need (a boot empties the temporary folder, where the sockets are),
    lets supervisord's loop turn at once when a child dies, tells systemd every 5 s that the loop still turns, and
    limits the time that a shutdown takes.
    """
    keep_to_ourselves()
    Home(Path(supervisord.options.here)).make_folders()
    SelfPipe(supervisord, ShutdownStep(supervisord).turn)
    herald = SystemdNotifier(supervisord)
    events.subscribe(events.SupervisorRunningEvent, lambda _: notify("STATUS=starting"))
    events.subscribe(events.Tick5Event, lambda _: herald.tick())
    return TradeprocNamespace(supervisord, herald)
