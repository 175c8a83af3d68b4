"""Which brokers there are, without loading any: the folders of this package and the entry points of installed ones.

Every process that reads the configuration asks for the keys, and few of them need the contract of a broker.
"""

import pkgutil
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "tradeproc.brokers"
_PACKAGE_INFO = (".dist-info", ".egg-info", "egg-info")
_OURS = ("tradeproc-", "tradeproc.")


def broker_keys() -> list[str]:
    """Return the keys of all brokers that can be named in a configuration, sorted; loads none of them."""
    return sorted({*broker_folders(), *(entry.name for entry in entries())})


def broker_folders() -> list[str]:
    """Return the broker folders of this package; they are found even if tradeproc itself is not installed."""
    return sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.ispkg)


def entries() -> "list[EntryPoint]":
    """Return the entry points of installed packages that provide a broker.

    Our own, which names folders of this package, is missing when no other package has one.
    """
    if not any(_may_find(finder) for finder in sys.meta_path) and not any(_may_hold(Path(each)) for each in sys.path):
        return []
    # only here: it takes 1.4 MB, and few desks have a broker in a package of its own
    from importlib.metadata import entry_points

    return list(entry_points(group=GROUP))


def _may_find(finder: object) -> bool:
    """Tell whether a finder may know packages that are not on the path."""
    return finder is not PathFinder and hasattr(finder, "find_distributions")


def _may_hold(folder: Path) -> bool:
    """Tell whether a folder of the path may hold another package that provides a broker; yes when in doubt."""
    if not folder.is_dir():
        return folder.exists()  # packages in an archive
    try:
        return any(_may_provide(each) for each in folder.iterdir())
    except OSError:
        return True


def _may_provide(entry: Path) -> bool:
    name = entry.name.lower()
    if not name.endswith(_PACKAGE_INFO) or name.startswith(_OURS):
        return False
    table = entry / "entry_points.txt"
    return table.exists() and GROUP.encode() in table.read_bytes()
