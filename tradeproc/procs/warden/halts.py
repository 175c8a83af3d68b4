"""Halting the entries of sessions whose group was given up: through the keeper, again and again until it answers."""

import logging
from collections.abc import Callable, Mapping

from tradeproc.bus.node import Answered, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.procs.keeper.unstored import UNSTORED
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.names import GroupName
from tradeproc.protocol.session_messages import SESSIONS, SessionsBody
from tradeproc.protocol.switch_messages import SWITCHES, SwitchThrown, ThrowSwitch
from tradeproc.supervision.halted_by import BY_WARDEN

log = logging.getLogger(__name__)

_SECONDS = 5.0
_AGAIN_SECONDS = 5.0


class Halts:
    """Asks the keeper to halt sessions; halting one that is halted changes nothing."""

    def __init__(self, node: Node, settled: Callable[[str], None]) -> None:
        """Keep whom to tell.

        Args:
            node: asks the keeper.
            settled: gets the group when the keeper has answered for each of its sessions.
        """
        self._node, self._settled = node, settled
        self._open: dict[str, set[int]] = {}

    def halt_group(self, group: str, reason: str, by: str = BY_WARDEN) -> None:
        """Halt the sessions that a group serves; the core serves none by itself.

        A session's group serves itself, a login's group those that order or take their bars through it.
        """
        name = GroupName(group)
        if name.session is not None:
            self._halt_all(group, {name.session: reason}, by)
        elif name.login is not None:
            self._halt_login(group, name.login, reason)

    def _halt_login(self, group: str, login: str, reason: str) -> None:
        def replied(reply: Reply[SessionsBody]) -> None:
            match reply:
                case Answered(body):
                    running = [row for row in body.sessions if row.desired == "running"]
                    of_data = f"{reason}; {login} is the session's data login, so it gets no bars"
                    reasons = {row.id: of_data for row in running if row.spec.get("data_login") == login}
                    reasons |= {row.id: reason for row in running if row.spec.get("login") == login}
                    self._halt_all(group, reasons)
                case NoAnswer(why) | RequestWasRefused(why):
                    log.warning("halt_delayed login=%s reason=%s", login, why)
                    self._node.after(_AGAIN_SECONDS, lambda: self._halt_login(group, login, reason))

        self._node.request(names.KEEPER, SESSIONS, NoBody(), seconds=_SECONDS, on_reply=replied)

    def _halt_all(self, group: str, reasons: Mapping[int, str], by: str = BY_WARDEN) -> None:
        self._open[group] = self._open.get(group, set()) | set(reasons)
        for session, reason in reasons.items():
            self._halt(group, session, reason, by)
        self._settle(group)

    def _halt(self, group: str, session: int, reason: str, by: str) -> None:
        def replied(reply: Reply[SwitchThrown]) -> None:
            match reply:
                case Answered(thrown) if thrown.latch == UNSTORED:
                    log.warning("halt_unstored session=%d: the traders know, a restart would forget it", session)
                    self._node.after(_AGAIN_SECONDS, lambda: self._halt(group, session, reason, by))
                    return
                case Answered():
                    log.warning("entries_halted session=%d reason=%s", session, reason)
                case RequestWasRefused(why):
                    log.error("halt_refused session=%d reason=%s", session, why)
                case NoAnswer(why):
                    log.warning("halt_delayed session=%d reason=%s", session, why)
                    self._node.after(_AGAIN_SECONDS, lambda: self._halt(group, session, reason, by))
                    return
            self._open[group].discard(session)
            self._settle(group)

        thrown = ThrowSwitch(session=session, by=by, reason=reason)
        self._node.request(names.KEEPER, SWITCHES["halt"], thrown, seconds=_SECONDS, on_reply=replied)

    def _settle(self, group: str) -> None:
        if not self._open[group]:
            self._settled(group)
