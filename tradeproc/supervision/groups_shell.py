"""Carries out the keeper's steps: writes or removes group files and asks supervisord to follow."""

import logging
from collections.abc import Sequence

from tradeproc.home import Home
from tradeproc.supervision.client import Program, Supervisor, SupervisorRefused
from tradeproc.supervision.groups import GroupFiles, link_group, link_name, session_group, session_name
from tradeproc.supervision.reconcile import (
    AddLink,
    AddSession,
    RemoveFile,
    RemoveGroup,
    StartLink,
    Step,
    StopGroup,
    Wanted,
    reconcile,
)

log = logging.getLogger(__name__)


class GroupsShell:
    """The groups of one home as the keeper handles them."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.supervisor = Supervisor(home)
        self._files = GroupFiles(home)

    def step(self, wanted: Sequence[Wanted]) -> list[Step]:
        """Take the next steps towards what is wanted and return them.

        A step that supervisord refuses is logged and comes again at the next look.

        Raises:
            SupervisorAway: supervisord does not answer.
        """
        steps = reconcile(wanted, self.supervisor.processes(), self._files.names())
        for step in steps:
            try:
                self._take(step)
            except SupervisorRefused as refused:
                log.warning("step_refused step=%s reason=%s", step, refused)
            else:
                log.info("step_taken step=%s", step)
        return steps

    def start(self, session: int, login: str) -> None:
        """Start what is down in the groups of a session and its login; a person asked, so also what had halted.

        Raises:
            SupervisorAway: supervisord does not answer.
        """
        groups = {program.group for program in self.supervisor.processes()}
        for group in (link_name(login), session_name(session)):
            if group in groups:
                self.supervisor.start_group(group)

    def add_link(self, login: str) -> None:
        """Let the link of a login run, as a session of it would; it ends by itself when nobody needs it.

        Raises:
            SupervisorAway: supervisord does not answer.
        """
        members = [program for program in self.supervisor.processes() if program.group == link_name(login)]
        link = next((program for program in members if program.name == "link"), None)
        if link is None:
            self._take(AddLink(login))
        elif link.state.is_down:
            self._take(StartLink(login))

    def programs(self) -> list[Program]:
        """Return everything that supervisord has.

        Raises:
            SupervisorAway: supervisord does not answer.
        """
        return self.supervisor.processes()

    def _take(self, step: Step) -> None:
        match step:
            case AddLink(login):
                if self._files.read(link_name(login)) is None:
                    self._files.write(link_group(login))
                self.supervisor.add_group(link_name(login))
            case StartLink(login):
                self.supervisor.start(link_name(login), "link")
            case AddSession(session):
                self._files.write(session_group(session))
                self.supervisor.add_group(session_name(session))
            case StopGroup(group):
                self.supervisor.stop_group(group)
            case RemoveGroup(group):
                self._files.remove(group)
                self.supervisor.remove_group(group)
            case RemoveFile(group):
                self._files.remove(group)
