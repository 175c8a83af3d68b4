"""A latch of the login that this trader's engine has set, on its way to the other sessions of the login.

Each trader that runs is told straight away, without keeper or database; those that need other logins say so. The row
is in the database, or in our journal; others also read it there every 5 s and at their start. While the database is
away the keeper is asked as well: its file of latches is what a trader that starts meanwhile reads. It is asked again
until it has answered or the database has the row.
"""

import logging
from functools import partial

from tradeproc.bus.node import Answered, Node, Reply
from tradeproc.engine.effects import KeepLatch
from tradeproc.engine.events import TradingState
from tradeproc.procs.trader.audit_trail import AuditTrail
from tradeproc.protocol import names
from tradeproc.protocol.scopes import Scope
from tradeproc.protocol.switch_messages import LOGIN_SWITCHES, SwitchThrown, ThrowLoginSwitch
from tradeproc.protocol.trader_messages import HALT, REDUCE, Switch, TradingStateNow

log = logging.getLogger(__name__)

_TRADER_SECONDS = 4.0
_KEEPER_SECONDS = 8.0


class LoginLatch:
    """Tells others of latches that are not only for the own session."""

    def __init__(self, node: Node, audit: AuditTrail) -> None:
        self._node, self._audit = node, audit

    def tell(self, latch: KeepLatch) -> None:
        """Tell every other trader of this host, and the keeper while the database is away."""
        scope = Scope(latch.scope)
        if scope.login is None:
            return
        method = HALT if latch.state is TradingState.HALTED else REDUCE
        switch = Switch(latch.by, latch.reason, scope)
        for process in self._node.directory.processes():
            if process.trader_of is not None and process != self._node.name:
                heard = partial(self._heard, process)
                self._node.request(process, method, switch, seconds=_TRADER_SECONDS, on_reply=heard)
        self._ask_keeper(latch)

    def _heard(self, process: str, reply: Reply[TradingStateNow]) -> None:
        if not isinstance(reply, Answered):
            log.warning("latch_unheard process=%s reason=%s: it reads the latch within 5 s", process, reply.reason)

    def _ask_keeper(self, latch: KeepLatch) -> None:
        if self._audit.is_up:
            return  # the row is there, or the replay of the journal has brought it
        method = LOGIN_SWITCHES["halt" if latch.state is TradingState.HALTED else "reduce"]
        wanted = ThrowLoginSwitch(Scope(latch.scope).name, latch.by, latch.reason)

        def replied(reply: Reply[SwitchThrown]) -> None:
            if not isinstance(reply, Answered):
                log.warning("latch_unkept scope=%s reason=%s", latch.scope, reply.reason)
                self._node.after(self._audit.timing.again, lambda: self._ask_keeper(latch))

        self._node.request(names.KEEPER, method, wanted, seconds=_KEEPER_SECONDS, on_reply=replied)
