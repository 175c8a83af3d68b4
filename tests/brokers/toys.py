"""Toy brokers that are only half of one: TradeStation without its accounts, and without its data.

What they declare not to be they do not have either: asking for it is an AttributeError, so a test sees it.
"""

from pathlib import Path

from tradeproc.brokers.contract import CredentialKind, SymbolAdapter
from tradeproc.brokers.registry import GROUP
from tradeproc.brokers.tradestation.broker import TradeStation
from tradeproc.brokers.tradestation.symbols import SYMBOLS

ROOT = Path(__file__).parents[2]


class DataOnly:
    """Serves data and has no accounts."""

    name = "Toy Data"
    key = "toy_data"
    is_data_source = True
    has_account_management = False
    credential_kind = CredentialKind.OAUTH2_CODE
    echoes_client_id = False
    adapter: SymbolAdapter = SYMBOLS
    host = TradeStation.host
    authorization = TradeStation.authorization
    data_source = TradeStation.data_source
    bar_stream = TradeStation.bar_stream


class AccountsOnly:
    """Has accounts and serves no data."""

    name = "Toy Accounts"
    key = "toy_accounts"
    is_data_source = False
    has_account_management = True
    credential_kind = CredentialKind.OAUTH2_CODE
    echoes_client_id = False
    adapter: SymbolAdapter = SYMBOLS
    host = TradeStation.host
    authorization = TradeStation.authorization
    account_manager = TradeStation.account_manager
    order_stream = TradeStation.order_stream
    position_stream = TradeStation.position_stream


DATA_ONLY, ACCOUNTS_ONLY = DataOnly(), AccountsOnly()


def install(folder: Path) -> str:
    """Install both as a package would and return the PYTHONPATH of processes that shall find them."""
    metadata = folder / "toys-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1\n")
    lines = [
        f"{toy.key} = {__name__}:{name}" for name, toy in (("DATA_ONLY", DATA_ONLY), ("ACCOUNTS_ONLY", ACCOUNTS_ONLY))
    ]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    return f"{folder}:{ROOT}"
