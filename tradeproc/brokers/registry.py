"""Finds brokers: folders of this package, and entry points `tradeproc.brokers` of installed packages.

A plugin that cannot be used is never skipped silently. It stops the link and the feeds of the login that needs it,
with one line that names what is missing, and `tokens` reports the same for that login.
"""

import importlib
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tradeproc.brokers.contract import AccountManager, Authorization, Broker, CredentialKind
from tradeproc.brokers.keys import GROUP as GROUP
from tradeproc.brokers.keys import broker_folders, entries
from tradeproc.brokers.keys import broker_keys as broker_keys
from tradeproc.domain.records import nearest
from tradeproc.errors import Halt

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_PACKAGE = "tradeproc.brokers"

_CONSTANTS: dict[str, type] = {
    "name": str,
    "key": str,
    "is_data_source": bool,
    "has_account_management": bool,
    "credential_kind": CredentialKind,
    "echoes_client_id": bool,
}
_ADAPTER = (
    "to_broker_symbol",
    "to_contract",
    "to_continuous_symbol",
    "to_root_symbol",
    "supports_continuous_contract",
    "supports_symbol",
)
_DATA = ("data_source", "bar_stream")
_ACCOUNTS = ("account_manager", "order_stream", "position_stream")


class BadBroker(Halt):
    """A broker plugin that cannot be loaded or breaks the contract; caught by the entry points."""

    def __init__(self, key: str, trouble: str) -> None:
        self.key, self.trouble = key, trouble
        super().__init__(f"broker {key!r}: {trouble}")


class UnknownBroker(Halt):
    """A configured broker that no folder and no installed package provides; caught by the entry points."""

    def __init__(self, key: str, known: list[str]) -> None:
        self.key, self.known = key, known
        super().__init__(f"broker {key!r} is not installed; {nearest(key, known)}")


def broker(key: str) -> Broker:
    """Return one broker; loads no other.

    Raises:
        UnknownBroker: no folder and no installed package provides it.
        BadBroker: it cannot be loaded, breaks the contract, or two packages claim its key.
    """
    claims: list[object] = []
    if key in broker_folders():
        claims.append(_load_folder(key))
    for entry in entries():
        if entry.name == key:
            found = _load_entry(entry)
            if not any(found is claim for claim in claims):
                claims.append(found)
    if not claims:
        raise UnknownBroker(key, broker_keys())
    if len(claims) > 1:
        raise BadBroker(key, f"{len(claims)} installed packages claim this key; uninstall all but one")
    return check_broker(key, claims[0])


def brokers() -> dict[str, Broker]:
    """Return every broker by key.

    Raises:
        BadBroker: one of them is broken.
    """
    return {key: broker(key) for key in broker_keys()}


def check_broker(key: str, candidate: object) -> Broker:
    """Return the candidate as a broker if it has what the contract asks for.

    Only names and types are checked; the contract suite checks behaviour.

    Raises:
        BadBroker: something is missing or of the wrong kind.
    """
    troubles = list(_troubles(key, candidate))
    if troubles:
        raise BadBroker(key, "; ".join(troubles))
    return candidate  # type: ignore[return-value]  # the checks above are what mypy cannot see


def check_account_manager(key: str, manager: AccountManager) -> AccountManager:
    """Return the account manager if its `orders` takes ids; before, the contract did not ask for that.

    Raises:
        BadBroker: it takes none, so every question about its orders would be unknown as soon as one is open.
    """
    try:
        inspect.signature(manager.orders).bind("", ())
    except TypeError:
        raise BadBroker(key, "its account manager's orders() takes no ids of orders beside the account") from None
    return manager


def check_authorization(its_broker: Broker, authorization: Authorization) -> Authorization:
    """Return the sign-in side of a broker if it has what its kind of credentials needs.

    Raises:
        BadBroker: a method is missing, as in authorizations made before the contract had `acquire` and `renew`.
    """
    wanted = ["acquire", "renew", *(["url"] if its_broker.credential_kind is CredentialKind.OAUTH2_CODE else [])]
    missing = [f"{name}()" for name in wanted if not callable(getattr(authorization, name, None))]
    if missing:
        raise BadBroker(its_broker.key, f"its authorization has no {', '.join(missing)}")
    return authorization


def _troubles(key: str, candidate: object) -> Iterator[str]:
    for name, kind in _CONSTANTS.items():
        if not hasattr(candidate, name):
            yield f"has no {name}"
        elif not isinstance(getattr(candidate, name), kind):
            yield f"{name} is no {kind.__name__}"
    if isinstance(getattr(candidate, "key", None), str) and getattr(candidate, "key") != key:  # noqa: B009
        yield f"its key is {candidate.key!r}"  # type: ignore[attr-defined]
    adapter = getattr(candidate, "adapter", None)
    if adapter is None:
        yield "has no adapter"
    else:
        yield from (f"adapter has no {name}()" for name in _ADAPTER if not callable(getattr(adapter, name, None)))
    if not getattr(candidate, "is_data_source", True) and not getattr(candidate, "has_account_management", True):
        yield "declares neither market data nor accounts"
    yield from (f"has no {name}()" for name in _promised(candidate) if not callable(getattr(candidate, name, None)))


def _promised(candidate: object) -> tuple[str, ...]:
    """Return the methods that a broker must have by its own declarations."""
    promised: tuple[str, ...] = ("host",)
    if getattr(candidate, "credential_kind", None) in (CredentialKind.OAUTH2_CODE, CredentialKind.PASSWORD):
        promised += ("authorization",)
    if getattr(candidate, "is_data_source", False):
        promised += _DATA
    if getattr(candidate, "has_account_management", False):
        promised += _ACCOUNTS
    return promised


def _load_folder(key: str) -> object:
    module_name = f"{_PACKAGE}.{key}"
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise BadBroker(key, f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
    try:
        return module.BROKER
    except AttributeError:
        raise BadBroker(key, f"{module_name} has no BROKER") from None


def _load_entry(entry: "EntryPoint") -> object:
    try:
        return entry.load()
    except Exception as error:
        raise BadBroker(entry.name, f"{entry.value} cannot be loaded: {type(error).__name__}: {error}") from error
