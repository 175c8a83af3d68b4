"""Broker logins: which broker, which environment, and where the secrets are (never the secrets themselves)."""

import os
import re
import stat
from dataclasses import field
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from tradeproc.brokers.credentials import ClientCredentials, Environment, Login, UserPassword
from tradeproc.config.problems import BadConfig, check_positive
from tradeproc.config.text import read_text
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.hosts import is_address, is_loopback
from tradeproc.domain.records import BadValue
from tradeproc.domain.texts import is_storable

SECRETS = ("client_id", "client_secret", "refresh_token", "password")
_SET = "set it, then scripts/stop && scripts/tradectl up"
_WRITE = "write it there with mode 0600, then .venv/bin/supervisorctl -c supervisord.conf restart core:tokens"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is; exactly one of the three. `public` is only for a broker on this machine."""

    INLINE: ClassVar[str] = 'a secret is never written here; write { env = "NAME" } or { file = "path" }, mode 0600'

    env: str = ""
    file: str = ""
    public: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Check that one source is named.

        Raises:
            BadValue: none or several are named, or what is named looks like the secret itself.
        """
        if sum(map(bool, (self.env, self.file, self.public))) != 1:
            raise BadValue("env, file", "name exactly one source of the secret")
        # a value that does not fit may be the secret, written here by mistake: the error must not show it
        if self.env and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.env):
            raise BadValue("env", "must be the name of an environment variable, not the secret")
        if "://" in self.file or not self.file.isprintable():
            raise BadValue("file", "must be the path of a file, not the secret")

    def is_there(self, root: Path) -> bool:
        """Tell whether the secret can be read now, by this process."""
        return bool(self.public or os.environ.get(self.env)) or bool(self.file and (root / self.file).is_file())

    def check(self, root: Path) -> None:
        """Check the mode of the secret's file, if there is one already.

        Raises:
            BadValue: others may read it, it is not ours, or its mode cannot be read.
        """
        path = root / self.file
        if not self.file:
            return
        try:
            found = path.stat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise BadValue("file", f"{path} cannot be looked at: {error.strerror}") from None
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise BadValue("file", f"{path} must be yours with mode 0600, found {stat.S_IMODE(found.st_mode):04o}")

    def read(self, root: Path) -> str:
        """Return the secret.

        Raises:
            BadValue: it is not where it should be, its file is open to others, or it is empty or no text.
        """
        if self.public:
            return self.public
        if self.env:
            value = os.environ.get(self.env, "")
            if not value:
                raise BadValue("env", f"{self.env} is not set in the environment of this process")
            if not is_storable(value):
                raise BadValue("env", f"{self.env} is not UTF-8 text")
            return value
        self.check(root)
        try:
            value = read_text(root / self.file).strip()
        except OSError as error:
            raise BadValue("file", f"{root / self.file} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise BadValue("file", f"{root / self.file} is not UTF-8 text (byte {error.start})") from None
        except UnicodeError as error:
            raise BadValue("file", f"{root / self.file} {error}") from None
        if not value:
            raise BadValue("file", f"{root / self.file} is empty")
        return value


@dataclass(frozen=True, slots=True)
class LoginConfig:
    """One broker login. `environment` picks real or simulated money and nothing else does.

    `name`, `file` and `root` (the home) are not keys: the name is the table's own. `idle_seconds` is after how
    long without a need the link ends, `need_seconds` after how long a need that is not renewed is forgotten. `user`
    and `password` are for a broker that is signed in to with them; left out, `tradectl login` asks for them.
    """

    name: str
    file: Path = field(repr=False)
    root: Path = field(repr=False)
    broker: str
    environment: Environment
    redirect_uri: str = "http://localhost:31022/"
    base_url: str = ""
    auth_url: str = ""
    client_id: Secret | None = None
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    user: str = ""
    password: Secret | None = None
    i_accept_real_money: bool = False
    idle_seconds: float = 60.0
    need_seconds: float = 45.0

    def __post_init__(self) -> None:
        """Check names and addresses, and that real money is accepted by `i_accept_real_money`.

        Raises:
            BadValue: names the key and what is allowed.
        """
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,15}", self.name):
            raise BadValue("name", f"{self.name!r} is not allowed; write up to 16 small letters, digits, _ -")
        self._check_addresses()
        if self.can_reach_money and not self.i_accept_real_money:
            why = 'environment = "live"' if self.environment is Environment.LIVE else f"base_url = {self.base_url!r}"
            raise BadValue(
                "i_accept_real_money", f"{why} may trade real money; write i_accept_real_money = true beside it"
            )
        if self.i_accept_real_money and not self.can_reach_money:
            raise BadValue("i_accept_real_money", 'must not stand beside environment = "paper"; remove it')
        if self.password and not self.user:
            raise BadValue("user", "must stand beside password; write the user it belongs to")
        for key in SECRETS:
            secret: Secret | None = getattr(self, key)
            if secret and secret.public and not self._is_on_this_machine:
                raise BadValue(key, "public is only for a broker on 127.0.0.1; use env or file")
        check_positive(idle_seconds=self.idle_seconds, need_seconds=self.need_seconds)

    def _check_addresses(self) -> None:
        for key, value in (
            ("base_url", self.base_url),
            ("auth_url", self.auth_url),
            ("redirect_uri", self.redirect_uri),
        ):
            if "@" in value.partition("?")[0]:
                raise BadValue(key, "must have no user and no password; remove what stands before the @")
        if not is_address(self.redirect_uri):
            raise BadValue("redirect_uri", f"{self.redirect_uri!r} is no address; write http://localhost:31022/")
        for key, value in (("base_url", self.base_url), ("auth_url", self.auth_url)):
            if value and not is_address(value):
                raise BadValue(key, f"{value!r} is no address; write https://host, or http://127.0.0.1:port")
            if value and urlsplit(value).scheme != "https" and not is_loopback(value):
                raise BadValue(key, f"{value!r} must begin with https://, or be on 127.0.0.1 with http://")

    @property
    def can_reach_money(self) -> bool:
        """Tell whether this login may reach real money: it is live, or its base_url is another host than this one."""
        return self.environment is Environment.LIVE or bool(self.base_url and not is_loopback(self.base_url))

    @property
    def _is_on_this_machine(self) -> bool:
        return is_loopback(self.base_url) and is_loopback(self.auth_url)

    def login(self) -> Login:
        """Return the login as brokers know it, without secrets."""
        return Login(self.name, self.broker, self.environment, self.base_url, self.auth_url)

    def client(self) -> ClientCredentials:
        """Return the application's identity; only the `tokens` process calls it.

        Raises:
            BadConfig: a secret is not where the configuration says.
        """
        return ClientCredentials(
            self._secret("client_id") or "", self._secret("client_secret") or "", self.redirect_uri
        )

    def first_refresh_token(self) -> str | None:
        """Return the refresh token to begin with, if the configuration names one.

        Raises:
            BadConfig: it is not where the configuration says.
        """
        return self._secret("refresh_token")

    def user_password(self) -> UserPassword | None:
        """Return user and password to sign in with, if the configuration names them.

        Raises:
            BadConfig: the password is not where the configuration says.
        """
        password = self._secret("password")
        return UserPassword(self.user, password) if password else None

    def trouble(self) -> str:
        """Return in one line which secret cannot be read and what to do about it; empty when all can be."""
        for key in SECRETS:
            secret: Secret | None = getattr(self, key)
            try:
                self._secret(key)
            except BadConfig as bad:
                remedy = _SET if secret and secret.env else _WRITE
                return f"login {self.name} cannot be used: {bad.problem}; {remedy}"
        return ""

    def _secret(self, key: str) -> str | None:
        secret: Secret | None = getattr(self, key)
        try:
            return secret.read(self.root) if secret else None
        except BadValue as bad:
            raise BadConfig(self.file, f"[logins.{self.name}.{key}] {bad}") from None
