"""Names of processes and of the groups they run in.

    group      core | warden | localbroker | notifier | link-<login> | session-<number>
    process    <group>.<program>, as session-7.trader or link-paper.bars-ESH24-1m; supervisord writes session-7:trader

Both are texts, so that they can be keys, topics and file names; both are made by the functions here and read by their
properties, nowhere else. A text that is no name of ours (another program of the same supervisord) has no session and
no login.
"""

import re
from collections.abc import Sequence
from typing import Final

_SESSION = re.compile(r"session-(0|[1-9][0-9]{0,18})", re.ASCII)
_LINK = re.compile(r"link-(\S+)", re.ASCII)
_FEED = re.compile(r"(bars|orders|positions)-(\S+)", re.ASCII)
_BARS = re.compile(r"(\S+)-(\d+)m", re.ASCII)


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

    @property
    def all_at_supervisord(self) -> str:
        """All its programs, as supervisord and supervisorctl write it."""
        return f"{self}:*"

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
    def feed(self) -> tuple[str, ...]:
        """What a feed of a login is of: contract and minutes, or an account; empty for all that is no feed."""
        found = _FEED.fullmatch(self.program)
        if found is None or self.login is None:
            return ()
        if found[1] != "bars":
            return (found[2],)
        bars = _BARS.fullmatch(found[2])
        return (bars[1], bars[2]) if bars else ()

    @property
    def trader_of(self) -> int | None:
        """The session whose trader it is; None for all other processes."""
        return self.session if self.program == "trader" else None

    @property
    def is_trader(self) -> bool:
        """Tell whether it is the trader of a session."""
        return self.trader_of is not None

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


def feed(login: str, kind: str, subject: Sequence[str]) -> ProcessName:
    """Return a feed: `bars` of a contract and its minutes, `orders` or `positions` of an account."""
    tail = f"{subject[0]}-{subject[1]}m" if kind == "bars" else subject[0]
    return link_group(login).process(f"{kind}-{tail}")


def bars_feed(login: str, contract: str, minutes: int) -> ProcessName:
    """Return the feed of a contract's bars."""
    return feed(login, "bars", (contract, str(minutes)))


def account_feed(login: str, kind: str, account: str) -> ProcessName:
    """Return the feed of an account's orders or positions; `kind` is one of these two words."""
    return feed(login, kind, (account,))


CORE: Final = GroupName("core")
POSTGRES: Final = CORE.process("postgres")
TOKENS: Final = CORE.process("tokens")
PORTFOLIO: Final = CORE.process("portfolio")
KEEPER: Final = CORE.process("keeper")
JOBS: Final = CORE.process("jobs")
WARDEN: Final = GroupName("warden").process("warden")
LOCAL_BROKER: Final = GroupName("localbroker").process("localbroker")
NOTIFIER: Final = GroupName("notifier").process("notifier")
OWN_GROUPS: Final = (CORE, LOCAL_BROKER.group, NOTIFIER.group, WARDEN.group)
"""The groups that supervisord.conf declares: they are there as long as the desk is."""
