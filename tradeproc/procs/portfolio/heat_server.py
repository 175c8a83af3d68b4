"""Heat on the bus: reports in, questions answered, how portfolios stand told to all; the rules are in `ledger.py`."""

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from tradeproc.bus.codec import Body, Envelope
from tradeproc.bus.node import Deferred, Node
from tradeproc.clock import SECOND, monotonic_ns, wall_ns
from tradeproc.domain.units import Nanos
from tradeproc.domain.wanted import wanted_now
from tradeproc.engine.latched_by import LIMIT
from tradeproc.procs.portfolio import joint_book
from tradeproc.procs.portfolio.joint_rows import NO_ACCOUNTS, AccountLimits, JointRows, scopes_of
from tradeproc.procs.portfolio.ledger import EXPIRES_AFTER, standing, step
from tradeproc.procs.portfolio.ledger_values import (
    BLOCKED,
    ClockTicked,
    Grant,
    HeatAsked,
    HeatReported,
    KnownPortfolio,
    Ledger,
    LedgerEvent,
    LimitReached,
    Membership,
    PortfoliosRead,
    Refuse,
    StandingChanged,
)
from tradeproc.protocol import names, scopes
from tradeproc.protocol.alarms import ALARM, LIMIT_ALARM, PORTFOLIO_ALARMS, Alarm, severity_of
from tradeproc.protocol.heat_messages import (
    ASK_PORTFOLIOS_HEAT,
    HEAT_REPORT,
    PORTFOLIOS_HEAT,
    RESERVE_HEAT,
    HeatGrant,
    HeatQuestion,
    HeatReport,
    PortfoliosHeat,
)
from tradeproc.protocol.scopes import Scope
from tradeproc.store import DatabaseDown, Latch, SessionRow, StatementRefused, Store
from tradeproc.store.writes import latch_write

log = logging.getLogger(__name__)

# so long before an asker stops waiting it gets its answer, with the reason
_AHEAD = SECOND // 2
_MOST_UNWRITTEN = 1000


class HeatServer:
    """One life of the server: it knows nothing of the one before but which blocks it told."""

    def __init__(self, node: Node, store: Store, accounts: Mapping[str, AccountLimits] = NO_ACCOUNTS) -> None:
        self._node, self._store, self._accounts = node, store, accounts
        self._joint_rows = JointRows(store)
        self._told_limits: dict[str, str] = {}
        self._ledger = Ledger(f"{wall_ns():x}-{os.getpid()}")
        self._owed: dict[int, Deferred[HeatGrant]] = {}
        self._keys = self._granted = self._refused = 0
        self._unwritten: list[Callable[[], None]] = []
        self._has_read = False
        self._began_at = monotonic_ns()
        node.handle_timed(RESERVE_HEAT, self._asked)
        node.handle(ASK_PORTFOLIOS_HEAT, lambda _: self.body())
        node.snapshot(PORTFOLIOS_HEAT, self.body)
        node.every(0.25, lambda: self._tell(ClockTicked(wall_ns())))
        node.every(1.0, self._publish)
        node.after(0.0, self._publish)
        node.add_statistics(lambda: {"heat_granted": self._granted, "heat_refused": self._refused})
        node.add_statistics(self._standing_alarms)

    def body(self) -> PortfoliosHeat:
        """Return how all portfolios stand."""
        known, now = self._ledger.portfolios, Nanos(monotonic_ns())
        told = tuple(standing(self._ledger, portfolio, now) for portfolio in (known or {}).values())
        joint = tuple(joint_book.standing(self._ledger, watch, now) for watch in self._ledger.joint.values())
        return PortfoliosHeat(self._ledger.life, told, is_known=known is not None, joint=joint)

    def troubles(self) -> list[str]:
        """Return for people which portfolios refuse entries now, and why."""
        return [
            each.blocked or f"portfolio {each.name}: its heat is unknown: {each.unknown}"
            for each in self.body().portfolios
            if each.blocked or each.unknown
        ]

    def _standing_alarms(self) -> Body:
        """Return the alarms that stand, by which the notifier makes good a message that it missed."""
        if not self._has_read:
            return {}
        return {"alarms": {f"{what}:{portfolio}": detail for (portfolio, what), detail in self._ledger.told.items()}}

    def follow(self, trader: str) -> None:
        """Listen to the reports of a trader."""
        self._node.subscribe(trader, HEAT_REPORT, self._reported)

    def forget(self, trader: str) -> None:
        """Listen to a trader no more."""
        self._node.unsubscribe(trader, HEAT_REPORT)

    def read(
        self, rows: Sequence[SessionRow], alive: Collection[str], latches: Callable[[], Sequence[Latch]]
    ) -> None:
        """Read the portfolios again, and write what could not be written before.

        Args:
            rows: all sessions.
            alive: the processes that had a socket before the rows were read.
            latches: reads all that were ever set.

        Raises:
            DatabaseDown: what was known before goes on counting.
        """
        tables = self._store.portfolios
        portfolios, places = tables.all(), tables.sessions()
        exposed = tables.exposed() if places or self._accounts else set()
        if not self._has_read:
            self._take_over()
        specs = {row.id: row for row in rows}
        found = []
        for portfolio in portfolios:
            members = {
                place.session: Membership(
                    portfolio.spec.group(specs[place.session].spec.root),
                    place.session in exposed or self._may_trade(specs[place.session], alive),
                    place.added_at,
                )
                for place in places
                if place.portfolio == portfolio.name and place.session in specs
            }
            found.append(KnownPortfolio(portfolio.spec, portfolio.created_at, members))
        self._tell(PortfoliosRead(tuple(found)))
        # our own latches are written before the latches are read, so that what the database says is the newest
        self._write()
        sessions = [
            (row, Membership("", row.id in exposed or self._may_trade(row, alive)))
            for row in rows
            if row.spec.account in self._accounts
        ]
        joint = scopes_of(found, self._accounts, sessions)
        if joint or self._ledger.joint:
            self._tell(self._joint_rows.read(joint, latches(), self._ledger))
            self._joint_rows.save(self._ledger, Nanos(monotonic_ns()))
        self._tell_limits()

    def _may_trade(self, row: SessionRow, alive: Collection[str]) -> bool:
        """Tell whether a session should run, or its trader may live: one that was killed leaves its socket behind."""
        reported = self._ledger.reports.get(row.id)
        heard_at = self._began_at if reported is None else reported[1]
        is_alive = names.trader(row.id) in alive and monotonic_ns() - heard_at < EXPIRES_AFTER
        return is_alive or wanted_now(row.spec, row.desired, wall_ns())

    def _take_over(self) -> None:
        """Learn which alarms the life before us left standing, so that their end is told."""
        for row in self._store.alarms(only_standing=True):
            what, _, portfolio = row.name.partition(":")
            if row.session is None and what in PORTFOLIO_ALARMS:
                self._ledger.told[portfolio, what] = row.detail
            elif row.session is None and what == LIMIT_ALARM:
                self._told_limits[portfolio] = row.detail
        self._has_read = True

    def _reported(self, envelope: Envelope[HeatReport]) -> None:
        self._tell(HeatReported(envelope.body))

    def _asked(self, question: HeatQuestion, seconds: float) -> Deferred[HeatGrant]:
        self._keys += 1
        deferred = self._owed[self._keys] = Deferred()
        until = Nanos(monotonic_ns() + max(0, int(seconds * SECOND) - _AHEAD))
        self._tell(HeatAsked(self._keys, question, until))
        return deferred

    def _tell(self, event: LedgerEvent) -> None:
        is_changed = False
        for effect in step(self._ledger, event, Nanos(monotonic_ns())):
            match effect:
                case Grant(key, question):
                    self._granted += 1
                    self._owed.pop(key).answer(HeatGrant(question.life, question.number))
                case Refuse(key, question, reason):
                    self._refused += 1
                    log.info("heat_refused order=%s reason=%s", question.order_id, reason)
                    self._owed.pop(key).refuse(reason)
                case StandingChanged():
                    is_changed = True
                    self._changed(effect)
                case LimitReached(scope, reason, at):
                    is_changed = True
                    self._later(partial(self._latch, Latch(scope, "reducing", LIMIT, reason, at)))
                    self._tell_limits()
        if is_changed:
            self._publish()

    def _publish(self) -> None:
        self._node.publish(PORTFOLIOS_HEAT, self.body())

    # --- rows and alarms

    def _changed(self, change: StandingChanged) -> None:
        """Tell people that a portfolio is warned or blocked, or no more, and keep it as rows."""
        now = wall_ns()
        is_over, name = not change.detail, f"{change.what}:{change.portfolio}"
        log.warning("heat_standing_changed name=%s detail=%s", name, change.detail or "over")
        scope = scopes.of_portfolio(change.portfolio)
        who = names.PORTFOLIO
        self._node.publish(ALARM, Alarm(who, name, scope, severity_of(name), now, change.detail, is_over))
        tables, is_block = self._store.portfolios, change.what == BLOCKED
        # the alarm's row tells the next life what stands, so it is written first, and taken back last
        if is_over:
            if is_block:
                self._later(lambda: tables.end_block(change.portfolio, now))
            self._later(lambda: self._store.clear_alarms(None, name, now))
        else:
            self._later(lambda: self._store.save_alarm(None, name, change.detail, now, who))
            if is_block:
                self._later(lambda: tables.begin_block(change.portfolio, change.detail, now))

    def _tell_limits(self) -> None:
        """Tell people which loss limits are reached, and which are no more because a person has re-armed them."""
        reached = {scope: watch.tripped for scope, watch in self._ledger.joint.items() if watch.tripped}
        for scope in sorted(reached.keys() ^ self._told_limits.keys()):
            now, name, is_over = wall_ns(), f"{LIMIT_ALARM}:{scope}", scope not in reached
            named = Scope(scope)
            remedy = f"scripts/tradectl resume --{named.kind} {named.name} --reason WHY counts from then on"
            detail = "" if is_over else f"{reached[scope]}; exits only, until {remedy}"
            log.warning("joint_limit_changed name=%s detail=%s", name, detail or "over")
            self._node.publish(ALARM, Alarm(names.PORTFOLIO, name, named, severity_of(name), now, detail, is_over))
            if is_over:
                self._told_limits.pop(scope)
                self._later(partial(self._clear, name, now))
            else:
                self._told_limits[scope] = detail
                self._later(partial(self._store.save_alarm, None, name, detail, now, names.PORTFOLIO))

    def _latch(self, latch: Latch) -> None:
        self._store.write(latch_write(latch))

    def _clear(self, alarm: str, at: Nanos) -> None:
        self._store.clear_alarms(None, alarm, at)

    def _later(self, write: Callable[[], None]) -> None:
        """Write with the next reading: an answer that somebody waits for is not held up by the database."""
        if len(self._unwritten) < _MOST_UNWRITTEN:
            self._unwritten.append(write)
        else:
            log.error("heat_row_lost: the database is away for too long")

    def _write(self) -> None:
        while self._unwritten:
            try:
                self._unwritten[0]()
            except DatabaseDown:
                raise
            except StatementRefused:
                log.exception("heat_row_refused")
            self._unwritten.pop(0)
