"""Toy brokers that are only half of one: TradeStation without its accounts, and without its data.

The one with data is signed in to with a password, and its token renews itself as long as it lasts: what TradeStation
does not have, and others do. What they declare not to be they do not have either: asking for it is an AttributeError,
so a test sees it.
"""

from dataclasses import replace
from pathlib import Path

from tradeproc.brokers.contract import (
    Authorization,
    ClientCredentials,
    CredentialKind,
    Login,
    Proof,
    SymbolAdapter,
    Tokens,
    UserPassword,
)
from tradeproc.brokers.registry import GROUP
from tradeproc.brokers.tradestation.broker import TradeStation
from tradeproc.brokers.tradestation.symbols import SYMBOLS
from tradeproc.errors import Halt

ROOT = Path(__file__).parents[2]
PASSWORD = UserPassword("toy", "open sesame")


class ToyRefusal(Halt):
    """A wrong password, or a token that cannot be renewed any more."""


class ToyAuthorization:
    """Takes one password, and gives out tokens of the local broker behind the login."""

    def __init__(self, login: Login) -> None:
        client = ClientCredentials("local", "local", "http://localhost:31022/")
        self._sign_in = TradeStation().authorization(login, client)
        self._given: set[str] = set()

    def acquire(self, proof: Proof) -> Tokens:
        if proof != PASSWORD:
            raise ToyRefusal("user or password is wrong")
        return self._tokens()

    def renew(self, renewal: str) -> Tokens:
        if renewal not in self._given:
            raise ToyRefusal("the token cannot be renewed any more")
        return self._tokens()

    def _tokens(self) -> Tokens:
        tokens = self._sign_in.renew("local")
        self._given.add(tokens.access_token)
        return replace(tokens, renewal=tokens.access_token, renewable_for=tokens.expires_in)


class DataOnly:
    """Serves data and has no accounts."""

    name = "Toy Data"
    key = "toy_data"
    is_data_source = True
    has_account_management = False
    credential_kind = CredentialKind.PASSWORD
    echoes_client_id = False
    adapter: SymbolAdapter = SYMBOLS
    host = TradeStation.host
    data_source = TradeStation.data_source
    bar_stream = TradeStation.bar_stream

    def authorization(self, login: Login, _client: ClientCredentials) -> Authorization:
        return ToyAuthorization(login)


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
