"""A person says that a divergence or an alarm was seen: kept in the database, or not done at all."""

import logging

from tradeproc.bus.codec import Body
from tradeproc.bus.node import Node
from tradeproc.clock import wall_ns
from tradeproc.domain.texts import is_storable
from tradeproc.procs.keeper.lists import BadQuestion, number
from tradeproc.store import Store

log = logging.getLogger(__name__)

_KINDS = ("divergences", "alarms")


def register_acknowledge(node: Node, store: Store) -> None:
    """Serve `acknowledge {session?, host?, what?, by, reason}`; without session and host it is about all.

    `what` is "divergences", "alarms" or the name of an alarm; both kinds without it. The answer lists the rows that
    were noted, when the database has them; one that is away makes it no answer, and nothing is noted.
    """
    node.handle("acknowledge", lambda body: _acknowledge(store, body))


def _acknowledge(store: Store, body: Body) -> Body:
    session = None if body.get("session") is None else number(body["session"], "session")
    is_host, what = body.get("host") is True, str(body.get("what") or "")
    by, reason = _word(body, "by"), _word(body, "reason")
    if is_host and session is not None:
        raise BadQuestion("host: stands beside a session; name one of the two")
    now, told = wall_ns(), Body()
    if what in ("", "divergences") and not is_host:
        told["divergences"] = store.acknowledge_divergences(session, by, reason, now)
    if what != "divergences":
        name = None if what in ("", *_KINDS) else what
        everywhere = session is None and not is_host
        told["alarms"] = store.acknowledge_alarms(session, name, by, reason, now, everywhere=everywhere)
    for kind, rows in told.items():
        log.info("acknowledged kind=%s rows=%d by=%s reason=%s", kind, len(rows), by, reason)
    return {"divergences": [], "alarms": [], **told}


def _word(body: Body, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value.strip() or not is_storable(value):
        raise BadQuestion(f"{key}: expected a text that can be kept, found {value!r}")
    return value.strip()
