"""Compares the broker's terms of a contract with our table: with a wrong tick size every price would be wrong.

The question is repeated until it is answered, once in each life of a trader. History is fetched only after that, so
that nothing is entered before. The login that takes the orders is asked, because an order is priced and settled by
its terms. Only where its link refuses the question, because its broker declares that it does not know contracts, the
data login is asked instead.
"""

import logging
from collections.abc import Callable, Sequence

from tradeproc.bus.node import Node, Reply, RequestWasRefused
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.broker_orders import ContractDetails
from tradeproc.domain.instruments import Contract, Instrument
from tradeproc.errors import Halt
from tradeproc.procs.trader.replies import answer_of
from tradeproc.procs.trader.timing import USUAL, TraderTiming
from tradeproc.protocol.link_messages import CONTRACT_DETAILS, OfContract

log = logging.getLogger(__name__)


class TermsDiffer(Halt):
    """The broker's contract is not the one of our table; caught by the entry point."""

    def __init__(self, contract: str, differences: str) -> None:
        super().__init__(
            f"{contract} is not what tradeproc/domain/instruments.py says: {differences}; one of the two is wrong, "
            "and every price and profit with it"
        )


class Terms:
    """The question and its answer; `then` is called once, when the broker's terms are ours.

    `links` are asked in this order: the next one only when the one before refuses to answer.
    """

    def __init__(
        self,
        node: Node,
        links: Sequence[str],
        contract: str,
        instrument: Instrument,
        then: Callable[[], None],
        timing: TraderTiming = USUAL,
    ) -> None:
        self._node, self._links, self._contract, self._instrument, self._then = (
            node,
            links,
            contract,
            instrument,
            then,
        )
        self._timing = timing
        self.is_checked = False
        self.waiting = f"the broker's terms of {contract}"

    def ask(self) -> None:
        """Ask the links, again and again until one knows."""
        self._ask(self._links)

    def _ask(self, links: Sequence[str]) -> None:
        link, *others = links
        self._node.request(
            link,
            CONTRACT_DETAILS,
            OfContract(Contract.parse(self._contract)),
            seconds=self._timing.terms,
            on_reply=lambda reply: self._answered(reply, others),
        )

    def _answered(self, reply: Reply[Answer[ContractDetails]], others: Sequence[str]) -> None:
        if isinstance(reply, RequestWasRefused) and others:
            self._ask(others)
            return
        match answer_of(reply):
            case Known(details):
                if told := differences(details, self._instrument):
                    raise TermsDiffer(self._contract, told)
                self.is_checked = True
                self._then()
            case Unknown(reason):
                self.waiting = f"the broker's terms of {self._contract}: {reason}"
                # a link that refuses says the same every time, but another one may come with an upgrade
                level = logging.ERROR if isinstance(reply, RequestWasRefused) else logging.WARNING
                log.log(level, "terms_unknown contract=%s reason=%s", self._contract, reason)
                self._node.after(self._timing.terms_again, self.ask)


def differences(details: ContractDetails, instrument: Instrument) -> str:
    """Return in one line where the broker's terms are not those of our table; empty when they are."""
    pairs = (
        ("tick size", details.tick_size, instrument.tick_size),
        ("value of a point", details.point_value, instrument.point_value),
        ("currency", details.currency, instrument.currency),
    )
    return ", ".join(f"{name} {ours}, the broker says {theirs}" for name, theirs, ours in pairs if theirs != ours)
