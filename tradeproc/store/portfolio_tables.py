"""Portfolios, the sessions in them, and when their heat was too high; reached as `Store.portfolios`."""

from collections.abc import Sequence

import orjson

from tradeproc.clock import wall_ns
from tradeproc.domain.joint_limits import JointMarks
from tradeproc.domain.portfolio import PortfolioSpec
from tradeproc.domain.units import Nanos
from tradeproc.store.columns import row_of, value_of
from tradeproc.store.database import Database
from tradeproc.store.rows import HeatBlockRow, PortfolioRow, PortfolioSessionRow, SessionPortfolio


class PortfolioTables:
    """The tables of portfolios; every method raises what those of `Store` do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, spec: PortfolioSpec, sessions: Sequence[int] = ()) -> bool:
        """Keep a new portfolio with its first sessions; False when there is one of that name already."""
        given = {
            "name": spec.name,
            "spec": orjson.dumps(spec.to_dict()).decode(),
            "sessions": orjson.dumps(list(sessions)).decode(),
            "at": wall_ns(),
        }
        return bool(self._database.rows("create_portfolio", given))

    def remove(self, name: str) -> bool:
        """Forget a portfolio and who is in it; its blocks stay as history. False when there is none."""
        return bool(self._database.rows("remove_portfolio", {"name": name}))

    def all(self) -> list[PortfolioRow]:
        """Return all portfolios by name."""
        return [value_of(PortfolioRow, row) for row in self._database.rows("portfolios", {})]

    def add(self, name: str, session: int) -> bool:
        """Put a session into a portfolio; False when there is no such portfolio, or the session is in one."""
        given = {"portfolio": name, "session": session, "at": wall_ns()}
        return bool(self._database.rows("add_to_portfolio", given))

    def take(self, name: str, session: int) -> bool:
        """Take a session out of a portfolio; False when it is not in it."""
        return bool(self._database.rows("take_from_portfolio", {"portfolio": name, "session": session}))

    def sessions(self) -> list[PortfolioSessionRow]:
        """Return which session is in which portfolio; removed sessions are in none."""
        return [value_of(PortfolioSessionRow, row) for row in self._database.rows("portfolio_sessions", {})]

    def of_session(self, session: int) -> SessionPortfolio | None:
        """Return the portfolio of a session, None when it is in none."""
        found = self._database.rows("portfolio_of_session", {"session": session})
        return value_of(SessionPortfolio, found[0]) if found else None

    def exposed(self) -> set[int]:
        """Return the sessions that hold a position or have an order that can still fill, as far as rows tell."""
        return {int(row["session"]) for row in self._database.rows("sessions_with_exposure", {})}

    def joint_marks(self) -> dict[str, JointMarks]:
        """Return from where the losses of portfolios and accounts are counted, by scope."""
        return {str(row["scope"]): value_of(JointMarks, row) for row in self._database.rows("joint_marks", {})}

    def save_joint_marks(self, marks: JointMarks) -> None:
        """Keep from where losses are counted."""
        row = {**row_of(marks), "profits": orjson.dumps(marks.profits).decode()}
        self._database.rows("save_joint_marks", row)

    def begin_block(self, portfolio: str, reason: str, at: Nanos) -> None:
        """Note that entries of a portfolio are refused, unless that is noted already."""
        row = HeatBlockRow(portfolio, reason, at, None)
        self._database.rows("begin_heat_block", row_of(row))

    def end_block(self, portfolio: str, at: Nanos) -> None:
        """Note that they are not refused any more."""
        self._database.rows("end_heat_block", {"portfolio": portfolio, "at": at})

    def blocks(self, portfolio: str | None = None, *, limit: int = 100) -> list[HeatBlockRow]:
        """Return the newest blocks of a portfolio or of all, oldest first."""
        given = {"portfolio": portfolio, "limit": limit}
        return [value_of(HeatBlockRow, row) for row in self._database.rows("heat_blocks", given)]
