"""Compares the groups that should be there with those that are: pure; each look gives the next steps.

The keeper owns the existence of groups, never their restarts: what a person stopped with supervisorctl, and what the
warden holds down, stays down. A login's link ends by itself; its group goes when nothing of it is left.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from tradeproc.domain.frozen import dataclass
from tradeproc.errors import EXIT_DONE
from tradeproc.protocol import names
from tradeproc.protocol.names import GroupName
from tradeproc.supervision.client import Program, ProgramState


@dataclass(frozen=True, slots=True)
class WantedSession:
    """A session that should run: its logins, and what no two running sessions may share.

    `login` takes its orders, `data_login` serves its bars; empty means the same. `witness_login` serves prices to
    compare them with; empty means none.
    """

    session: int
    login: str
    account: str
    root: str
    data_login: str = ""
    witness_login: str = ""

    @property
    def logins(self) -> frozenset[str]:
        """Logins whose links the session needs."""
        return frozenset((self.login, self.data_login or self.login, self.witness_login or self.login))

    @property
    def group(self) -> str:
        """Name of its supervisord group."""
        return names.session_group(self.session)


@dataclass(frozen=True, slots=True)
class AddLink:
    """Write a login's group and add it."""

    login: str


@dataclass(frozen=True, slots=True)
class StartLink:
    """Start a link that ended because nobody needed it."""

    login: str


@dataclass(frozen=True, slots=True)
class AddSession:
    """Write a session's group and add it."""

    session: int


@dataclass(frozen=True, slots=True)
class StopGroup:
    """Begin to stop a group that nobody wants."""

    group: str


@dataclass(frozen=True, slots=True)
class RemoveGroup:
    """Forget a group that is down, and its file."""

    group: str


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Remove the file of a group that supervisord does not have."""

    group: str


Step = AddLink | StartLink | AddSession | StopGroup | RemoveGroup | RemoveFile


def without_conflicts(
    wanted: Iterable[WantedSession], groups: Collection[str]
) -> tuple[list[WantedSession], dict[int, int]]:
    """Return the sessions that may run, and by number those that may not, each with the session in its way.

    An account and product may have one session; one that has a group already goes first, then the lower number.
    """
    holders: dict[tuple[str, str], int] = {}
    allowed, refused = [], {}
    for each in sorted(wanted, key=lambda one: (one.group not in groups, one.session)):
        holder = holders.setdefault((each.account, each.root), each.session)
        if holder == each.session:
            allowed.append(each)
        else:
            refused[each.session] = holder
    return sorted(allowed, key=lambda one: one.session), refused


def reconcile(wanted: Sequence[WantedSession], programs: Iterable[Program], files: Collection[str]) -> list[Step]:
    """Return the next steps, links before the sessions that need them; an empty list when all agrees.

    Args:
        wanted: sessions that should run, without conflicts.
        programs: everything supervisord has now.
        files: names of the groups with a generated file.
    """
    groups: dict[str, list[Program]] = defaultdict(list)
    for program in programs:
        if program.process.group.is_generated:
            groups[program.group].append(program)
    links = {names.link_group(login): login for each in wanted for login in each.logins}
    sessions = {each.group: each.session for each in wanted}
    # a session that a person stopped needs no link: it would end idle and be started again, over and over
    used = {
        names.link_group(login)
        for each in wanted
        if each.group not in groups or _is_up(groups[each.group])
        for login in each.logins
    }
    steps: list[Step] = []
    for group, login in sorted(links.items()):
        if group not in groups:
            steps.append(AddLink(login))
        elif group in used and any(is_done(program) for program in groups[group] if program.process.kind == "link"):
            steps.append(StartLink(login))
    steps += [AddSession(session) for group, session in sessions.items() if group not in groups]
    for name, members in sorted(groups.items()):
        if name not in links and name not in sessions:
            steps += _towards_the_end(name, members)
    unused = [name for name in sorted(files) if name not in groups and name not in links and name not in sessions]
    return steps + [RemoveFile(name) for name in unused if GroupName(name).is_generated]


def _towards_the_end(group: str, members: Sequence[Program]) -> list[Step]:
    if all(program.state.is_down for program in members):
        return [RemoveGroup(group)]
    link = next((program for program in members if program.process.kind == "link"), None)
    if GroupName(group).login is not None and link is not None and not link.state.is_down:
        return []
    return [StopGroup(group)] if _is_up(members) else []


def _is_up(members: Iterable[Program]) -> bool:
    return any(program.state.is_up for program in members)


def is_done(program: Program) -> bool:
    """Tell whether a program ended because it was done."""
    return program.state is ProgramState.EXITED and program.exit_status == EXIT_DONE
