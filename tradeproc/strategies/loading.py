"""Load a strategy by name, check it against the contract, and build its arguments from configured values.

A strategy is named in one of three ways:

    my_cross.py  my_cross.py:MyCross      a file; the class may be left out when the file defines one strategy
    my_package.ideas:MyCross              module and class
    moving_average_cross                  an entry point of the group `tradeproc.strategies`

This module and `folder.py` read files and run the code in them; nothing else in this package is impure. They are used
once at start-up, before the engine runs.
"""

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from tradeproc.errors import Halt
from tradeproc.strategies import folder
from tradeproc.strategies.arguments import BadArgument, declaration_fault, make_arguments
from tradeproc.strategies.contract import AnyStrategy
from tradeproc.strategies.returned import whole

GROUP = "tradeproc.strategies"

_METHODS = {
    "warmup": ("arguments",),
    "start": ("arguments",),
    "on_candle": ("view", "state", "arguments"),
}


class BadStrategy(Halt):
    """A strategy that cannot be loaded or configured; a person must mend the file or the configuration."""

    def __init__(self, reference: str, problem: str) -> None:
        self.reference, self.problem = reference, problem
        super().__init__(f"strategy {reference!r}: {problem}")


def load_strategy(reference: str, base: Path | None = None) -> AnyStrategy:
    """Return the strategy that `reference` names, checked against the contract.

    Args:
        reference: file, `module:Class` or entry point name.
        base: the folder that a relative file is in; the working folder when left out.

    Raises:
        BadStrategy: it does not exist, cannot be loaded, or breaks the contract; one line says which.
    """
    place, _, attribute = reference.strip().partition(":")
    if place.endswith(".py"):
        module = _load_file(reference, (base or Path()) / Path(place).expanduser())
        found = _attribute(reference, module, attribute) if attribute else _only_strategy(reference, module)
    elif attribute:
        found = _attribute(reference, _import(reference, place), attribute)
    else:
        target = _entry_point(reference, place)
        found = _attribute(reference, _import(reference, target[0]), target[1])
    return _checked(reference, found)


def build_arguments(strategy: AnyStrategy, given: Mapping[str, Any]) -> Any:
    """Return the strategy's `Arguments` from configured values; what is not given keeps its default.

    Raises:
        BadStrategy: an unknown name, a wrong type, or a value out of range; the first one found.
    """
    try:
        return make_arguments(strategy.Arguments, given)
    except BadArgument as fault:
        raise BadStrategy(strategy.name, str(fault)) from None


def digest_of_file(strategy: AnyStrategy) -> str:
    """Return the SHA-256 of the file that defines a strategy, without its helpers; empty where it is unknown."""
    try:
        data = Path(inspect.getfile(type(strategy))).read_bytes()
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(data).hexdigest()


def begin(reference: str, strategy: AnyStrategy, arguments: Any) -> None:
    """Ask for the warm-up and the first state, as a trader will.

    Raises:
        BadStrategy: it raises, or its warm-up is no number of candles.
    """
    for method, call in (("warmup", strategy.warmup), ("start", strategy.start)):
        try:
            answer = call(arguments)
            if method == "warmup":
                whole(answer, "its number of candles")
        except BaseException as error:
            raise BadStrategy(reference, f"{method} fails: {_in_short(error)}") from error


def _load_file(reference: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise BadStrategy(reference, f"there is no file {str(path)!r}")
    try:
        name = folder.enter(path)
    except folder.Writable as writable:
        raise BadStrategy(reference, str(writable)) from None
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadStrategy(reference, f"{str(path)!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is being executed
    try:
        spec.loader.exec_module(module)
    except folder.Writable as writable:
        del sys.modules[name]
        raise BadStrategy(reference, str(writable)) from None
    except BaseException as error:
        del sys.modules[name]
        raise BadStrategy(reference, f"raises while it is loaded: {_in_short(error)}") from error
    return module


def _import(reference: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise BadStrategy(reference, f"there is no module {error.name!r}") from None
        raise BadStrategy(reference, f"raises while it is loaded: {_in_short(error)}") from error
    except BaseException as error:
        raise BadStrategy(reference, f"raises while it is loaded: {_in_short(error)}") from error


def _attribute(reference: str, module: ModuleType, name: str) -> object:
    try:
        return getattr(module, name)
    except AttributeError:
        place = Path(module.__file__ or module.__name__).name
        known = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise BadStrategy(reference, f"{place} has no {name!r}{_nearest(name, known)}") from None


def _only_strategy(reference: str, module: ModuleType) -> object:
    own = [
        value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__
    ]
    found = [value for value in own if hasattr(value, "on_candle")]
    if len(found) != 1:
        names = ", ".join(value.__name__ for value in found) or "none"
        raise BadStrategy(
            reference, f"the file must define one class with on_candle, or be named file.py:Class: {names}"
        )
    return found[0]


def _entry_point(reference: str, name: str) -> tuple[str, str]:
    # only here: it loads two megabytes of the standard library, and most sessions name a file or a module
    from importlib.metadata import entry_points

    known = {point.name: (point.module, point.attr) for point in entry_points(group=GROUP)}
    if name not in known:
        raise BadStrategy(reference, f"no installed strategy has this name{_nearest(name, sorted(known))}")
    return known[name]


def _checked(reference: str, found: object) -> AnyStrategy:
    if not isinstance(found, type):
        raise BadStrategy(reference, f"a strategy is a class, not {type(found).__name__}")
    for method in _METHODS:
        if not callable(getattr(found, method, None)):
            raise BadStrategy(reference, f"{found.__name__} is no strategy: it has no method {method}")
    if not isinstance(name := getattr(found, "name", None), str) or not name:
        raise BadStrategy(reference, f"{found.__name__} is no strategy: it has no text called name")
    if problem := declaration_fault(getattr(found, "Arguments", None)):
        raise BadStrategy(reference, f"{found.__name__}.Arguments {problem}")
    try:
        made: AnyStrategy = found()
    except Exception as error:
        raise BadStrategy(reference, f"{found.__name__}() raises: {_in_short(error)}") from error
    if problem := _signature_fault(made):
        raise BadStrategy(reference, f"{found.__name__}.{problem}")
    return made


def _signature_fault(strategy: AnyStrategy) -> str | None:
    for method, names in _METHODS.items():
        try:
            inspect.signature(getattr(strategy, method)).bind(*names)
        except TypeError:
            return f"{method} must take ({', '.join(('self', *names))})"
    return None


def _nearest(name: str, known: list[str]) -> str:
    from difflib import get_close_matches  # only here: it is needed when a name is wrong

    if close := get_close_matches(name, known, n=1, cutoff=0.5):
        return f"; the nearest is {close[0]!r}"
    return f"; there are {', '.join(known)}" if known else ""


def _in_short(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
