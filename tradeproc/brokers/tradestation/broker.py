"""What TradeStation declares to the core.

Each method imports what it needs when it is called, so that a feed never loads the REST side, and only the `tokens`
process loads OAuth2.

Source: TradeStation API v3, "Environments" (hosts of LIVE and SIM), "Authentication".
"""

from tradeproc.brokers.contract import (
    AccountManager,
    ClientCredentials,
    ConsentAuthorization,
    CredentialKind,
    DataSource,
    Environment,
    Login,
    Stream,
    SymbolAdapter,
    TokenSource,
)
from tradeproc.brokers.tradestation.symbols import SYMBOLS
from tradeproc.domain.instruments import Contract

# only the host decides between real and simulated money; key, token and audience are the same
HOSTS = {
    Environment.LIVE: "https://api.tradestation.com/v3",
    Environment.PAPER: "https://sim-api.tradestation.com/v3",
}
SIGN_IN = "https://signin.tradestation.com"


class TradeStation:
    """The broker; satisfies `contract.Broker`.

    It does not echo our order ids: the server only uses OrderConfirmID to refuse duplicates. So an order whose answer
    was lost is found by account, symbol, side, quantity and time.
    """

    name = "TradeStation"
    key = "tradestation"
    is_data_source = True
    has_account_management = True
    credential_kind = CredentialKind.OAUTH2_CODE
    echoes_client_id = False
    adapter: SymbolAdapter = SYMBOLS

    def host(self, login: Login) -> str:
        """Return the base URL for a login: its own, else the real host of its environment."""
        return (login.base_url or HOSTS[login.environment]).rstrip("/")

    def authorization(self, login: Login, client: ClientCredentials) -> ConsentAuthorization:
        """Return the OAuth2 side."""
        from tradeproc.brokers.tradestation.authorization import TradeStationAuthorization

        return TradeStationAuthorization((login.auth_url or SIGN_IN).rstrip("/"), client)

    def account_manager(self, login: Login, tokens: TokenSource) -> AccountManager:
        """Return the account manager, with an HTTP client of its own."""
        from tradeproc.brokers.tradestation.account_manager import TradeStationAccounts
        from tradeproc.brokers.tradestation.rest import RestClient

        return TradeStationAccounts(RestClient(self.host(login), tokens))

    def data_source(self, login: Login, tokens: TokenSource) -> DataSource:
        """Return the data source, with an HTTP client of its own."""
        from tradeproc.brokers.tradestation.data_source import TradeStationData
        from tradeproc.brokers.tradestation.rest import RestClient

        return TradeStationData(RestClient(self.host(login), tokens))

    def bar_stream(self, login: Login, tokens: TokenSource, contract: Contract, minutes: int, count: int) -> Stream:
        """Return a stream of bars, which sends its history again on every connect."""
        from tradeproc.brokers.tradestation.streams import bar_stream

        return bar_stream(self.host(login), tokens, contract, minutes, count)

    def order_stream(self, login: Login, tokens: TokenSource, account: str) -> Stream:
        """Return a stream of the account's orders; it may lose fills while heartbeats go on, so ask as well."""
        from tradeproc.brokers.tradestation.streams import order_stream

        return order_stream(self.host(login), tokens, account)

    def position_stream(self, login: Login, tokens: TokenSource, account: str) -> Stream:
        """Return a stream of the account's positions."""
        from tradeproc.brokers.tradestation.streams import position_stream

        return position_stream(self.host(login), tokens, account)


BROKER = TradeStation()
