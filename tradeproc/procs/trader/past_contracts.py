"""History over rolls: what the session's contract lacks is fetched from those that it has left, and adjusted."""

import logging
from collections.abc import Callable, Sequence

from tradeproc.bus.node import Node, Reply
from tradeproc.domain.answers import Answer, Unknown
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import Contract, instrument
from tradeproc.domain.roll_steps import Roll, RollStep
from tradeproc.domain.session import SessionSpec
from tradeproc.market.continuous import Join, joined
from tradeproc.procs.trader.replies import answer_of
from tradeproc.procs.trader.timing import TraderTiming
from tradeproc.protocol import names
from tradeproc.protocol.feed_messages import CandleBody
from tradeproc.protocol.link_messages import HISTORY, MOST_CANDLES, HistoryQuestion

log = logging.getLogger(__name__)

_TRIES = 3
_MOST_CONTRACTS = 6

Candles = Sequence[Candle]


class PastContracts:
    """The contracts that a session has left by rolls whose spread is known, newest first, and their bars."""

    def __init__(self, node: Node, spec: SessionSpec, rolls: Sequence[Roll], timing: TraderTiming) -> None:
        self._node, self._spec, self._timing = node, spec, timing
        self._link = names.link(spec.login_of_data)
        self._past = list(past_of(spec, rolls))

    def complete(self, own: Candles, count: int, then: Callable[[tuple[Candle, ...]], None]) -> None:
        """Call `then` with at least `count` bars where the past has them: at once, or when they have come.

        A contract whose bars nobody tells, as one that has ended may be, ends the history there.
        """
        self._go_back([own], count, then, _TRIES)

    def _go_back(
        self, pieces: list[Candles], count: int, then: Callable[[tuple[Candle, ...]], None], tries: int
    ) -> None:
        """Take the pieces, newest contract first, and ask for one more while bars are missing."""
        have = self._join(pieces)
        if len(have) >= count or len(pieces) > len(self._past):
            then(tuple(have))
            return
        contract, join = self._past[len(pieces) - 1]
        # the old contract may trade still: its newest bars are as many more as came since the roll
        since = sum(bar.opened_at >= join.at for bar in have)
        question = HistoryQuestion(contract, self._spec.minutes, min(count + since, MOST_CANDLES))

        def replied(reply: Reply[Answer[tuple[CandleBody, ...]]]) -> None:
            answer = answer_of(reply)
            if not isinstance(answer, Unknown):
                self._go_back([*pieces, [each.candle for each in answer.value]], count, then, _TRIES)
            elif tries > 1:
                self._node.after(self._timing.again, lambda: self._go_back(pieces, count, then, tries - 1))
            else:
                log.warning("past_contract_unknown contract=%s reason=%s", contract, answer.reason)
                then(tuple(have))

        self._node.request(self._link, HISTORY, question, seconds=self._timing.history, on_reply=replied)

    def _join(self, pieces: Sequence[Candles]) -> list[Candle]:
        """Return the pieces as one history in the prices of the newest contract."""
        have = list(pieces[-1])
        for piece, (_, join) in reversed(list(zip(pieces[:-1], self._past, strict=False))):
            have = joined(have, piece, join, self._spec.roll.back_adjust)
        return have


def past_of(spec: SessionSpec, rolls: Sequence[Roll]) -> list[tuple[Contract, Join]]:
    """Return the contracts that led into the session's, newest first, each with where it was left."""
    found: list[tuple[Contract, Join]] = []
    contract, price = spec.contract, instrument(spec.root).price
    for roll in reversed(rolls):
        has_left = roll.step not in (RollStep.CLOSING, RollStep.FLAT)
        if roll.next_contract != contract or not has_left or len(found) == _MOST_CONTRACTS:
            continue
        if roll.spread is None or roll.price is None:
            break
        old = float(price(roll.price))
        found.append(
            (Contract.parse(roll.contract), Join(roll.market_at, old, float(price(roll.price + roll.spread))))
        )
        contract = roll.contract
    return found
