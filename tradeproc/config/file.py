"""Reading the files: the whole configuration, and what a session file asks for."""

import os
import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from urllib.parse import urlsplit

from tradeproc.brokers.keys import broker_keys
from tradeproc.config.database_url import check_database_url
from tradeproc.config.logins import SECRETS, LoginConfig, Secret
from tradeproc.config.market_hours import apply_market_hours
from tradeproc.config.problems import BadConfig, NotAllowedHere
from tradeproc.config.sections import (
    AccountConfig,
    DatabaseConfig,
    DeskConfig,
    HealthConfig,
    LimitsConfig,
    LocalBrokerConfig,
    NotifierConfig,
    SupervisionConfig,
)
from tradeproc.config.text import read_toml
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.hosts import is_loopback
from tradeproc.domain.instruments import NoSuchMonth, check_listed
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.portfolio import BadPortfolio, PortfolioSpec
from tradeproc.domain.records import BadRecord, BadValue, nearest, read_record
from tradeproc.domain.roll_rules import RuleChange, change_rules, check_dates, check_time
from tradeproc.domain.session import ACCOUNT, BadSession, SessionSpec
from tradeproc.home import Home

FILE = "tradeproc.toml"
DATABASE_URL = "TRADEPROC_DATABASE_URL"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; `file` and `root` (the home) are not keys."""

    file: Path
    root: Path
    logins: Mapping[str, LoginConfig]
    desk: DeskConfig
    limits: LimitsConfig
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    localbroker: LocalBrokerConfig = field(default_factory=LocalBrokerConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    supervision: SupervisionConfig = field(default_factory=SupervisionConfig)
    rolls: Mapping[str, RuleChange] = field(default_factory=dict)
    notifier: NotifierConfig = field(default_factory=NotifierConfig)
    accounts: Mapping[str, AccountConfig] = field(default_factory=dict)

    def login(self, name: str) -> LoginConfig:
        """Return a login by name.

        Raises:
            NotAllowedHere: there is no such login.
        """
        if name not in self.logins:
            raise NotAllowedHere(f"login {name!r} is not in {self.file}; {nearest(name, list(self.logins))}")
        return self.logins[name]

    def external_database(self) -> str | None:
        """Return the url of the external database, or None when the embedded one is used.

        TRADEPROC_DATABASE_URL wins over the file.

        Raises:
            BadConfig: the url is not where the configuration says, or it is no address of a database.
        """
        if url := os.environ.get(DATABASE_URL):
            try:
                check_database_url(url)
            except BadValue as bad:
                raise BadConfig(self.file, f"{DATABASE_URL} of the environment: {bad.problem}") from None
            return url
        try:
            url = self.database.url.read(self.root) if self.database.url else None
            if url is not None:
                check_database_url(url)
        except BadValue as bad:
            raise BadConfig(self.file, f"[database.url] {bad}") from None
        return url

    def notifier_urls(self) -> list[str]:
        """Return the addresses of the notifier's targets, which are secrets.

        Raises:
            BadConfig: an address is not where the configuration says.
        """
        found = []
        for number, target in enumerate(self.notifier.targets, 1):
            try:
                found.append(target.url.read(self.root))
            except BadValue as bad:
                raise BadConfig(self.file, f"[notifier] target {number}: url.{bad}") from None
        return found

    def check_session(self, spec: SessionSpec) -> None:
        """Check that this desk allows a session: its logins, its environment, its contract, its roll, its limits.

        Raises:
            NotAllowedHere: names what does not fit.
        """
        login = self.login(spec.login)
        if spec.environment != login.environment.value:
            raise NotAllowedHere(
                f"session {spec.name!r} asks for environment {spec.environment!r}, "
                f"but login {spec.login!r} is {login.environment.value!r}"
            )
        self._check_data_login(spec, login, "data_login", spec.login_of_data)
        if spec.witness_login:
            self._check_data_login(spec, login, "witness_login", spec.witness_login)
        try:
            check_listed(spec.contract)
        except NoSuchMonth as bad:
            raise NotAllowedHere(f"session {spec.name!r}: {bad}") from None
        try:
            check_dates(spec.root, spec.roll.dates)
            check_time(spec.roll, market_hours(spec.calendar))
        except BadValue as bad:
            raise NotAllowedHere(f"session {spec.name!r}: roll.{bad}") from None
        for key in ("max_order", "max_position"):
            asked, allowed = getattr(spec.limits, key), getattr(self.limits, key)
            if asked > allowed:
                raise NotAllowedHere(f"session {spec.name!r} asks for {key} {asked}, this desk allows {allowed}")

    def _check_data_login(self, spec: SessionSpec, login: LoginConfig, key: str, named: str) -> None:
        """Check a login that serves prices: a tape must not decide about orders in a real market.

        Raises:
            NotAllowedHere: there is no such login, or it is at the local broker while the orders go elsewhere.
        """
        data_login = self.login(named).name
        if self.is_at_local_broker(data_login) and not self.is_at_local_broker(login.name):
            raise NotAllowedHere(
                f"session {spec.name!r}: {key} {data_login!r} is at the local broker, whose market "
                f"is a tape, but the orders of login {login.name!r} go elsewhere"
            )

    def is_at_local_broker(self, login: str) -> bool:
        """Tell whether a login is at the broker on this machine, whose market is a tape; an unknown one is not."""
        found = self.logins.get(login)
        return (
            found is not None
            and is_loopback(found.base_url)
            and urlsplit(found.base_url).port == self.localbroker.port
        )


def load(home: Home) -> Config:
    """Read and check the whole configuration of a home; put its changes of market hours and of rolls in force.

    Raises:
        BadConfig: the first thing that is wrong, as one line.
    """
    file = home.conf / FILE
    table = read_toml(file)
    logins = table.pop("logins", {})
    try:
        if not isinstance(logins, Mapping):
            raise BadRecord("", "logins: expected one table a login, as [logins.paper]")
        read = {name: _read_login(file, home.root, str(name), entry) for name, entry in logins.items()}
        config = read_record(Config, table, "", {"file": file, "root": home.root, "logins": read})
    except BadRecord as bad:
        raise BadConfig(file, str(bad)) from None
    _check_secret(file, home.root, "database.url", config.database.url)
    for number, target in enumerate(config.notifier.targets, 1):
        _check_secret(file, home.root, f"notifier.targets, number {number}, url", target.url)
    if os.environ.get(DATABASE_URL) or (config.database.url and config.database.url.is_there(home.root)):
        config.external_database()
    for account in config.accounts:
        if not re.fullmatch(ACCOUNT, account):
            raise BadConfig(
                file, f"[accounts.{account}]: write the id of an account, up to 16 letters, digits, . _ -"
            )
    apply_market_hours(home)
    try:
        change_rules(config.rolls)
    except BadValue as bad:
        raise BadConfig(file, f"[rolls] {bad}") from None
    return config


def read_session(path: Path) -> SessionSpec:
    """Read what a session file asks for.

    Raises:
        BadConfig: the file cannot be read, or the specification cannot be traded.
    """
    try:
        spec = SessionSpec.from_dict(read_toml(path))
        check_time(spec.roll, market_hours(spec.calendar))
    except BadSession as bad:
        raise BadConfig(path, str(bad)) from None
    except BadValue as bad:
        raise BadConfig(path, f"[roll] {bad}") from None
    return spec


def read_portfolio(path: Path) -> PortfolioSpec:
    """Read what a portfolio's file asks for.

    Raises:
        BadConfig: the file cannot be read, or holds no portfolio.
    """
    try:
        return PortfolioSpec.from_dict(read_toml(path))
    except BadPortfolio as bad:
        raise BadConfig(path, str(bad)) from None


def _read_login(file: Path, root: Path, name: str, entry: object) -> LoginConfig:
    section = f"logins.{name}"
    login = read_record(LoginConfig, entry, section, {"name": name, "file": file, "root": root})
    known = broker_keys()
    if login.broker not in known:
        raise BadRecord(section, f"broker: {login.broker!r} is not installed; {nearest(login.broker, known)}")
    for key in SECRETS:
        _check_secret(file, root, f"{section}.{key}", getattr(login, key))
    return login


def _check_secret(file: Path, root: Path, section: str, secret: Secret | None) -> None:
    try:
        if secret:
            secret.check(root)
    except BadValue as bad:
        raise BadConfig(file, f"[{section}] {bad}") from None
