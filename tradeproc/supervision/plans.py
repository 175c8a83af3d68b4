"""The warden's plans for a group as a note that supervisord keeps for the warden's successor: pure, text and back.

A hold or an unfinished restart is a plan: programs are down, and only this note tells them from programs that a
person stopped. How often a group was held is noted until it is calm, so that escalation and giving up go on.
"""

import json
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from tradeproc.domain.frozen import dataclass
from tradeproc.supervision.declared import Declaration
from tradeproc.supervision.repeats import RepeatedDeaths
from tradeproc.supervision.rules import GroupState, Hold, Trouble


@dataclass(frozen=True, slots=True)
class Plans:
    """What a predecessor meant to do: start `to_start` again once they are down, and end its holds in time."""

    holds: Mapping[str, Hold] = field(default_factory=dict)
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    to_start: tuple[str, ...] = ()
    repeats: Mapping[str, RepeatedDeaths] = field(default_factory=dict)

    def resumed(self, declaration: Declaration, up: frozenset[str]) -> GroupState:
        """Return the state of a group in which these plans go on; what somebody started meanwhile is not held."""
        holds = {
            unit: replace(hold, programs=tuple(each for each in hold.programs if each not in up))
            for unit, hold in self.holds.items()
        }
        standing = {unit: hold for unit, hold in holds.items() if hold.programs}
        return GroupState(
            declaration,
            up=up,
            to_start=self.to_start,
            holds=standing,
            troubles=self.troubles,
            repeats=self.repeats,
        )


def note_of(state: GroupState, now: float, wall: float) -> str:
    """Return the note of a group, empty when nothing is planned and nothing is wrong.

    `wall` is `now` by the wall clock, which a successor has too. Times are rounded to tenths of a second, so that a
    note does not change by itself.
    """
    held = {unit: trouble for unit, trouble in state.troubles.items() if trouble.holds}
    if not state.holds and not state.to_start and not held and not state.repeats:
        return ""
    holds = {
        unit: {"programs": list(hold.programs), "until": round(wall + hold.until - now, 1)}
        for unit, hold in state.holds.items()
    }
    troubles = {
        unit: {"holds": trouble.holds, "given_up": trouble.given_up, "is_halted": trouble.is_halted}
        for unit, trouble in held.items()
    }
    repeats = {
        program: {
            "cause": each.cause,
            "alike": each.alike,
            "fruitless": each.fruitless,
            "first": round(wall + each.first - now, 1),
            "times": [round(wall + at - now, 1) for at in each.times],
            "gap": each.gap,
            "since": round(wall + each.since - now, 1),
            "is_told": each.is_told,
        }
        for program, each in state.repeats.items()
    }
    told = {"holds": holds, "to_start": list(state.to_start), "troubles": troubles}
    return json.dumps({**told, "repeats": repeats} if repeats else told)


def planned(note: str, now: float, wall: float) -> Plans:
    """Return the plans of a note, none where it cannot be read; the calm that ends a trouble is counted from now."""
    if not note:
        return Plans()
    try:
        found = json.loads(note)
        holds = {
            str(unit): Hold(tuple(map(str, each["programs"])), now + max(0.0, float(each["until"]) - wall))
            for unit, each in found["holds"].items()
        }
        troubles = {
            str(unit): Trouble((), int(each["holds"]), now, str(each["given_up"]), bool(each["is_halted"]))
            for unit, each in found["troubles"].items()
        }
        repeats = {str(program): _repeat(each, now - wall) for program, each in found.get("repeats", {}).items()}
        return Plans(holds, troubles, tuple(map(str, found["to_start"])), repeats)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Plans()


def _repeat(kept: Mapping[str, Any], shift: float) -> RepeatedDeaths:
    return RepeatedDeaths(
        cause=str(kept["cause"]),
        alike=int(kept["alike"]),
        fruitless=int(kept["fruitless"]),
        first=float(kept["first"]) + shift,
        times=tuple(float(at) + shift for at in kept["times"]),
        gap=float(kept["gap"]),
        since=float(kept["since"]) + shift,
        is_told=bool(kept["is_told"]),
    )
