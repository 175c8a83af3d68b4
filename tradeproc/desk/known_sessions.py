"""What a kill switch must know of the sessions, from whoever is there: the database, the keeper, or the recordings.

The database tells all. While it is away the keeper tells what it knew last, and without a keeper the newest recording
of each trader tells login, account and contract: a session that no trader ran for a month is then not known.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tradeproc.desk.installation import Desk
from tradeproc.desk.recorded_life import CannotReplay, recorded_lives
from tradeproc.domain.instruments import Contract
from tradeproc.errors import Outage, Refusal, TradeprocError
from tradeproc.protocol.names import KEEPER, GroupName
from tradeproc.protocol.scopes import Scope
from tradeproc.protocol.session_messages import SESSION
from tradeproc.store.store import Store

_SECONDS = 2.0
RUNNING = "running"


@dataclass(frozen=True, slots=True)
class KnownSession:
    """A session as a kill switch sees it.

    `fence` is that of its newest lease, `installation` how its order ids begin, empty where nobody tells. `is_ours`
    is False for a stopped session whose rows say that it has nothing open: what its account holds somebody else made.
    `portfolio` is empty for none, and where no database tells.
    """

    id: int
    login: str
    data_login: str
    account: str
    contract: str
    installation: str = ""
    fence: int = 0
    is_ours: bool = True
    portfolio: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Return login, account and product: one running session at most has them."""
        return self.login, self.account, root_of(self.contract)

    def is_meant_by(self, scope: Scope) -> bool:
        """Tell whether a switch of this scope means the session."""
        return scope.concerns(self.id, (self.login, self.data_login), self.portfolio, self.account)


@dataclass(frozen=True, slots=True)
class SessionsKnown:
    """The sessions; `trouble` says what is not known of them, empty when the database has told.

    `is_all` is False when there may be others: recordings of long ago are deleted.
    """

    sessions: tuple[KnownSession, ...]
    trouble: str = ""
    is_all: bool = True


def root_of(contract: str) -> str:
    """Return the product of a contract; what we do not trade is its own."""
    try:
        return Contract.parse(contract).root
    except Refusal:
        return contract


def known_sessions(desk: Desk, store: Store) -> SessionsKnown:
    """Return what is known of every session."""
    try:
        return SessionsKnown(tuple(_of_rows(store)))
    except (Outage, Refusal) as away:
        why = str(away)
    recorded = {each.id: each for each in _of_recordings(desk)}
    told = _of_keeper(desk, recorded)
    if told is not None:
        return SessionsKnown(tuple(told), f"sessions as the keeper knew them last: {why}")
    found = tuple(recorded[number] for number in sorted(recorded))
    return SessionsKnown(found, f"sessions as the recordings of their traders tell them, and no others: {why}", False)


def _of_rows(store: Store) -> Iterable[KnownSession]:
    installation = store.installation()
    portfolios = {each.session: each.portfolio for each in store.portfolios.sessions()}
    exposed = store.portfolios.exposed()
    for row in store.sessions():
        yield KnownSession(
            row.id,
            row.spec.login,
            row.spec.login_of_data,
            row.spec.account,
            row.spec.contract,
            installation,
            row.fence,
            row.desired != "stopped" or row.id in exposed,
            portfolios.get(row.id, ""),
        )


def _of_keeper(desk: Desk, recorded: dict[int, KnownSession]) -> list[KnownSession] | None:
    """Return what the keeper knew last, None when it tells nothing."""
    if not desk.is_alive(KEEPER):
        return None
    try:
        told = desk.client.snapshot(KEEPER, SESSION, _SECONDS).sessions
    except TradeprocError:
        return None
    if not told:
        return None  # it may have started while its database was away
    prefix = next((each.installation for each in recorded.values()), "")
    return [_of_spec(each.id, each.spec, prefix, each.fence) for each in told]


def _of_recordings(desk: Desk) -> Iterable[KnownSession]:
    folder = desk.home.recordings
    folders = sorted(folder.iterdir()) if folder.is_dir() else []
    for each in folders:
        number = GroupName(each.name).session
        if number is None:
            continue
        for life in recorded_lives(desk.home, number)[::-1]:
            try:
                header = life.header()
            except CannotReplay:
                continue
            yield _of_spec(number, header.spec, header.installation, header.fence)
            break


def _of_spec(number: int, spec: Any, installation: str, fence: int) -> KnownSession:
    login = str(spec.get("login", ""))
    data_login = str(spec.get("data_login") or login)
    contract, account = str(spec.get("contract", "")), str(spec.get("account", ""))
    return KnownSession(number, login, data_login, account, contract, installation, fence)
