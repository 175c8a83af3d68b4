"""Loads of apprise's services only those that the addresses name: all of them together are 25 MB.

apprise itself imports every service as soon as it is given an address. Here the sources of the services are searched
for the one that knows the scheme of an address, and apprise is handed that one alone. Where a scheme is not found,
as that of a web address which a service prints for its users, apprise looks by itself.
"""

import importlib
import re
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from apprise.manager_plugins import NotificationManager

_PACKAGE = "apprise.plugins"
_SCHEME = re.compile(r"\s*([a-z0-9]{1,32})://", re.IGNORECASE)
_DECLARED = re.compile(r"^    (?:secure_)?protocol\s*(?::[^=\n]+)?=\s*(\([^)]*\)|\"[^\"]*\")", re.MULTILINE)
_QUOTED = re.compile(r"\"([^\"]+)\"")


def scheme_of(url: str) -> str:
    """Return the scheme of an address in lower case, empty when it has none."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else ""


def modules_by_scheme() -> dict[str, str]:
    """Return the names of the modules that declare schemes, by the scheme."""
    spec = find_spec(_PACKAGE)
    found: dict[str, str] = {}
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for path in sorted(Path(folder).rglob("*.py")):
            module = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
            for declared in _DECLARED.findall(path.read_text(encoding="utf-8", errors="replace")):
                found.update(dict.fromkeys(_QUOTED.findall(declared), f"{_PACKAGE}.{module}"))
    return found


def load_services(urls: Iterable[str]) -> bool:
    """Let apprise know the services of these addresses alone; False when it has to look through all of its own."""
    wanted, modules = {scheme_of(url) for url in urls}, modules_by_scheme()
    manager: Any = NotificationManager()  # type: ignore[no-untyped-call]
    manager.unload_modules()
    with tempfile.TemporaryDirectory() as empty:
        # services of a folder without any: apprise does not look for others unless it is told to forget
        manager.load_modules(path=empty)
    for scheme in sorted(wanted):
        if scheme not in manager and not (scheme in modules and _add(manager, scheme, modules[scheme])):
            # from now on apprise looks through all of its own
            manager.unload_modules()
            return False
    return True


def _add(manager: Any, scheme: str, name: str) -> bool:
    try:
        module = importlib.import_module(name)
    except ImportError:
        return False
    for each in vars(module).values():
        if isinstance(each, type) and hasattr(each, "app_id") and scheme in _schemes(each):
            return bool(manager.add(each))
    return False


def _schemes(service: type) -> set[str]:
    found: set[str] = set()
    for declared in (getattr(service, "protocol", None), getattr(service, "secure_protocol", None)):
        found.update((declared,) if isinstance(declared, str) else declared or ())
    return found
