"""What a roll asks the outside world: the spread to the next contract, and what is open in the one it has left."""

from collections.abc import Callable

from tradeproc.bus.node import Node, Reply
from tradeproc.domain.answers import Answer, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.candles import Candle
from tradeproc.domain.instruments import Contract, instrument
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import Nanos, Ticks
from tradeproc.engine import events
from tradeproc.engine.events import Event
from tradeproc.market.continuous import compared
from tradeproc.procs.trader.replies import answer_of
from tradeproc.procs.trader.timing import TraderTiming
from tradeproc.protocol import names
from tradeproc.protocol.feed_messages import CandleBody
from tradeproc.protocol.link_messages import HISTORY, NEED, POSITION, HistoryQuestion, Need, PositionQuestion

_BARS = 60


class RollQuestions:
    """Asks the data login for bars of one minute of both contracts, and the account manager for a position."""

    def __init__(
        self, node: Node, spec: SessionSpec, account: str, tell: Callable[[Event], None], timing: TraderTiming
    ) -> None:
        self._node, self._account, self._tell, self._timing = node, account, tell, timing
        self._link, self._contract = names.link(spec.login_of_data), Contract.parse(spec.contract)
        self._instrument, self._minutes = instrument(spec.root), spec.minutes

    def ask_spread(self, number: int, next_contract: str) -> None:
        """Ask for the newest bars of both contracts, one after the other; `SpreadAnswered` is told once."""
        self._need(Contract.parse(next_contract))

        def old_told(old: tuple[Candle, ...]) -> None:
            self._ask_bars(number, Contract.parse(next_contract), lambda new: self._compare(number, old, new))

        self._ask_bars(number, self._contract, old_told)

    def _need(self, contract: Contract) -> None:
        """Have the next contract's feed started now, so that the life after this one finds it running."""
        need = Need("bars", self._node.name, contract=contract, minutes=self._minutes)
        self._node.request(self._link, NEED, need, seconds=self._timing.again, on_reply=lambda _: None)

    def _ask_bars(self, number: int, contract: Contract, then: Callable[[tuple[Candle, ...]], None]) -> None:
        def replied(reply: Reply[Answer[tuple[CandleBody, ...]]]) -> None:
            answer = answer_of(reply)
            if isinstance(answer, Unknown):
                self._say(number, reason=f"bars of {contract}: {answer.reason}")
            else:
                then(tuple(each.candle for each in answer.value))

        question = HistoryQuestion(contract, 1, _BARS)
        self._node.request(self._link, HISTORY, question, seconds=self._timing.history, on_reply=replied)

    def _compare(self, number: int, old: tuple[Candle, ...], new: tuple[Candle, ...]) -> None:
        found = compared(old, new)
        if found is None:
            self._say(number, reason="in none of the last 15 minutes both contracts traded")
            return
        prices = [self._instrument.nearest(bar.close) for bar in found]
        self._say(number, Ticks(prices[1] - prices[0]), prices[0], found[0].closed_at)

    def _say(
        self,
        number: int,
        spread: Ticks | None = None,
        price: Ticks | None = None,
        market_at: Nanos = Nanos(0),  # noqa: B008 - a number
        reason: str = "",
    ) -> None:
        self._tell(events.SpreadAnswered(number, spread, price, market_at, reason))

    def ask_position(self, number: int, contract: str) -> None:
        """Ask for the position in a contract; `OldPositionAnswered` is told once."""

        def replied(reply: Reply[Answer[Position]]) -> None:
            answer = answer_of(reply)
            if isinstance(answer, Unknown):
                self._tell(events.OldPositionAnswered(number, None, answer.reason))
            else:
                self._tell(events.OldPositionAnswered(number, answer.value.quantity))

        question = PositionQuestion(Contract.parse(contract))
        self._node.request(self._account, POSITION, question, seconds=self._timing.question, on_reply=replied)
