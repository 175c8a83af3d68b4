"""A latch that the engine set itself, on its way into the database: through the keeper, again until it answers."""

import logging

from tradeproc.bus.node import Answered, NoAnswer, Node, Reply, RequestWasRefused
from tradeproc.engine.effects import KeepLatch

log = logging.getLogger(__name__)

_KEEPER = "core.keeper"
_SECONDS = 5.0
_AGAIN_SECONDS = 5.0
_METHODS = {"reducing": "reduce", "halted": "halt"}


def keep_latch(node: Node, session: int, latch: KeepLatch) -> None:
    """Ask the keeper to set and store a latch of our session; setting one that is set changes nothing."""

    def replied(reply: Reply) -> None:
        match reply:
            case Answered(body):
                log.warning("latch_kept session=%d state=%s kept=%s", session, latch.state, body.get("latch"))
            case RequestWasRefused(why):
                log.error("latch_refused session=%d state=%s reason=%s", session, latch.state, why)
            case NoAnswer(why):
                log.warning("latch_delayed session=%d state=%s reason=%s", session, latch.state, why)
                node.after(_AGAIN_SECONDS, lambda: keep_latch(node, session, latch))

    params = {"session": session, "by": latch.by, "reason": latch.reason}
    node.request(_KEEPER, _METHODS[latch.state], params, seconds=_SECONDS, on_reply=replied)
