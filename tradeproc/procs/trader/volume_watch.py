"""Asks once a market day what a session's contract and the next one traded, for sessions that roll by volume.

The question goes through the data login's link, as that for history does. What is told is a row, so that a
crossing counts over restarts and `tradectl roll --list` shows it. While nobody tells the volumes the rule of days
decides alone, and `problem` says so.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Protocol

from tradeproc.bus.node import Node, Reply
from tradeproc.clock import wall_ns
from tradeproc.domain.answers import Answer, Unknown
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import Contract
from tradeproc.domain.market_hours import market_hours
from tradeproc.domain.roll_rules import RollMode, RollRule, next_contract
from tradeproc.domain.roll_volumes import (
    BAR_MINUTES,
    MOST_BARS,
    RollVolume,
    crossed_on,
    newest_day,
    volumes_by_day,
)
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import Nanos
from tradeproc.procs.trader.replies import answer_of
from tradeproc.procs.trader.timing import TraderTiming
from tradeproc.protocol import names
from tradeproc.protocol.feed_messages import CandleBody
from tradeproc.protocol.link_messages import HISTORY, HistoryQuestion

log = logging.getLogger(__name__)


class KeepsVolumes(Protocol):
    """What is needed of the trader's audit trail."""

    timing: TraderTiming

    def save_roll_volume(self, volume: RollVolume) -> None:
        """Keep what two contracts traded on a day."""
        ...


class VolumeWatch:
    """Knows whether the next contract of a session has traded more, and has what was told kept."""

    def __init__(
        self,
        node: Node,
        session: int,
        spec: SessionSpec,
        known: Sequence[RollVolume],
        audit: KeepsVolumes,
    ) -> None:
        self._node, self._session, self._audit = node, session, audit
        self._link, self._hours = names.link(spec.login_of_data), market_hours(spec.calendar)
        self._own = Contract.parse(spec.contract)
        self._next = next_contract(self._own)
        self._is_wanted = spec.roll.rule is RollRule.VOLUME and spec.roll.mode is not RollMode.OFF
        self._volumes = list(known)
        self._is_asking = False
        self._asked: date | None = None
        self.problem = ""

    @property
    def crossed(self) -> date | None:
        """Return the first day on which the next contract traded more, None where there is none."""
        return crossed_on(self._volumes, self._own.code, self._next.code) if self._is_wanted else None

    def look(self, market_at: Nanos) -> None:
        """Ask where a market day is over that was not asked about; the market time is known."""
        day = newest_day(self._hours, market_at) if self._is_wanted else None
        if day is None or self._is_asking or day == self._asked or self.crossed is not None:
            return
        self._is_asking = True
        self._ask(self._own, lambda own: self._ask(self._next, partial(self._compare, market_at, day, own)))

    def _ask(self, contract: Contract, then: Callable[[tuple[Candle, ...]], None]) -> None:
        def replied(reply: Reply[Answer[tuple[CandleBody, ...]]]) -> None:
            answer = answer_of(reply)
            if isinstance(answer, Unknown):
                self._failed(f"bars of {contract}: {answer.reason}")
            else:
                then(tuple(each.candle for each in answer.value))

        question = HistoryQuestion(contract, BAR_MINUTES, MOST_BARS)
        self._node.request(self._link, HISTORY, question, seconds=self._audit.timing.history, on_reply=replied)

    def _compare(self, market_at: Nanos, day: date, own: tuple[Candle, ...], following: tuple[Candle, ...]) -> None:
        found = volumes_by_day(self._hours, market_at, own, following)
        if not found or found[-1][0] != day:
            self._failed(f"no bars of both contracts for the whole of {day}")
            return
        self._is_asking, self._asked, self.problem = False, day, ""
        known = {(each.contract, each.next_contract, each.day) for each in self._volumes}
        for each, volume, next_volume in found:
            row = RollVolume(
                self._session, self._own.code, self._next.code, str(each), volume, next_volume, wall_ns()
            )
            if (row.contract, row.next_contract, row.day) not in known:
                self._volumes.append(row)
                self._audit.save_roll_volume(row)

    def _failed(self, reason: str) -> None:
        if not self.problem:
            log.warning("roll_volumes_unknown session=%d reason=%s", self._session, reason)
        self.problem = f"volumes are unknown ({reason}), so the rule of days decides alone"
        self._node.after(self._audit.timing.volumes_again, self._may_ask)

    def _may_ask(self) -> None:
        self._is_asking = False
