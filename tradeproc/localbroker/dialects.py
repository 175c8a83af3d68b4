"""The list of dialects, and the only place that names their folders. A second dialect is a folder and a line here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from starlette.routing import Route

from tradeproc.errors import Halt
from tradeproc.localbroker.context import ServerContext
from tradeproc.localbroker.tradestation.dialect import TradeStationDialect
from tradeproc.localbroker.wire_forms import SignIn, WireForms

TRADESTATION = "tradestation"


class UnknownDialect(Halt):
    """A dialect that is not in the list; caught by the entry point."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the local broker speaks {', '.join(DIALECTS)}, not {name!r}")


class Dialect(Protocol):
    """One real broker's wire protocol over the exchange."""

    @property
    def forms(self) -> WireForms:
        """Return how it writes the answers that the server itself gives."""
        ...

    def sign_in(self, folder: Path, options: Mapping[str, Any]) -> SignIn:
        """Return its sign-in, which keeps its files in `folder`; `options` are defined by the dialect.

        Raises:
            TypeError: an option that it does not have.
        """
        ...

    def routes(self, context: ServerContext) -> list[Route]:
        """Return all its routes; each endpoint has its name from `faults.py`."""
        ...


DIALECTS: Mapping[str, Dialect] = {TRADESTATION: TradeStationDialect()}


def dialect_of(name: str) -> Dialect:
    """Return a dialect by its name.

    Raises:
        UnknownDialect: there is none of that name.
    """
    if name not in DIALECTS:
        raise UnknownDialect(name)
    return DIALECTS[name]
