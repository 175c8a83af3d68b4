"""Rules of the health check about what must run: the desk's own programs, and all that a session needs."""

from collections.abc import Iterator, Mapping

from tradeproc.config import HealthConfig
from tradeproc.desk.exit_status import supervisorctl
from tradeproc.desk.health_problems import Level, Problem
from tradeproc.desk.observations import Observations, ProgramSeen, SessionSeen
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.units import SECOND
from tradeproc.errors import EXIT_DONE, EXIT_HALT
from tradeproc.protocol import names

_START_SECONDS = 20


def programs(seen: Observations, _thresholds: HealthConfig, _now: int) -> Iterator[Problem]:
    """Tell what supervisord could not keep up, and which of the desk's own programs is down."""
    for program in _programs(seen).values():
        yield from _program(program, seen)


def _program(program: ProgramSeen, seen: Observations) -> Iterator[Problem]:
    name, detail = program.name, f" ({program.detail})" if program.detail else ""
    start = supervisorctl("start", name)
    match program.state:
        case "RUNNING" | "STARTING" | "STOPPING":
            return
        case "STOPPED" | "EXITED" if is_quietly_down(program):
            if names.process_at_supervisord(name).group in names.OWN_GROUPS and name not in seen.idle:
                yield Problem(Level.CRITICAL, name, f"{_how(program)}, and must run; {start}")
        case "EXITED" if program.exit_status == EXIT_HALT:
            text = f"stopped itself; only a person can mend what its log in run/log says{detail}, then {start}"
            yield Problem(Level.CRITICAL, name, text)
        case "BACKOFF":
            yield Problem(Level.WARNING, name, f"fails at start and is tried again; see run/log{detail}")
        case "FATAL" | "EXITED":
            text = f"gave up; mend what its log in run/log says{detail}, then {start}"
            yield Problem(Level.CRITICAL, name, text)
        case _:
            yield Problem(Level.UNKNOWN, name, f"in state {program.state}{detail}")


def sessions(seen: Observations, _thresholds: HealthConfig, now: int) -> Iterator[Problem]:
    """Tell which sessions do not run although they should, and whose account, trader or link is down alone."""
    match seen.sessions:
        case Unknown(reason):
            if seen.tells(reason):
                yield Problem(Level.UNKNOWN, "sessions", reason)
        case Known(_):
            users: dict[str, list[str]] = {}
            for each in due(seen):
                coming = _coming(each, seen) if now - each.since <= _START_SECONDS * SECOND else frozenset()
                own = _own(each)
                if all(_is_down(seen, name) for name in own):
                    if not coming & set(own):
                        yield from _session(each, seen)
                    continue
                for name in (*own, *_links(each)):
                    if name not in coming:
                        users.setdefault(name, []).append(each.name)
            for name, needing in users.items():
                yield from _needed(name, needing, seen)


def _coming(session: SessionSeen, seen: Observations) -> frozenset[str]:
    """Return what the keeper is about to add, or to start: a link that ended because nobody needed it."""
    programs = _programs(seen)
    missing = {name for name in (*_own(session), *_links(session)) if name not in programs}
    links = [programs[name] for name in _links(session) if name in programs]
    return frozenset(missing | {link.name for link in links if link.state == "EXITED"})


def _session(session: SessionSeen, seen: Observations) -> Iterator[Problem]:
    own = [_programs(seen).get(name) for name in _own(session)]
    if any(program is not None and not is_quietly_down(program) for program in own):
        # this is reported by a rule of its own
        return
    way = (
        supervisorctl("start", names.session_group(session.id).all_at_supervisord)
        if all(own)
        else supervisorctl("restart", names.KEEPER.at_supervisord)
    )
    text = f"{session.name} should run and does not; {way} or scripts/tradectl session stop {session.id}"
    yield Problem(Level.CRITICAL, f"session {session.id}", text)


def _needed(name: str, users: list[str], seen: Observations) -> Iterator[Problem]:
    program = _programs(seen).get(name)
    who = f"needed by session {', '.join(users)}"
    if program is None:
        text = (
            f"supervisord does not have it, and it is {who}; {supervisorctl('restart', names.KEEPER.at_supervisord)}"
        )
        yield Problem(Level.CRITICAL, name, text)
    elif is_quietly_down(program):
        yield Problem(Level.CRITICAL, name, f"{_how(program)}, and {who}; {supervisorctl('start', name)}")


def is_quietly_down(program: ProgramSeen) -> bool:
    """Tell whether a program is down for good without a failure: for supervisord it was stopped, or is done."""
    return program.state == "STOPPED" or (program.state == "EXITED" and program.exit_status == EXIT_DONE)


def due(seen: Observations) -> tuple[SessionSeen, ...]:
    """Return the sessions that should run now."""
    return seen.sessions.value if isinstance(seen.sessions, Known) else ()


def needs(session: SessionSeen) -> frozenset[str]:
    """Return the processes without which a session cannot trade."""
    return frozenset(names.process_at_supervisord(name) for name in (*_own(session), *_links(session)))


def _own(session: SessionSeen) -> tuple[str, str]:
    return names.account(session.id).at_supervisord, names.trader(session.id).at_supervisord


def _links(session: SessionSeen) -> tuple[str, ...]:
    logins = dict.fromkeys((session.login, session.data_login or session.login))
    return tuple(names.link(login).at_supervisord for login in logins)


def _programs(seen: Observations) -> Mapping[str, ProgramSeen]:
    return {each.name: each for each in seen.programs.value} if isinstance(seen.programs, Known) else {}


def _is_down(seen: Observations, name: str) -> bool:
    program = _programs(seen).get(name)
    return program is None or program.state in ("STOPPED", "EXITED", "FATAL")


def _how(program: ProgramSeen) -> str:
    return "stopped" if program.state == "STOPPED" else "ended"
