"""Halting the entries of sessions whose group was given up: through the keeper, again and again until it answers."""

import logging

from tradeproc.bus.node import Answered, NoAnswer, Node, Reply, RequestWasRefused

log = logging.getLogger(__name__)

_KEEPER = "core.keeper"
_SECONDS = 5.0
_AGAIN_SECONDS = 5.0


class Halts:
    """Asks the keeper to halt sessions."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def halt_group(self, group: str, reason: str) -> None:
        """Halt the sessions that a group serves: its own, or those of its login; the core serves none by itself."""
        kind, _, which = group.partition("-")
        if kind == "session":
            self._halt(int(which), reason)
        elif kind == "link":
            self._halt_login(which, reason)

    def _halt_login(self, login: str, reason: str) -> None:
        def replied(reply: Reply) -> None:
            match reply:
                case Answered(body):
                    for row in body["sessions"]:
                        if row["spec"]["login"] == login and row["desired"] == "running":
                            self._halt(int(row["id"]), reason)
                case NoAnswer(why) | RequestWasRefused(why):
                    log.warning("halt_delayed login=%s reason=%s", login, why)
                    self._node.after(_AGAIN_SECONDS, lambda: self._halt_login(login, reason))

        self._node.request(_KEEPER, "sessions", {}, seconds=_SECONDS, on_reply=replied)

    def _halt(self, session: int, reason: str) -> None:
        def replied(reply: Reply) -> None:
            match reply:
                case Answered():
                    log.warning("entries_halted session=%d reason=%s", session, reason)
                case RequestWasRefused(why):
                    log.error("halt_refused session=%d reason=%s", session, why)
                case NoAnswer(why):
                    log.warning("halt_delayed session=%d reason=%s", session, why)
                    self._node.after(_AGAIN_SECONDS, lambda: self._halt(session, reason))

        params = {"session": session, "by": "warden", "reason": reason}
        self._node.request(_KEEPER, "halt", params, seconds=_SECONDS, on_reply=replied)
