"""The feeds of one login as programs of its link's group: started, listed and ended by the link itself."""

from collections.abc import Sequence

from tradeproc.errors import Refusal
from tradeproc.home import Home
from tradeproc.protocol import names
from tradeproc.supervision.client import ProgramState, Supervisor
from tradeproc.supervision.groups import GroupFiles, GroupSpec, ProgramSpec, link_group

_LINK = "link"
# a feed has 3 s to end before it is killed; supervisord answers after that
_REMOVE_SECONDS = 8.0


class NoSuchFeed(Refusal):
    """The link itself is not one of its feeds; caught by whoever asked."""


class FeedPrograms:
    """Feeds of one login; every call is short, except `remove`, which waits for the feed's end."""

    def __init__(self, home: Home, login: str) -> None:
        self._supervisor = Supervisor(home, seconds=_REMOVE_SECONDS)
        self._files = GroupFiles(home)
        self._login = login
        self._group = names.link_group(login)

    def ensure(self, program: str, arguments: Sequence[str]) -> bool:
        """Let a feed run; False when it was there already, which is as good.

        Args:
            program: name in the group, as `bars-ESH24-1m`.
            arguments: what follows `python -m tradeproc.procs`, as `bars paper ESH24 1`.

        Raises:
            NoSuchFeed: the name is the link's own.
            SupervisorAway: supervisord does not answer; the feed may run or not.
            SupervisorRefused: supervisord has no such group.
        """
        self._refuse_link(program)
        wanted = ProgramSpec(program, tuple(arguments))
        group = self._read()
        if wanted not in group.programs:
            self._files.write(group.with_program(wanted))
        return self._supervisor.add_program(self._group, program)

    def states(self) -> dict[str, ProgramState]:
        """Return the states of the feeds in the group by name, also of those that have ended.

        Raises:
            SupervisorAway: supervisord does not answer.
        """
        return {
            program.name: program.state
            for program in self._supervisor.processes()
            if program.group == self._group and program.name != _LINK
        }

    def remove(self, program: str) -> bool:
        """End a feed that may be up or down, and forget it; False when it was not there.

        Raises:
            NoSuchFeed: the name is the link's own.
            SupervisorAway: supervisord does not answer; the feed may still be there.
            SupervisorRefused: supervisord has no such group.
        """
        self._refuse_link(program)
        self._files.write(self._read().without_program(program))
        return self._supervisor.remove_program(self._group, program)

    def _read(self) -> GroupSpec:
        return self._files.read(self._group) or link_group(self._login)

    def _refuse_link(self, program: str) -> None:
        if program == _LINK:
            raise NoSuchFeed(f"{self._group}: {program} is no feed")
