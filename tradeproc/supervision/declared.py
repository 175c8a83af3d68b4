"""What the groups declare about themselves: restart strategy, intensity, order of programs; read from their files.

supervisord ignores the keys `strategy` and `intensity`; the warden reads them where supervisord reads its own. A key
that cannot be read gets the careful default, and an alarm says so: a warden that refused to start because of a typing
error would leave the whole desk without supervision.
"""

import configparser
import math
from enum import StrEnum
from pathlib import Path

from tradeproc.domain.frozen import dataclass
from tradeproc.home import Home


class RestartStrategy(StrEnum):
    """Who is restarted together with a program that died."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


@dataclass(frozen=True, slots=True)
class Intensity:
    """More than `restarts` in `seconds` is too often."""

    restarts: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Declaration:
    """What one group declares; `programs` in the order in which they depend on each other, the first needs none."""

    group: str
    strategy: RestartStrategy
    intensity: Intensity
    programs: tuple[str, ...]

    def companions(self, program: str) -> tuple[str, ...]:
        """Return who else restarts when `program` died, in starting order."""
        others = tuple(each for each in self.programs if each != program)
        if self.strategy is RestartStrategy.ONE_FOR_ONE or program not in self.programs:
            return ()
        if self.strategy is RestartStrategy.ONE_FOR_ALL:
            return others
        return self.programs[self.programs.index(program) + 1 :]


DEFAULT = Intensity(5, 60.0)
# Which program depends on which is not known, so all are restarted: recovery is start-up, and takes a moment only.
CAREFUL = RestartStrategy.ONE_FOR_ALL


@dataclass(frozen=True, slots=True)
class Declarations:
    """What all groups declare, and in `unread` by group, or file, in one line what could not be read."""

    groups: dict[str, Declaration]
    unread: dict[str, str]


def read_declarations(home: Home) -> Declarations:
    """Return what every group of a home declares; a group without keys is one_for_one."""
    found: dict[str, Declaration] = {}
    unread: dict[str, str] = {}
    for file in (home.root / "supervisord.conf", *sorted(home.groups.glob("*.conf"))):
        try:
            found |= _read(file, unread)
        except FileNotFoundError:
            continue  # removed since we looked
        except (configparser.Error, UnicodeDecodeError) as error:
            unread[file.stem] = " ".join(f"{file}: {error}".split())
    return Declarations(found, unread)


def _read(file: Path, unread: dict[str, str]) -> dict[str, Declaration]:
    text = configparser.RawConfigParser(comment_prefixes=(";",), inline_comment_prefixes=(" ;",))
    text.read_string(file.read_text(), str(file))
    grouped: set[str] = set()
    found = {}
    for section in text.sections():
        if section.startswith("group:"):
            group = section.removeprefix("group:")
            programs = [each.strip() for each in text[section].get("programs", "").split(",") if each.strip()]
            grouped.update(programs)
            names = [text.get(f"program:{each}", "process_name", fallback=each) for each in programs]
            found[group] = _declaration(file, group, text[section], tuple(names), unread)
    for section in text.sections():
        kind, _, name = section.partition(":")
        if kind == "program" and name not in grouped:
            found[name] = _declaration(file, name, text[section], (name,), unread)
    return found


def _declaration(
    file: Path, group: str, section: configparser.SectionProxy, programs: tuple[str, ...], unread: dict[str, str]
) -> Declaration:
    strategy, intensity = CAREFUL, DEFAULT
    try:
        strategy = RestartStrategy(section.get("strategy", RestartStrategy.ONE_FOR_ONE))
    except ValueError:
        unread[group] = f"{file}: [{group}] strategy: write one of {', '.join(RestartStrategy)}; {CAREFUL} until then"
    restarts, _, seconds = section.get("intensity", f"{DEFAULT.restarts}/{DEFAULT.seconds}").partition("/")
    try:
        intensity = _intensity(int(restarts), float(seconds))
    except ValueError:
        unread[group] = f"{file}: [{group}] intensity: write restarts/seconds, as 5/60, which holds until then"
    return Declaration(group, strategy, intensity, programs)


def _intensity(restarts: int, seconds: float) -> Intensity:
    if restarts < 0 or not 0 < seconds < math.inf:
        raise ValueError(restarts, seconds)
    return Intensity(restarts, seconds)
