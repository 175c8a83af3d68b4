"""A person says that a divergence or an alarm was seen: kept in the database, or not done at all."""

import logging

from tradeproc.bus.node import Node
from tradeproc.clock import wall_ns
from tradeproc.domain.texts import is_storable
from tradeproc.procs.keeper.lists import BadQuestion, number
from tradeproc.protocol.book_messages import ACKNOWLEDGE, Acknowledge, Acknowledged, SeenAlarm, SeenDivergence
from tradeproc.store import Store

log = logging.getLogger(__name__)

_KINDS = ("divergences", "alarms")


def register_acknowledge(node: Node, store: Store) -> None:
    """Serve `acknowledge`: the answer lists the rows that were noted, when the database has them.

    While the database is away there is no answer, and nothing is noted.
    """
    node.handle(ACKNOWLEDGE, lambda asked: _acknowledge(store, asked))


def _acknowledge(store: Store, asked: Acknowledge) -> Acknowledged:
    session = None if asked.session is None else number(asked.session, "session")
    by, reason = _word(asked.by, "by"), _word(asked.reason, "reason")
    if asked.host and session is not None:
        raise BadQuestion("host: stands beside a session; name one of the two")
    now, what = wall_ns(), asked.what
    divergences: tuple[SeenDivergence, ...] = ()
    alarms: tuple[SeenAlarm, ...] = ()
    if what in ("", "divergences") and not asked.host:
        rows = store.acknowledge_divergences(session, by, reason, now)
        divergences = tuple(SeenDivergence(**row) for row in rows)
        _note("divergences", len(rows), by, reason)
    if what != "divergences":
        name = None if what in ("", *_KINDS) else what
        everywhere = session is None and not asked.host
        rows = store.acknowledge_alarms(session, name, by, reason, now, everywhere=everywhere)
        alarms = tuple(SeenAlarm(**row) for row in rows)
        _note("alarms", len(rows), by, reason)
    return Acknowledged(divergences, alarms)


def _note(kind: str, rows: int, by: str, reason: str) -> None:
    log.info("acknowledged kind=%s rows=%d by=%s reason=%s", kind, rows, by, reason)


def _word(value: str, key: str) -> str:
    if not value.strip() or not is_storable(value):
        raise BadQuestion(f"{key}: expected a text that can be kept, found {value!r}")
    return value.strip()
