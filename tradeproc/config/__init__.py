"""The configuration: `conf/tradeproc.toml` is read once into frozen values; one mistake refuses all of it.

Every key stands, explained, in the shipped `conf/tradeproc.toml`. A secret is never in the file: the file says
where it is, in the environment or in a file of mode 0600. What a session trades is a `SessionSpec`
(`domain/session.py`), written in `conf/sessions/*.toml` and given to `tradectl session create`.

Start reading at `file.py` (`load`), then `logins.py` and `database_url.py`; the other sections are in `sections.py`,
what can be wrong with them in `problems.py`. `market_hours.py` reads what a person changes of the exchanges' hours;
`text.py` reads files.
"""

from tradeproc.config.file import DATABASE_URL, Config, load, read_portfolio, read_session
from tradeproc.config.logins import LoginConfig, Secret
from tradeproc.config.market_hours import apply_market_hours
from tradeproc.config.problems import BadConfig, NotAllowedHere
from tradeproc.config.sections import (
    KINDS,
    DatabaseConfig,
    DeskConfig,
    HealthConfig,
    LimitsConfig,
    LocalBrokerConfig,
    NotifierConfig,
    NotifierTarget,
    SupervisionConfig,
)

__all__ = [
    "DATABASE_URL",
    "KINDS",
    "BadConfig",
    "Config",
    "DatabaseConfig",
    "DeskConfig",
    "HealthConfig",
    "LimitsConfig",
    "LocalBrokerConfig",
    "LoginConfig",
    "NotAllowedHere",
    "NotifierConfig",
    "NotifierTarget",
    "Secret",
    "SupervisionConfig",
    "apply_market_hours",
    "load",
    "read_portfolio",
    "read_session",
]
