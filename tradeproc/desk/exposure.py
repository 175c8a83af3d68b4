"""What sessions without a trader have open: the broker is asked while their link runs, else the database."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from tradeproc.desk.installation import Desk
from tradeproc.desk.listed import SessionListed
from tradeproc.domain.answers import Known
from tradeproc.domain.book import Position
from tradeproc.domain.instruments import Contract
from tradeproc.errors import Outage, Refusal
from tradeproc.protocol import link_messages, names
from tradeproc.protocol.book_messages import POSITIONS, ListRows, PositionShown
from tradeproc.protocol.link_messages import AccountQuestion
from tradeproc.protocol.names import KEEPER

BROKER, DATABASE, TRADER = "broker", "database", "trader"
_LINK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Open:
    """A position that no trader looks after, or that a trader still closes; `source` is where we know it from."""

    session: int
    contract: str
    position: int
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        fields = {"session": self.session, "contract": self.contract}
        return {**fields, "position": self.position, "source": self.source}

    def __str__(self) -> str:
        sources = {BROKER: "at the broker", DATABASE: "by the newest row of the database", TRADER: "by its trader"}
        where = sources[self.source]
        return f"{self.position:+d} {self.contract} open {where}"


def untended(desk: Desk, session: int | None, tended: Collection[int]) -> list[Open]:
    """Return what is open of the sessions that have no trader: of one session or of all.

    A position belongs to its account: where a session with a trader trades the same product there, it is that one's.

    Args:
        desk: who is asked.
        session: the only one that is meant; None means all.
        tended: those whose trader has heard.

    Raises:
        NotRunning: the sessions and their positions cannot be looked up.
    """
    if session is not None and session in tended:
        return []
    listed = desk.sessions()
    theirs = {_place(row) for row in listed if row.id in tended}
    alone = [row for row in listed if session in (None, row.id) and _place(row) not in theirs]
    if not alone:
        return []
    stored = _newest(desk.ask(KEEPER, POSITIONS, ListRows()).positions)
    found: list[Open] = []
    for login, account in sorted({(row.login, row.account) for row in alone}):
        rows = [row for row in alone if (row.login, row.account) == (login, account)]
        told = _at_broker(desk, login, account)
        if told is None:
            known = [row for (holder, _), row in stored.items() if holder == account]
            held = [(DATABASE, row.contract, int(row.quantity)) for row in known]
        else:
            held = [(BROKER, row.contract, int(row.quantity)) for row in told]
        for source, contract, quantity in held:
            owner = _owner(rows, stored.get((account, contract)), contract)
            if quantity and owner is not None:
                found.append(Open(owner, contract, quantity, source))
    return sorted(found, key=lambda each: (each.session, each.contract))


def _place(row: SessionListed) -> tuple[str, str, str]:
    return row.login, row.account, _root(row.contract)


def _root(contract: str) -> str:
    try:
        return Contract.parse(contract).root
    except Refusal:
        return contract  # something that we do not trade


def _newest(rows: Sequence[PositionShown]) -> dict[tuple[str, str], PositionShown]:
    """Return the newest row of each account and contract, whichever session wrote it."""
    newest: dict[tuple[str, str], PositionShown] = {}
    for row in sorted(rows, key=lambda row: row.at):
        newest[row.account, row.contract] = row
    return newest


def _at_broker(desk: Desk, login: str, account: str) -> list[Position] | None:
    link = names.link(login)
    if not desk.is_alive(link):
        return None
    try:
        answer = desk.client.call(link, link_messages.POSITIONS, AccountQuestion(account=account), _LINK_SECONDS)
    except (Outage, Refusal):
        return None
    if not isinstance(answer, Known):
        return None
    known = [each for each in answer.value if isinstance(each, Position)]
    # one that cannot be read may be of any contract
    return known if len(known) == len(answer.value) else None


def _owner(rows: Sequence[SessionListed], stored: PositionShown | None, contract: str) -> int | None:
    """Return whose it is: of the sessions that trade the product the one that wrote it last, else the newest."""
    same = [row.id for row in rows if _root(row.contract) == _root(contract)]
    if stored is not None and stored.session in same:
        return stored.session
    return max(same, default=None)
