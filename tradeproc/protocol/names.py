"""Names of processes and of the groups they run in.

    group      core | warden | localbroker | link-<login> | session-<number>
    process    <group>.<program>, as session-7.trader or link-paper.bars-ESH24-1m; supervisord writes session-7:trader

Both are texts, so that they can be keys, topics and file names; both are made by the functions here and read by their
properties, nowhere else. A text that is no name of ours (another program of the same supervisord) has no session, no
login and no kind.
"""

import re
from typing import Final

_SESSION = re.compile(r"session-(0|[1-9][0-9]{0,18})", re.ASCII)
_LINK = re.compile(r"link-(\S+)", re.ASCII)
_FEED = re.compile(r"(bars|orders|positions)-\S+", re.ASCII)


class GroupName(str):
    """The name of a group of processes that are kept alive together."""

    __slots__ = ()

    @property
    def session(self) -> int | None:
        """The number of the trading session whose group it is."""
        found = _SESSION.fullmatch(self)
        return int(found[1]) if found else None

    @property
    def login(self) -> str | None:
        """The broker login whose link and feeds it holds."""
        found = _LINK.fullmatch(self)
        return found[1] if found else None

    @property
    def is_generated(self) -> bool:
        """Tell whether it comes and goes with a session or a login."""
        return self.session is not None or self.login is not None

    def process(self, program: str) -> "ProcessName":
        """Return the name of a program of this group."""
        return ProcessName(f"{self}.{program}")


class ProcessName(str):
    """The name of a process, as the bus, the log files and people know it."""

    __slots__ = ()

    @property
    def group(self) -> GroupName:
        """The group it runs in: all before the first dot, for an account in a feed's name may hold more of them."""
        group, dot, _ = self.partition(".")
        return GroupName(group if dot else "")

    @property
    def program(self) -> str:
        """Its name within the group."""
        return self.partition(".")[2]

    @property
    def session(self) -> int | None:
        """The number of the trading session it works for; None for processes that several sessions share."""
        return self.group.session

    @property
    def login(self) -> str | None:
        """The broker login it works for, for a link and its feeds."""
        return self.group.login

    @property
    def kind(self) -> str:
        """What runs there, by which a person configures all of a kind: trader, link, bars, keeper and so on."""
        found = _FEED.fullmatch(self.program)
        return found[1] if found and self.login is not None else self.program

    @property
    def is_trader(self) -> bool:
        """Tell whether it is the trader of a session."""
        return self.session is not None and self.program == "trader"

    @property
    def at_supervisord(self) -> str:
        """The same name as supervisord and supervisorctl write it."""
        return f"{self.group}:{self.program}"


def process_at_supervisord(text: str) -> ProcessName:
    """Return the process that supervisord calls so, as `session-7:trader`."""
    group, _, program = text.partition(":")
    return ProcessName(f"{group}.{program}")


def session_group(session: int) -> GroupName:
    """Return the group of a trading session."""
    return GroupName(f"session-{session}")


def link_group(login: str) -> GroupName:
    """Return the group of a broker login: its link and its feeds."""
    return GroupName(f"link-{login}")


def trader(session: int) -> ProcessName:
    """Return the trader of a session."""
    return session_group(session).process("trader")


def account(session: int) -> ProcessName:
    """Return the account manager of a session."""
    return session_group(session).process("account")


def link(login: str) -> ProcessName:
    """Return the link of a login."""
    return link_group(login).process("link")


def bars_feed(login: str, contract: str, minutes: int) -> ProcessName:
    """Return the feed of a contract's bars."""
    return link_group(login).process(f"bars-{contract}-{minutes}m")


def account_feed(login: str, kind: str, account: str) -> ProcessName:
    """Return the feed of an account's orders or positions; `kind` is one of these two words."""
    return link_group(login).process(f"{kind}-{account}")


CORE: Final = GroupName("core")
POSTGRES: Final = CORE.process("postgres")
TOKENS: Final = CORE.process("tokens")
PORTFOLIO: Final = CORE.process("portfolio")
KEEPER: Final = CORE.process("keeper")
JOBS: Final = CORE.process("jobs")
WARDEN: Final = GroupName("warden").process("warden")
LOCAL_BROKER: Final = GroupName("localbroker").process("localbroker")
