"""What the groups declare about themselves: restart strategy, intensity, order of programs; read from their files.

supervisord ignores the keys `strategy` and `intensity`; the warden reads them where supervisord reads its own.
"""

import configparser
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tradeproc.errors import Halt
from tradeproc.home import Home


class BadDeclaration(Halt):
    """A group whose strategy or intensity cannot be read; caught by the entry point."""

    def __init__(self, file: Path, group: str, problem: str) -> None:
        super().__init__(f"{file}: [{group}] {problem}")


class Strategy(StrEnum):
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
    strategy: Strategy
    intensity: Intensity
    programs: tuple[str, ...]

    def companions(self, program: str) -> tuple[str, ...]:
        """Return who else restarts when `program` died, in starting order."""
        others = tuple(each for each in self.programs if each != program)
        if self.strategy is Strategy.ONE_FOR_ONE or program not in self.programs:
            return ()
        if self.strategy is Strategy.ONE_FOR_ALL:
            return others
        return self.programs[self.programs.index(program) + 1 :]


DEFAULT = Intensity(5, 60.0)


def read_declarations(home: Home) -> Mapping[str, Declaration]:
    """Return what every group of a home declares; a group without keys is one_for_one.

    Raises:
        BadDeclaration: a key cannot be read.
    """
    found: dict[str, Declaration] = {}
    for file in (home.root / "supervisord.conf", *sorted(home.groups.glob("*.conf"))):
        try:
            found |= _read(file)
        except FileNotFoundError:
            continue  # removed since we looked
    return found


def _read(file: Path) -> dict[str, Declaration]:
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
            found[group] = _declaration(file, group, text[section], tuple(names))
    for section in text.sections():
        kind, _, name = section.partition(":")
        if kind == "program" and name not in grouped:
            found[name] = _declaration(file, name, text[section], (name,))
    return found


def _declaration(
    file: Path, group: str, section: configparser.SectionProxy, programs: tuple[str, ...]
) -> Declaration:
    try:
        strategy = Strategy(section.get("strategy", Strategy.ONE_FOR_ONE))
    except ValueError:
        raise BadDeclaration(file, group, f"strategy: write one of {', '.join(Strategy)}") from None
    restarts, _, seconds = section.get("intensity", f"{DEFAULT.restarts}/{DEFAULT.seconds}").partition("/")
    try:
        intensity = Intensity(int(restarts), float(seconds))
    except ValueError:
        raise BadDeclaration(file, group, "intensity: write restarts/seconds, as 5/60") from None
    if intensity.restarts < 0 or intensity.seconds <= 0:
        raise BadDeclaration(file, group, "intensity: write restarts/seconds, as 5/60")
    return Declaration(group, strategy, intensity, programs)
