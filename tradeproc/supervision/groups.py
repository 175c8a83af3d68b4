"""The groups that come and go: pure text of `run/groups/*.conf`, and its atomic writing.

A group's file is the whole truth about it: `supervisorctl update` or a restart of supervisord reads the same
programs that run now, so neither disturbs them. Its first line has a checksum of the rest, which tells a file that
somebody edited from one that another version of tradeproc wrote.
"""

import configparser
import io
import logging
import os
import re
import shlex
import zlib
from dataclasses import replace
from pathlib import Path

from tradeproc.domain.frozen import dataclass
from tradeproc.errors import Refusal
from tradeproc.folders import write_private
from tradeproc.home import Home
from tradeproc.protocol import names
from tradeproc.supervision.declared import RestartStrategy

log = logging.getLogger(__name__)

LINK_PRIORITY = 100
SESSION_PRIORITY = 200
_INTENSITY = "5/60"
# what no value of such a file can hold
_UNWRITABLE = re.compile(r"\s;|%\(here\)s|[\x00-\x1f\x7f]|\s\Z")
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
# a word that is no option of a command
_TELLABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_FIRST_LINE = "; written by tradeproc, do not edit, checksum {:08x}\n"

_PROGRAM = """
[program:{process}]
process_name={name}
command={python} -m tradeproc.procs {arguments}
directory={directory}
priority={priority}
autorestart=unexpected
exitcodes=0,78
startsecs=0
stopwaitsecs=3
killasgroup=true
redirect_stderr=true
stdout_logfile={log}/{process}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


class BadProgram(Refusal):
    """A name or an argument that could mean something to supervisord or a file system; caught by whoever asked."""

    def __init__(self, word: str) -> None:
        super().__init__(f"{word[:40]!r} is no word for a program; write up to 64 letters, digits, . _ -")


class BadGroupFile(Refusal):
    """A group's file that describes no group; caught where it is read, and the file is written anew."""


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """One program of a generated group: its name in the group, and the arguments after `tradeproc.procs`."""

    name: str
    arguments: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check each word: it comes from a request, and stands in a file that supervisord reads as a whole.

        Raises:
            BadProgram: one has other characters than letters, digits, . _ -
        """
        for word in (self.name, *self.arguments):
            if not _WORD.fullmatch(word):
                raise BadProgram(word)


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """One generated group; programs stand in the order in which they start."""

    name: str
    strategy: RestartStrategy
    priority: int
    programs: tuple[ProgramSpec, ...]

    def with_program(self, program: ProgramSpec) -> "GroupSpec":
        """Return the group with a program added or replaced."""
        others = tuple(each for each in self.programs if each.name != program.name)
        return GroupSpec(self.name, self.strategy, self.priority, (*others, program))

    def without_program(self, name: str) -> "GroupSpec":
        """Return the group without a program."""
        kept = tuple(each for each in self.programs if each.name != name)
        return GroupSpec(self.name, self.strategy, self.priority, kept)


def session_group(session: int, login: str = "", account: str = "") -> GroupSpec:
    """Return the group of a trading session; account and trader live and die together.

    The account manager is told its login and account where both can stand in a command, so that it need not load
    what asks the database for them.
    """
    number = str(session)
    of_account = (login, account) if all(_TELLABLE.fullmatch(word) for word in (login, account)) else ()
    programs = (ProgramSpec("account", ("account", number, *of_account)), ProgramSpec("trader", ("trader", number)))
    return GroupSpec(names.session_group(session), RestartStrategy.ONE_FOR_ALL, SESSION_PRIORITY, programs)


def link_group(login: str) -> GroupSpec:
    """Return the group of a login as it begins: the link alone, which adds its feeds."""
    programs = (ProgramSpec("link", ("link", login)),)
    return GroupSpec(names.link_group(login), RestartStrategy.ONE_FOR_ONE, LINK_PRIORITY, programs)


def render(group: GroupSpec, home: Home) -> str:
    """Return the text of a group's file."""
    root = home.plain_root if _UNWRITABLE.search(str(home.root)) else home.root
    processes = [names.GroupName(group.name).process(program.name) for program in group.programs]
    body = (
        f"[group:{group.name}]\nprograms={','.join(processes)}\n"
        f"priority={group.priority}\nstrategy={group.strategy}\nintensity={_INTENSITY}\n"
    )
    body += "".join(
        _PROGRAM.format(
            process=process,
            name=program.name,
            python=_escaped(shlex.quote(f"{root}/.venv/bin/python")),
            directory=_escaped(str(root)),
            # supervisord expands this one twice
            log=_escaped(_escaped(str(root / home.log.relative_to(home.root)))),
            arguments=" ".join(program.arguments),
            priority=group.priority + place,
        )
        for place, (process, program) in enumerate(zip(processes, group.programs, strict=True))
    )
    return _FIRST_LINE.format(zlib.crc32(body.encode())) + body


def _escaped(text: str) -> str:
    """Return a text as it stands in a value that supervisord expands."""
    return text.replace("%", "%%")


def is_ours(text: str) -> bool:
    """Tell whether a group's file is as some version of tradeproc wrote it, and can be read by this one."""
    first, newline, body = text.partition("\n")
    if first + newline != _FIRST_LINE.format(zlib.crc32(body.encode())):
        return False
    try:
        parse(text)
    except BadGroupFile:
        return False
    return True


def feed_program(login: str, name: str) -> ProgramSpec:
    """Return a feed by its name in its link's group, as `bars-ESH24-1m` or `orders-SIM1`."""
    process = names.link_group(login).process(name)
    return ProgramSpec(name, (process.kind, login, *process.feed))


def parse(text: str) -> GroupSpec:
    """Return the group that a rendered file describes.

    Raises:
        BadGroupFile: it describes none.
    """
    file = configparser.RawConfigParser(comment_prefixes=(";",))
    try:
        file.read_string(text)
        (name,) = (each.removeprefix("group:") for each in file.sections() if each.startswith("group:"))
        head = file[f"group:{name}"]
        programs = []
        for process in filter(None, head["programs"].split(",")):
            command = shlex.split(file[f"program:{process}"]["command"].replace("%%", "%"))
            programs.append(ProgramSpec(names.ProcessName(process).program, tuple(command[3:])))
        return GroupSpec(name, RestartStrategy(head["strategy"]), int(head["priority"]), tuple(programs))
    except (configparser.Error, LookupError, ValueError, BadProgram) as error:
        raise BadGroupFile(" ".join(f"{type(error).__name__}: {error}".split())) from None


class GroupFiles:
    """The generated files of one home; writing is atomic, so supervisord never reads half a file."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def path(self, group: str) -> Path:
        """Return where a group's file is."""
        return self._home.groups / f"{group}.conf"

    def read(self, group: str) -> GroupSpec | None:
        """Return a group as its file has it, None when there is none of ours."""
        text = self.text(group)
        return parse(text) if is_ours(text) else None

    def text(self, group: str) -> str:
        """Return a group's file, empty when there is none."""
        try:
            return self.path(group).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def names(self) -> list[str]:
        """Return the names of all generated groups."""
        return sorted(
            path.stem for path in self._home.groups.glob("*.conf") if names.GroupName(path.stem).is_generated
        )

    def write(self, group: GroupSpec) -> None:
        """Write a group's file."""
        write_private(self.path(group.name), render(group, self._home))

    def forget_feeds(self) -> None:
        """Reduce each login's group to its link; for the time before supervisord starts."""
        for name in self.names():
            group = self.read(name)
            if group is not None and names.GroupName(name).login is not None and len(group.programs) > 1:
                self.write(replace(group, programs=group.programs[:1]))

    def renew(self) -> None:
        """Write each group with the paths of this home: it may have been moved, or be a copy of another."""
        for name in self.names():
            group = self.read(name)
            if group is not None and self.text(name) != render(group, self._home):
                self.write(group)

    def discard_edited(self) -> list[str]:
        """Put aside the files that somebody edited or that cannot be read.

        One such file makes supervisord refuse all of them.

        Returns the names of the files without their end. What is put aside ends with `.aside` and is not read; the
        keeper raises an alarm while it is there.
        """
        edited = [name for name in self.names() if not is_ours(self.text(name))]
        for name in edited:
            self.put_aside(name)
        return edited + self.put_aside_unreadable()

    def put_aside_unreadable(self) -> list[str]:
        """Put aside unreadable files of others: supervisord reloads no file while one of them is there."""
        files = [path.stem for path in sorted(self._home.groups.glob("*.conf"))]
        unreadable = [name for name in files if name not in self.names() and not _is_readable(self.path(name))]
        for name in unreadable:
            self.put_aside(name)
        return unreadable

    def put_aside(self, name: str) -> None:
        """Give a file a name that supervisord does not read."""
        ends = (".aside", *(f".{number}.aside" for number in range(2, 1000)))
        free = (end for end in ends if not os.path.lexists(self._home.groups / f"{name}{end}"))
        # what was put aside before stays
        self.path(name).replace(self._home.groups / f"{name}{next(free, ends[-1])}")

    def remove(self, group: str) -> None:
        """Remove a group's file, if there is one."""
        self.path(group).unlink(missing_ok=True)


def _is_readable(path: Path) -> bool:
    """Tell whether supervisord can read a file; a single value that it refuses makes it refuse all files."""
    # only here: links and the keeper write such files, and only the start of a desk reads them as supervisord does
    from supervisor.options import ServerOptions

    options = ServerOptions()
    options.here = str(path.parent)
    try:
        options.read_config(io.StringIO(f"{path.read_text()}\n[supervisord]\n"))
    except (configparser.Error, ValueError, OSError):
        return False
    return True


def prepare(home: Home) -> None:
    """Make a home ready for supervisord: its folders and the files of its groups.

    A group file that somebody edited, which it might refuse, is put aside: the keeper writes it again. Feeds of a
    former life are forgotten, as one may have halted over what nobody needs now: whoever needs one asks its link.

    Raises:
        UnsafeFolder: a folder is not ours alone.
    """
    home.make_folders()
    for group in GroupFiles(home).discard_edited():
        log.warning("edited_group_discarded group=%s", group)
    GroupFiles(home).forget_feeds()
    GroupFiles(home).renew()
