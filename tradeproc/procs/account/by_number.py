"""The account manager of a session of which only the number is known: the database says the rest."""

from tradeproc.bus.node import Node
from tradeproc.config import Config
from tradeproc.home import Home
from tradeproc.procs.account.main import Account
from tradeproc.procs.session_start import run_session
from tradeproc.store.rows import SessionRow


def run_by_number(session: int) -> int:
    """Run it when the database has answered, and return its exit code."""
    return run_session("account", [str(session)], _begin)


def _begin(node: Node, _home: Home, _config: Config, row: SessionRow) -> None:
    Account(node, row.spec.login, row.spec.account)
