"""The sections of the configuration other than logins, one dataclass each, with units and ranges."""

import re
from collections.abc import Mapping
from dataclasses import field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tradeproc.config.logins import Secret
from tradeproc.config.problems import MOST, check_positive
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.joint_limits import JointLimits
from tradeproc.domain.records import BadValue, nearest
from tradeproc.domain.units import Contracts
from tradeproc.market.tape_files.lines import UnreadableTape
from tradeproc.protocol.alarms import Severity


def _check_zone(zone: str) -> None:
    # only here: every process reads the configuration, and one without candles saves numpy's 13 MB
    from tradeproc.market.tape_files.zones import zone_of

    try:
        zone_of(zone)
    except UnreadableTape as bad:
        raise BadValue("tape_zone", str(bad)) from None


@dataclass(frozen=True, slots=True)
class DeskConfig:
    """What the installation is called in messages to people."""

    name: str


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Which PostgreSQL; without a url (and without TRADEPROC_DATABASE_URL) the embedded one."""

    url: Secret | None = None
    connect_seconds: float = 3.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadValue: the deadline is not positive.
        """
        check_positive(connect_seconds=self.connect_seconds)


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """The largest limits that a session on this machine may have, in contracts; a limit has no default."""

    max_order: Contracts
    max_position: Contracts

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadValue: a limit below one contract.
        """
        check_positive(max_order=self.max_order, max_position=self.max_position)


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """Limits that all sessions of an account have together; `currency` is that of their money and of the account."""

    limits: JointLimits
    currency: str = "USD"

    def __post_init__(self) -> None:
        """Check the currency.

        Raises:
            BadValue: it is none.
        """
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise BadValue("currency", f"{self.currency!r} is no currency; write three letters, as USD")


# market seconds per wall second that the local broker's clock can count
FASTEST = 1e6


@dataclass(frozen=True, slots=True)
class LocalBrokerConfig:
    """The broker on loopback. `speed` is market seconds per wall second.

    `tape` is "shipped", "generated:CONTRACT:SEED", "generated:CONTRACT+NEXT:SEED" or a file. `tape_zone`,
    `tape_stamp`, `tape_contract` and `tape_dates` say what a file does not say itself; each is empty if the file says
    it.
    """

    enabled: bool = False
    port: int = 8765
    tape: str = "shipped"
    tape_zone: str = ""
    tape_stamp: str = ""
    tape_contract: str = ""
    tape_dates: str = ""
    speed: float = 60.0
    history_minutes: float = 15.0
    accounts: tuple[str, ...] = ("SIM0000001F",)

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadValue: names the key and what is allowed.
        """
        if not 1024 <= self.port <= 65535:
            raise BadValue("port", f"must be 1024 to 65535, not {self.port}")
        if self.tape_stamp not in ("", "start", "end"):
            raise BadValue("tape_stamp", f"must be start or end, not {self.tape_stamp!r}")
        if self.tape_dates not in ("", "month", "day"):
            raise BadValue("tape_dates", f"must be month or day, not {self.tape_dates!r}")
        if self.tape_zone:
            _check_zone(self.tape_zone)
        if not self.accounts:
            raise BadValue("accounts", "name at least one account")
        check_positive(speed=self.speed)
        if self.speed > FASTEST:
            raise BadValue("speed", f"must be at most {FASTEST:g}, not {self.speed:g}")
        if not 0 <= self.history_minutes <= MOST:
            raise BadValue("history_minutes", f"must be 0 to {MOST:g}, not {self.history_minutes:g}")


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """Limits beyond which `scripts/healthcheck` reports; seconds unless the name says otherwise, 0 days is never."""

    heartbeat_warning: float = 5.0
    heartbeat_critical: float = 30.0
    stale_stream: float = 120.0
    stuck_order: float = 10.0
    recent_divergence: float = 3600.0
    disk_warning_mb: int = 2048
    disk_critical_mb: int = 256
    skew_warning: float = 2.0
    skew_critical: float = 30.0
    token_overdue: float = 60.0
    login_age_days: float = 0.0
    login_ends_days: float = 2.0
    calendar_days: int = 30
    calendar_check_days: int = 400

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadValue: a threshold is not positive, or critical would come before warning.
        """
        check_positive(**{name: getattr(self, name) for name in self.__slots__ if not name.endswith("_days")})
        for key in ("login_age_days", "login_ends_days", "calendar_days", "calendar_check_days"):
            if not 0 <= getattr(self, key) <= MOST:
                raise BadValue(key, f"must be 0 to {MOST:g}, not {getattr(self, key):g}")
        for critical, warning in (("heartbeat_critical", "heartbeat_warning"), ("skew_critical", "skew_warning")):
            if getattr(self, critical) < getattr(self, warning):
                raise BadValue(critical, f"must not be below {warning}")
        if self.disk_critical_mb > self.disk_warning_mb:
            raise BadValue("disk_critical_mb", "must not be above disk_warning_mb")


@dataclass(frozen=True, slots=True)
class NotifierTarget:
    """Where alarms go: an address of apprise, the least severity, and quiet hours of warnings in an IANA zone.

    `quiet` is empty or as `22:00-07:00`.
    """

    url: Secret
    level: Severity = Severity.WARNING
    quiet: str = ""
    zone: str = ""

    def __post_init__(self) -> None:
        """Check the hours.

        Raises:
            BadValue: they are no hours, or their zone is missing or unknown.
        """
        if self.quiet and not re.fullmatch(
            r"([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]", self.quiet
        ):
            raise BadValue("quiet", f"must be hours as 22:00-07:00, not {self.quiet!r}")
        if self.quiet and not self.zone:
            raise BadValue("zone", "name the zone of the quiet hours, as Europe/Berlin")
        if self.zone:
            try:
                ZoneInfo(self.zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise BadValue("zone", f"must be a zone as Europe/Berlin, not {self.zone!r}") from None


@dataclass(frozen=True, slots=True)
class NotifierConfig:
    """Who is told of alarms: nobody without targets.

    A standing alarm is told again after each of `repeat_minutes` and then daily. A target gets `hourly_most` messages
    an hour, and then summaries.
    """

    targets: tuple[NotifierTarget, ...] = ()
    repeat_minutes: tuple[float, ...] = (5.0, 15.0, 60.0)
    hourly_most: int = 30

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadValue: names the key and what is allowed.
        """
        for minutes in self.repeat_minutes:
            check_positive(repeat_minutes=minutes)
        if not 2 <= self.hourly_most <= 1000:
            raise BadValue("hourly_most", f"must be 2 to 1000, not {self.hourly_most}")


KINDS = [
    *("postgres", "tokens", "portfolio", "keeper", "jobs", "warden", "localbroker", "notifier"),
    *("link", "bars", "orders", "positions", "account", "trader"),
]


@dataclass(frozen=True, slots=True)
class SupervisionConfig:
    """When the warden considers a process hung, and its restarts. The groups' rules stand in supervisord.conf.

    `hung_seconds` is how long heartbeats may be missing, or come without progress; `hung` overrides it for a kind of
    process. `start_seconds` is the time that a process has until its first heartbeat.
    """

    hung_seconds: float = 10.0
    hung: Mapping[str, float] = field(default_factory=dict)
    start_seconds: float = 14.0
    dump_seconds: float = 1.0
    backoff_first_seconds: float = 1.0
    backoff_most_seconds: float = 60.0
    slow_retry_seconds: float = 300.0

    def __post_init__(self) -> None:
        """Check the ranges and the kinds.

        Raises:
            BadValue: names the key and what is allowed.
        """
        check_positive(**{name: getattr(self, name) for name in self.__slots__ if name != "hung"})
        for kind, seconds in self.hung.items():
            if kind not in KINDS:
                raise BadValue(f"hung.{kind}", f"unknown kind of process; {nearest(kind, KINDS)}")
            check_positive(**{f"hung.{kind}": seconds})
        if self.backoff_most_seconds < self.backoff_first_seconds:
            raise BadValue("backoff_most_seconds", "must not be below backoff_first_seconds")
