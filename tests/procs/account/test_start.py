"""How an account manager starts: light when its command tells all, else it asks the database."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from tradeproc.procs.account import by_number
from tradeproc.procs.account.main import main
from tradeproc.supervision.groups import session_group


def test_neither_account_managers_nor_links_nor_feeds_load_numbers_the_database_or_supervisord() -> None:
    text = """
import sys
import tradeproc.procs.account.main, tradeproc.procs.link.main, tradeproc.procs.feeds.bars
import tradeproc.procs.feeds.orders
import tradeproc.brokers.tradestation.account_manager, tradeproc.brokers.tradestation.streams
print(sorted({"numpy", "psycopg", "pandas", "requests", "supervisor"} & sys.modules.keys()))
"""

    told = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=120)

    assert told.stdout.strip() == "[]"


def test_a_command_without_login_and_account_asks_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a group that an earlier version wrote."""
    asked: list[tuple[str, list[str]]] = []

    def run_session(kind: str, arguments: Sequence[str], _begin: Any) -> int:
        asked.append((kind, list(arguments)))
        return 0

    monkeypatch.setattr(by_number, "run_session", run_session)

    assert main(["7"]) == 0
    assert asked == [("account", ["7"])]


@pytest.mark.parametrize(
    ("login", "account", "told"),
    [
        ("paper", "SIM0000001F", ("account", "3", "paper", "SIM0000001F")),
        ("paper", "a b", ("account", "3")),
        ("paper", "-h", ("account", "3")),
        ("paper", "", ("account", "3")),
        ("", "SIM1", ("account", "3")),
    ],
)
def test_a_group_tells_login_and_account_where_they_can_stand_in_a_command(
    login: str, account: str, told: tuple[str, ...]
) -> None:
    assert session_group(3, login, account).programs[0].arguments == told
