"""Carries out the keeper's steps: writes or removes group files and asks supervisord to follow."""

import logging
from collections.abc import Collection, Sequence

from tradeproc.home import Home
from tradeproc.protocol import names
from tradeproc.supervision.client import Program, Supervisor, SupervisorRefused
from tradeproc.supervision.groups import (
    GroupFiles,
    GroupSpec,
    feed_program,
    is_ours,
    link_group,
    parse,
    render,
    session_group,
)
from tradeproc.supervision.wanted_groups import (
    AddLink,
    AddSession,
    RemoveFile,
    RemoveGroup,
    StartLink,
    Step,
    StopGroup,
    WantedSession,
    reconcile,
)

log = logging.getLogger(__name__)


class GroupsShell:
    """The groups of one home as the keeper handles them."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.supervisor = Supervisor(home)
        self._files = GroupFiles(home)
        self._mended: set[str] = set()
        self._edited: set[str] = set()

    def step(self, wanted: Sequence[WantedSession], programs: Sequence[Program]) -> list[Step]:
        """Take the next steps from what runs towards what is wanted, and return them.

        A step that supervisord refuses is logged and comes again at the next look.

        Raises:
            SupervisorAway: supervisord does not answer.
        """
        self._mend(wanted, programs)
        steps = reconcile(wanted, programs, self._files.names())
        for step in steps:
            try:
                self._take(step, wanted)
            except SupervisorRefused as refused:
                log.warning("step_refused step=%s reason=%s", step, refused)
            else:
                log.info("step_taken step=%s", step)
        return steps

    def _mend(self, wanted: Sequence[WantedSession], programs: Sequence[Program]) -> None:
        """Write the files again that somebody edited or removed; a group that runs as edited is begun anew, alone."""
        for name in self._files.put_aside_unreadable():
            log.error("group_file_put_aside file=%s.aside: nobody can read it", name)
        members: dict[str, list[Program]] = {}
        for program in programs:
            members.setdefault(program.group, []).append(program)
        for each in wanted:
            if each.group in members:
                self._write_again(self._files.text(each.group), _group_of(each))
        needed = {login for each in wanted for login in each.logins}
        for login in sorted(login for login in needed if names.link_group(login) in members):
            text = self._files.text(names.link_group(login))
            self._write_again(
                text, parse(text) if is_ours(text) else _as_it_runs(login, members[names.link_group(login)])
            )
        try:
            if self._mended:
                self._edited |= self._mended & set(self.supervisor.reread())
                self._mended.clear()
            for group in sorted(self._edited):
                self._renew(group, members.get(group, []))
        except SupervisorRefused as refused:
            log.warning("mending_refused groups=%s reason=%s", sorted(self._mended | self._edited), refused)

    def _write_again(self, text: str, group: GroupSpec) -> None:
        """Write a file that is not as it should be.

        One that another version of tradeproc wrote is no edit of a person.
        """
        if text == render(group, self.home):
            return
        if text and not is_ours(text):
            self._files.put_aside(group.name)
        self._files.write(group)
        if not is_ours(text):
            self._mended.add(group.name)
            log.warning("group_file_mended group=%s", group.name)

    def _renew(self, group: str, members: Sequence[Program]) -> None:
        if any(program.state.is_up for program in members):
            log.warning("group_renewed group=%s: it runs as somebody edited it", group)
            self.supervisor.stop_group(group)
        elif all(program.state.is_down for program in members):
            self.supervisor.remove_group(group)
            self.supervisor.add_group(group)
            self._edited.discard(group)

    def start(self, session: int, logins: Collection[str]) -> None:
        """Start what is down in the groups of a session and its logins; a person asked, so also what had halted.

        Raises:
            SupervisorAway: supervisord does not answer.
        """
        groups = {program.group for program in self.supervisor.processes()}
        for group in (*map(names.link_group, logins), names.session_group(session)):
            if group in groups:
                self.supervisor.start_group(group)

    def add_link(self, login: str) -> None:
        """Let the link of a login run, as a session of it would; it ends by itself when nobody needs it.

        Raises:
            SupervisorAway: supervisord does not answer.
        """
        members = [program for program in self.supervisor.processes() if program.group == names.link_group(login)]
        link = next((program for program in members if program.process.kind == "link"), None)
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

    def _take(self, step: Step, wanted: Sequence[WantedSession] = ()) -> None:
        match step:
            case AddLink(login):
                if self._files.read(names.link_group(login)) is None:
                    self._files.write(link_group(login))
                self.supervisor.add_group(names.link_group(login))
            case StartLink(login):
                link = names.link(login)
                self.supervisor.start(link.group, link.program)
            case AddSession(session):
                self._files.write(next(_group_of(each) for each in wanted if each.session == session))
                self.supervisor.add_group(names.session_group(session))
            case StopGroup(group):
                self.supervisor.stop_group(group)
            case RemoveGroup(group):
                self._files.remove(group)
                self.supervisor.remove_group(group)
            case RemoveFile(group):
                self._files.remove(group)


def _group_of(wanted: WantedSession) -> GroupSpec:
    return session_group(wanted.session, wanted.login, wanted.account)


def _as_it_runs(login: str, members: Sequence[Program]) -> GroupSpec:
    group = link_group(login)
    for program in members:
        if program.process.feed:
            group = group.with_program(feed_program(login, program.name))
    return group
