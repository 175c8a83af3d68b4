"""What is checked before a session is created, away from the keeper's loop: strategy, brokers, account and bars.

Strategy and brokers are code of others, so they are loaded in a process of their own. The account is looked up in the
list that the broker gave before, else the login's link is asked. Where the data login is another one, its link is
asked for bars of the contract. Without an answer account or bars stay unchecked, and the session is not refused.
"""

import difflib
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.node import Node
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.broker_orders import BrokerAccount
from tradeproc.domain.frozen import dataclass
from tradeproc.domain.instruments import Contract
from tradeproc.domain.session import SessionSpec
from tradeproc.errors import EXIT_DONE, EXIT_HALT, Outage, Refusal
from tradeproc.home import Home
from tradeproc.protocol import names
from tradeproc.protocol.definitions import Method
from tradeproc.protocol.link_messages import ACCOUNTS, HISTORY, HistoryQuestion, OfAccount
from tradeproc.supervision.groups_shell import GroupsShell

log = logging.getLogger(__name__)

_STRATEGY_SECONDS = 20.0
_PAUSE = 0.2
_LONGEST = 200
# how many bars are asked for to see whether there are any
_BARS = 2

Q = TypeVar("Q")
T = TypeVar("T")


class BadSpecification(Refusal):
    """A session that could not run as specified; answered as refused, in one line."""


@dataclass(frozen=True, slots=True)
class Venue:
    """What a session trades, and where: the keys of the brokers that take its orders and serve its bars."""

    root: str
    broker: str
    data_broker: str


class CheckResult:
    """How a check ended: `refusal` is empty when the session may be created."""

    def __init__(self, refusal: str = "", unchecked: str = "", accounts: Sequence[BrokerAccount] = ()) -> None:
        self.refusal, self.unchecked, self.accounts = refusal, unchecked, accounts


class Checks:
    """Runs checks one after the other on a thread; the verdict comes back on the loop's thread."""

    def __init__(self, node: Node, home: Home, groups: GroupsShell, *, link_seconds: float = 3.0) -> None:
        self._node, self._home, self._groups, self._link_seconds = node, home, groups, link_seconds
        self._lane = ThreadPoolExecutor(1, "checks")

    def check(
        self,
        spec: SessionSpec,
        market: Venue,
        known: Sequence[BrokerAccount],
        seconds_left: Callable[[], float],
        then: Callable[[CheckResult], None],
    ) -> None:
        """Check a specification and call `then` once.

        Args:
            spec: what was asked for.
            market: what it trades, and at which brokers.
            known: the accounts of its login as the broker last listed them; empty when it never did.
            seconds_left: how long the one who asked still waits; the verdict comes before that.
            then: gets the verdict, in the node's loop.
        """

        def run() -> None:
            try:
                verdict = self._check(spec, market, known, seconds_left)
            except Refusal as refusal:
                verdict = CheckResult(refusal=str(refusal))
            except Exception as error:
                log.exception("check_failed session=%s", spec.name)
                verdict = CheckResult(refusal=f"could not be checked: {type(error).__name__}: {error}")
            self._node.post(lambda: then(verdict))

        self._lane.submit(run)

    def close(self) -> None:
        """Begin nothing more."""
        self._lane.shutdown(wait=False, cancel_futures=True)

    def _check(
        self, spec: SessionSpec, market: Venue, known: Sequence[BrokerAccount], seconds_left: Callable[[], float]
    ) -> CheckResult:
        if (left := seconds_left()) <= 0:
            raise BadSpecification("no time was left to check it, because other checks took so long; try again")
        seconds = min(_STRATEGY_SECONDS, left)
        try_strategy(spec.strategy, self._home.root, spec.arguments, market, seconds=seconds)
        # half of the time is left for the second question, should the link of the first one not answer
        unchecked = [] if spec.login_of_data == spec.login else self._check_bars(spec, seconds_left() / 2)
        if any(account.id == spec.account and account.is_tradable for account in known):
            return CheckResult(unchecked="; ".join(unchecked))
        match self._ask(spec.login, ACCOUNTS, OfAccount(), seconds_left()):
            case Known(accounts):
                _check_account(spec, accounts)
                return CheckResult(unchecked="; ".join(unchecked), accounts=accounts)
            case Unknown(reason):
                log.warning("account_unchecked account=%s login=%s reason=%s", spec.account, spec.login, reason)
                unchecked.append(f"account {spec.account} could not be checked: {reason}")
                return CheckResult(unchecked="; ".join(unchecked))

    def _check_bars(self, spec: SessionSpec, seconds: float) -> list[str]:
        """Return what could not be found out about the bars of a data login that is not the login for orders.

        Raises:
            BadSpecification: the data login confirms that it has none.
        """
        bars = HistoryQuestion(contract=Contract.parse(spec.contract), minutes=spec.minutes, count=_BARS)
        what = f"{spec.contract} bars of {spec.minutes} minutes"
        match self._ask(spec.login_of_data, HISTORY, bars, seconds):
            case Known(()):
                raise BadSpecification(f"data_login {spec.login_of_data!r} has no {what}; name another data_login")
            case Known(_):
                return []
            case Unknown(reason):
                log.warning("bars_unchecked data_login=%s reason=%s", spec.login_of_data, reason)
                return [f"{what} of data_login {spec.login_of_data} could not be checked: {reason}"]

    def _ask(
        self, login: str, method: Method[Q, Answer[tuple[T, ...]]], question: Q, seconds: float
    ) -> Known[tuple[T, ...]] | Unknown:
        """Ask the link of a login; one that is down is started for the question, and ends itself when it is idle."""
        deadline = time.monotonic() + min(self._link_seconds, seconds)
        reason = "no time"
        with Client(Directory(self._home.sockets)) as client:
            while (left := deadline - time.monotonic()) > 0:
                try:
                    self._groups.add_link(login)
                    answer = client.call(names.link(login), method, question, min(left, 1.0))
                except Outage as outage:
                    reason = str(outage)
                except Refusal as refusal:
                    return Unknown(str(refusal))
                else:
                    if isinstance(answer, Known):
                        return answer
                    reason = answer.reason
                time.sleep(_PAUSE)
        return Unknown(reason)


def try_strategy(
    reference: str, folder: Path, arguments: Mapping[str, Any], market: Venue, *, seconds: float = _STRATEGY_SECONDS
) -> None:
    """Load a strategy in a process of its own, begin once with it, and load its brokers.

    Args:
        reference: how a specification names the strategy.
        folder: what a relative file is relative to.
        arguments: as configured.
        market: what it is to trade, and at which brokers.
        seconds: how long that may take.

    Raises:
        BadSpecification: it fails, ends the process, or takes longer.
    """
    command = [sys.executable, "-m", "tradeproc.procs.keeper.strategy_check", reference, str(folder)]
    try:
        done = subprocess.run(
            [*command, json.dumps(dict(arguments)), market.root, market.broker, market.data_broker],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        raise BadSpecification(
            f"strategy {reference!r}: loading it, or its warmup or start, took more than {seconds:.3g} s"
        ) from None
    if done.returncode == EXIT_DONE:
        return
    lines = done.stderr.strip().splitlines() or [""]
    if done.returncode == EXIT_HALT and lines[-1]:
        raise BadSpecification(lines[-1])
    # the process did not get to say why it ended, so its last line was written by the strategy
    code = done.returncode
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    last = f"; its last line: {lines[-1][:_LONGEST]}" if lines[-1] else ""
    raise BadSpecification(f"strategy {reference!r}: the process that tries it {how}{last}")


def _check_account(spec: SessionSpec, accounts: Sequence[BrokerAccount]) -> None:
    found = {account.id: account for account in accounts}
    account = found.get(spec.account)
    if account is None:
        near = difflib.get_close_matches(spec.account, list(found), 1)
        meant = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(found)) or 'none'}"
        raise BadSpecification(f"account {spec.account!r} is not one of login {spec.login!r}; {meant}")
    if not account.is_tradable:
        raise BadSpecification(f"account {spec.account!r} cannot be traded: {account.status or 'the broker says so'}")
