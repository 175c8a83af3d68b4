"""The limits of portfolios and accounts for people: what each allows, how much is used, or why nobody knows."""

from collections.abc import Mapping
from typing import Any

from tradeproc.desk.collector import config_of
from tradeproc.desk.installation import Desk
from tradeproc.domain.answers import Known
from tradeproc.errors import TradeprocError
from tradeproc.protocol import names, scopes
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.heat_messages import ASK_PORTFOLIOS_HEAT, JointStanding

_SERVER = "the portfolio server"


def limit_lines(limits: Mapping[str, Any], standing: JointStanding | None, away: str) -> list[tuple[str, str]]:
    """Return a line for each limit that is set: name, and how much of it is used.

    Args:
        limits: the stored limits of a portfolio, used where the server does not say how they stand.
        standing: how they stand, None where it does not say.
        away: why it does not.
    """
    if standing is not None:
        money = standing.currency
        lines = [
            (name, f"{standing.used.get(name, 'unknown')} of {allowed}{_unit(name, money)}")
            for name, allowed in standing.limits.items()
        ]
        if standing.reached:
            lines.append(("exits only", standing.reached))
        if standing.unknown:
            lines.append(("unknown", f"{standing.unknown}; entries wait"))
        return lines
    shown = {key: value for key, value in limits.items() if key != "market_hours" and value}
    return [(name, f"unknown of {value}: {away}") for name, value in shown.items()]


def _unit(name: str, currency: str) -> str:
    return f" {currency}" if name in ("max_daily_loss", "max_drawdown", "max_notional") else ""


def of_session(desk: Desk, account: str, portfolio: str) -> list[tuple[str, str]]:
    """Return the lines of the limits that a session shares: its portfolio's and its account's."""
    match config_of(desk):
        case Known(config):
            is_limited = account in config.accounts
        case _:
            is_limited = True
    if not portfolio and not is_limited:
        return []
    wanted = [scopes.of_portfolio(portfolio)] * bool(portfolio) + [scopes.of_account(account)]
    try:
        told = desk.ask(names.PORTFOLIO, ASK_PORTFOLIOS_HEAT, NoBody()).joint
    except TradeprocError as error:
        return [("shared limits", f"unknown: {_SERVER} does not say: {error}")]
    return [
        (f"{scope.in_words}: {name}", words)
        for scope in wanted
        for standing in told
        if standing.scope == scope
        for name, words in limit_lines({}, standing, "")
    ]
