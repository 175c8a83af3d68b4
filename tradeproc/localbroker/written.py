"""The settings of a local broker without a home: a file that the starter writes and the new process reads."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from tradeproc.domain.units import Money
from tradeproc.exchange.matching import Rules
from tradeproc.localbroker.server import ServerSettings
from tradeproc.market.tape_files.file_reading import TapeHints

SETTINGS, PORT = "settings.json", "port"


def write_settings(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the settings of a broker; numbers and lists only, Decimals as text."""
    (folder / SETTINGS).write_bytes(orjson.dumps(dict(config), default=str))


def settings_from(folder: Path, found: Mapping[str, Any]) -> ServerSettings:
    """Return the settings that were written."""
    values = dict(found) | {"folder": folder}
    if "reading" in values:
        values["reading"] = TapeHints(**values["reading"])
    if "accounts" in values:
        values["accounts"] = tuple(values["accounts"])
    if "cash" in values:
        values["cash"] = Money(Decimal(str(values["cash"])))
    if "rules" in values:
        values["rules"] = _rules(values["rules"])
    return ServerSettings(**values)


def _rules(found: Mapping[str, Any]) -> Rules:
    values = dict(found)
    if "commission" in values:
        values["commission"] = Money(Decimal(str(values["commission"])))
    if "margins" in values:
        values["margins"] = {root: Money(Decimal(str(amount))) for root, amount in values["margins"].items()}
    return Rules(**values)
