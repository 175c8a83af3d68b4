"""The audit trail as values: what a process writes down and reads back.

Every read or write of rows is one statement, one round trip and one transaction. Reads return values of the domain.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from tradeproc.clock import wall_ns
from tradeproc.domain.book import Balance, DecisionMade, Fill, Trade
from tradeproc.domain.broker_orders import BrokerAccount
from tradeproc.domain.orders import Order, OrderEvent
from tradeproc.domain.portfolio import HeatAnswer
from tradeproc.domain.roll_steps import Roll
from tradeproc.domain.roll_volumes import RollVolume
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.tally import LossMarks
from tradeproc.domain.units import Nanos
from tradeproc.errors import Refusal
from tradeproc.protocol.names import ProcessName
from tradeproc.store import writes
from tradeproc.store.columns import row_of, value_of
from tradeproc.store.database import Database, DatabaseDown
from tradeproc.store.migrate import migrate
from tradeproc.store.portfolio_tables import PortfolioTables
from tradeproc.store.rows import (
    AccountRow,
    AlarmRow,
    DivergenceRow,
    Latch,
    LoginRow,
    PositionRow,
    SessionRow,
)

KEPT_DECISIONS = 2000
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


class LeaseLost(Refusal):
    """A newer lease of the session exists, so nothing was written; caught by the trader, which asks who holds it."""

    def __init__(self, session: int, fence: int) -> None:
        self.session, self.fence = session, fence
        super().__init__(f"session {session}: fence {fence} is stale, another process holds the lease")


class UnknownSession(Refusal):
    """No such session, or it was removed; caught where somebody named it."""

    def __init__(self, session: int) -> None:
        self.session = session
        super().__init__(f"there is no session {session}")


class Store:
    """All tables. Connects lazily, comes back by itself, and never blocks long; for one thread.

    Every method but `is_up` and `close` raises DatabaseDown (an Outage) when the database is away. One that the
    database refuses raises StatementRefused.
    """

    def __init__(self, url: str, *, connect_timeout: float = 1.0, answer_timeout: float = 1.0) -> None:
        self.url = url
        self._database = Database(url, connect_seconds=connect_timeout, answer_seconds=answer_timeout)
        self.portfolios = PortfolioTables(self._database)

    # --- life

    def migrate(self) -> list[str]:
        """Bring the schema up to date and return the names of what was applied; safe from several processes at once.

        Raises:
            DatabaseTooNew: a newer tradeproc made it.
            MigrationChanged: an applied migration is not the one of this version.
        """
        return migrate(self.url)

    def is_up(self) -> bool:
        """Tell whether the database answers now."""
        try:
            return bool(self._database.rows("is_up", {}))
        except DatabaseDown:
            return False

    def close(self) -> None:
        """Give the connection back; the store may still be used."""
        self._database.close()

    def installation(self) -> str:
        """Return the four lower-case base32 characters that begin every client order id of this database."""
        drawn = "".join(secrets.choice(_LETTERS) for _ in range(4))
        self._database.rows("create_installation", {"prefix": drawn, "at": wall_ns()})
        return str(self._database.rows("installation", {})[0]["prefix"])

    # --- sessions, logins, latches

    def create_session(self, spec: SessionSpec, *, key: str | None = None) -> int:
        """Keep a new session and return its number; the same `key` again gives the same session."""
        given = {
            "key": key or secrets.token_hex(8),
            "name": spec.name,
            "spec": _json(spec.to_dict()),
            "at": wall_ns(),
        }
        return int(self._database.rows("create_session", given)[0]["id"])

    def session(self, session: int) -> SessionRow:
        """Return a session.

        Raises:
            UnknownSession: there is none, or it was removed.
        """
        found = self._database.rows("session", {"id": session})
        if not found:
            raise UnknownSession(session)
        return value_of(SessionRow, found[0])

    def sessions(self) -> list[SessionRow]:
        """Return all sessions that were not removed, by number."""
        return [value_of(SessionRow, row) for row in self._database.rows("sessions", {})]

    def removed_sessions(self, named: str, limit: int = 100) -> list[dict[str, Any]]:
        """Return the newest removed sessions with this number or name as they were kept, oldest first."""
        return self._database.rows("removed_sessions", {"named": named, "limit": limit})[::-1]

    def set_desired(self, session: int, desired: str) -> None:
        """Say whether a session should be "running", "stopped", or first "flattening"; the keeper makes it so.

        Raises:
            UnknownSession: there is none, or it was removed.
        """
        if not self._database.rows("set_desired", {"id": session, "desired": desired, "at": wall_ns()}):
            raise UnknownSession(session)

    def remove_session(self, session: int) -> None:
        """Take a session off the list; its history stays.

        Raises:
            UnknownSession: there is none, or it was removed.
        """
        if not self._database.rows("remove_session", {"id": session, "at": wall_ns()}):
            raise UnknownSession(session)

    def latch(self, scope: str) -> Latch:
        """Return the latch of a scope (`protocol/scopes.py`); active when it was never set."""
        found = self._database.rows("latch", {"scope": scope})
        return value_of(Latch, found[0]) if found else Latch(scope, "active", "", "", Nanos(0))

    def latches(self) -> list[Latch]:
        """Return every latch that was ever set."""
        return [value_of(Latch, row) for row in self._database.rows("latches", {})]

    def latched_by(self, scope: str, by: str) -> str | None:
        """Return why `by` latched a scope after it was last active, or None; later latches by others do not count."""
        found = self._database.rows("latched_by", {"scope": scope, "by": by})
        return str(found[0]["reason"]) if found else None

    def lifted_at(self, scope: str, by: str) -> Nanos:
        """Return when the newest latch of `by` on a scope was lifted; 0 when it stands, or there never was one."""
        return Nanos(self._database.rows("lifted_at", {"scope": scope, "by": by})[0]["at"] or 0)

    def set_latch(self, scope: str, state: str, by: str, reason: str) -> None:
        """Set a latch to active, reducing or halted; it survives everything until a person sets it again."""
        self.keep_latch(Latch(scope, state, by, reason, wall_ns()))

    def keep_latch(self, latch: Latch, *, is_late: bool = False) -> None:
        """Set a latch; one that `is_late` counts only when it is newer than what is stored, or closes more."""
        self._database.rows("set_latch", {**row_of(latch), "is_late": is_late})

    def save_login(self, name: str, broker: str, environment: str, base_url: str) -> None:
        """Keep a login as configured; nothing changes when it is what the database knows."""
        self._database.rows("save_login", row_of(LoginRow(name, broker, environment, base_url, wall_ns())))

    def save_accounts(self, login: str, accounts: Sequence[BrokerAccount]) -> None:
        """Keep the accounts that a broker listed for a login that was saved before."""
        now = wall_ns()
        plain = [row_of(AccountRow(login, account, now)) for account in accounts]
        self._database.rows("save_accounts", {"accounts": _json(plain)})

    def logins(self) -> list[LoginRow]:
        """Return all logins that were ever saved."""
        return [value_of(LoginRow, row) for row in self._database.rows("logins", {})]

    def accounts(self, login: str | None = None) -> list[AccountRow]:
        """Return the accounts of a login, or of all."""
        return [value_of(AccountRow, row) for row in self._database.rows("accounts", {"login": login})]

    # --- what a trader writes: the values of `writes.py`, and an entry, which is never journalled

    def write(self, write: writes.Write) -> int:
        """Do a write, also one that a journal has kept; return how many rows the statement told.

        Raises:
            LeaseLost: it carries a fence that is not the session's newest; nothing was written.
        """
        told = self._database.rows(write.statement, write.parameters)
        if write.statement == "save_orders" and not told[0]["held"]:
            raise LeaseLost(write.parameters["session"], write.parameters["fence"])
        return len(told)

    def get_ready(self) -> None:
        """Connect and prepare the statement of `enter_orders`, so that the first entry is as quick as the others."""
        self._database.get_ready("enter_orders")

    def enter_orders(
        self, orders: Sequence[Order], events: Sequence[OrderEvent], *, fence: int, meanwhile: Callable[[], None]
    ) -> None:
        """Write new orders of one session with the first event of each; `meanwhile` is done while the server works.

        Raises:
            LeaseLost: `fence` is not the session's newest; nothing was written.
        """
        values = writes.entry_values(orders, events, fence=fence)
        if self._database.exchange("enter_orders", values, meanwhile) != b"1":
            raise LeaseLost(orders[0].session, fence)

    # --- alarms, and what people have seen

    def save_alarm(self, session: int | None, name: str, detail: str, at: Nanos, who: ProcessName) -> None:
        """Keep an alarm that `who` raised about a session, or about the host (None); told twice it is kept once."""
        self.write(writes.alarm_write(session, name, detail, at, who))

    def clear_alarms(self, session: int | None, name: str | None, at: Nanos) -> None:
        """Clear the standing alarms of a session or of the host (None), of one name if given."""
        self.write(writes.alarms_cleared_write(session, name, at))

    def acknowledge_divergences(self, session: int | None, by: str, reason: str, now: Nanos) -> list[dict[str, Any]]:
        """Note that a person has seen the divergences of a session or of all; return those that were new to them."""
        given = {"session": session, "by": by, "reason": reason, "now": now}
        return self._database.rows("acknowledge_divergences", given)

    def acknowledge_alarms(
        self, session: int | None, name: str | None, by: str, reason: str, now: Nanos, *, everywhere: bool = False
    ) -> list[dict[str, Any]]:
        """Note that a person has seen the standing alarms, of a session, of the host (None) or everywhere."""
        given = {"session": session, "name": name, "by": by, "reason": reason, "now": now, "everywhere": everywhere}
        return self._database.rows("acknowledge_alarms", given)

    # --- reading back; None means all sessions, `limit` takes the newest, and the order is oldest first

    def orders(self, session: int | None = None, *, limit: int | None = None) -> list[Order]:
        """Return orders."""
        return [value_of(Order, row) for row in self._database.rows("orders", {"session": session, "limit": limit})]

    def open_orders(self, session: int) -> list[Order]:
        """Return the orders of a session that are not closed."""
        return [value_of(Order, row) for row in self._database.rows("open_orders", {"session": session})]

    def claimed(self, session: int, *, limit: int) -> dict[str, str]:
        """Return our ids of a session's newest orders, keyed by the broker's ids, oldest first."""
        found = self._database.rows("claimed", {"session": session, "limit": limit})
        return {row["broker_id"]: row["id"] for row in found}

    def order_events(self, order_id: str) -> list[OrderEvent]:
        """Return the history of an order."""
        return [value_of(OrderEvent, row) for row in self._database.rows("order_events", {"order_id": order_id})]

    def fills(self, session: int | None = None, *, limit: int | None = None) -> list[Fill]:
        """Return fills in the order of booking."""
        return [value_of(Fill, row) for row in self._database.rows("fills", {"session": session, "limit": limit})]

    def trades(self, session: int | None = None, *, limit: int | None = None) -> list[Trade]:
        """Return round trips in the order of closing."""
        return [value_of(Trade, row) for row in self._database.rows("trades", {"session": session, "limit": limit})]

    def positions(self, session: int | None = None) -> list[PositionRow]:
        """Return the newest position of each session and contract."""
        return [value_of(PositionRow, row) for row in self._database.rows("positions", {"session": session})]

    def balances(self) -> list[Balance]:
        """Return the newest balance of each account."""
        return [value_of(Balance, row) for row in self._database.rows("balances", {})]

    def loss_marks(self, session: int) -> LossMarks | None:
        """Return from where the losses of a session are counted, None when that was never written."""
        found = self._database.rows("loss_marks", {"session": session})
        return value_of(LossMarks, found[0]) if found else None

    def divergences(self, session: int | None = None, *, only_open: bool = False) -> list[DivergenceRow]:
        """Return divergences."""
        given = {"session": session, "only_open": only_open}
        return [value_of(DivergenceRow, row) for row in self._database.rows("divergences", given)]

    def alarms(self, session: int | None = None, *, only_standing: bool = False) -> list[AlarmRow]:
        """Return alarms."""
        given = {"session": session, "only_standing": only_standing}
        return [value_of(AlarmRow, row) for row in self._database.rows("alarms", given)]

    def rolls(self, session: int | None = None) -> list[Roll]:
        """Return the newest step of each roll, in the order in which these were written."""
        return [value_of(Roll, row) for row in self._database.rows("rolls", {"session": session})]

    def roll_volumes(self, session: int) -> list[RollVolume]:
        """Return what a session's contracts and their next ones traded, by day."""
        return [value_of(RollVolume, row) for row in self._database.rows("roll_volumes", {"session": session})]

    # --- decisions: notes for people, the newest KEPT_DECISIONS of each session

    def save_decisions(self, session: int, decisions: Sequence[DecisionMade]) -> None:
        """Keep the decisions of a session; one that is told again, by its `began_at`, replaces what was kept."""
        plain = [row_of(each) for each in decisions]
        given = {"session": session, "decisions": _json(plain), "kept": KEPT_DECISIONS - 1}
        self._database.rows("save_decisions", given)

    def save_heat_answers(self, session: int, answers: Sequence[HeatAnswer]) -> None:
        """Keep what a portfolio answered to questions for heat of a session."""
        plain = [row_of(each) for each in answers]
        given = {"session": session, "answers": _json(plain), "kept": KEPT_DECISIONS - 1}
        self._database.rows("save_heat_answers", given)

    def heat_answers(self, session: int) -> list[HeatAnswer]:
        """Return what a portfolio answered to questions for heat of a session."""
        return [value_of(HeatAnswer, row) for row in self._database.rows("heat_answers", {"session": session})]

    def decisions(
        self, session: int | None = None, *, only_refused: bool = False, limit: int | None = None
    ) -> list[DecisionMade]:
        """Return decisions, or only those that were not carried out."""
        given = {"session": session, "only_refused": only_refused, "limit": limit}
        return [value_of(DecisionMade, row) for row in self._database.rows("decisions", given)]

    def decision_counts(self, session: int) -> dict[str, int]:
        """Return how many were `wanted`, how many of these `refused`, and on how many bars the strategy `failed`."""
        found = self._database.rows("decision_counts", {"session": session})[0]
        return {key: int(value) for key, value in found.items()}

    # --- round trips, for the jobs process

    def sessions_with_new_fills(self) -> list[int]:
        """Return the sessions that have fills which no computation of their trades has seen."""
        return [row["session"] for row in self._database.rows("sessions_with_new_fills", {})]

    def save_trades(self, session: int, trades: Sequence[Trade], *, fills_seen: int) -> int:
        """Make the trades of a session equal to those of its first `fills_seen` fills; return how many changed."""
        plain = [{**row_of(trade), "number": number} for number, trade in enumerate(trades, 1)]
        given = {"session": session, "trades": _json(plain), "fills": fills_seen, "at": wall_ns()}
        return len(self._database.rows("save_trades", given))


def _json(plain: object) -> str:
    return writes.packed(plain, orjson.OPT_NON_STR_KEYS).decode()
