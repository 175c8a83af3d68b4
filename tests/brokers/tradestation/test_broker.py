import subprocess
import sys

import pytest

from tradeproc.brokers.contract import Environment, Login
from tradeproc.brokers.tradestation import BROKER

CODE = """
import sys
from tradeproc.brokers.contract import Environment, Login
from tradeproc.brokers.registry import broker
from tradeproc.domain.instruments import Contract
ts = broker("tradestation")
login = Login("l", "tradestation", Environment.PAPER)
manager, data = ts.account_manager(login, None), ts.data_source(login, None)
streams = ts.bar_stream(login, None, Contract("ES", 2024, 3), 1, 1), ts.order_stream(login, None, "A")
manager.shutdown(), data.shutdown()
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"requests", "requests_oauthlib", "rich", "click"}))
"""


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        (Environment.LIVE, "https://api.tradestation.com/v3"),
        (Environment.PAPER, "https://sim-api.tradestation.com/v3"),
    ],
)
def test_the_host_alone_decides_between_real_and_simulated_money(environment: Environment, host: str) -> None:
    assert BROKER.host(Login("l", "tradestation", environment)) == host


def test_a_login_may_name_its_own_host() -> None:
    own = Login("l", "tradestation", Environment.PAPER, "http://127.0.0.1:8765/v3/", "http://127.0.0.1:8765")

    assert BROKER.host(own) == "http://127.0.0.1:8765/v3"


def test_link_and_feeds_load_neither_oauth2_nor_a_command_line() -> None:
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60)

    assert found.stdout.strip() == ""
