"""What is checked before a session is created, away from the keeper's loop: strategy, broker and account.

Strategy and broker are somebody's code, so they are loaded in a process of its own. The account is looked up in the
list the broker gave before, else the login's link is asked; no answer leaves it unchecked, not refused.
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
from typing import Any

from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.node import Node
from tradeproc.domain import messages
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.broker_orders import BrokerAccount
from tradeproc.domain.session import SessionSpec
from tradeproc.errors import EXIT_DONE, EXIT_HALT, Outage, Refusal
from tradeproc.home import Home
from tradeproc.protocol import names
from tradeproc.supervision.groups_shell import GroupsShell

log = logging.getLogger(__name__)

_STRATEGY_SECONDS = 20.0
_PAUSE = 0.2
_LONGEST = 200


class BadSpecification(Refusal):
    """A session that could not run as specified; answered as refused, in one line."""


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
        broker: str,
        known: Sequence[BrokerAccount],
        seconds_left: Callable[[], float],
        then: Callable[[CheckResult], None],
    ) -> None:
        """Check a specification and call `then` once.

        Args:
            spec: what was asked for.
            broker: the key of its login's broker.
            known: the accounts of its login as the broker last listed them; empty when it never did.
            seconds_left: how long the one who asked still waits; the verdict comes before that.
            then: gets the verdict, in the node's loop.
        """

        def run() -> None:
            try:
                verdict = self._check(spec, broker, known, seconds_left)
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
        self, spec: SessionSpec, broker: str, known: Sequence[BrokerAccount], seconds_left: Callable[[], float]
    ) -> CheckResult:
        if (left := seconds_left()) <= 0:
            raise BadSpecification("no time was left to check it, because other checks took so long; try again")
        seconds = min(_STRATEGY_SECONDS, left)
        try_strategy(spec.strategy, self._home.root, spec.arguments, broker, seconds=seconds)
        if any(account.id == spec.account and account.is_tradable for account in known):
            return CheckResult()
        match self._ask_accounts(spec.login, min(self._link_seconds, seconds_left())):
            case Known(accounts):
                _check_account(spec, accounts)
                return CheckResult(accounts=accounts)
            case Unknown(reason):
                log.warning("account_unchecked account=%s login=%s reason=%s", spec.account, spec.login, reason)
                return CheckResult(unchecked=f"account {spec.account} could not be checked: {reason}")

    def _ask_accounts(self, login: str, seconds: float) -> Known[Sequence[BrokerAccount]] | Unknown:
        deadline = time.monotonic() + seconds
        reason = "no time"
        with Client(Directory(self._home.sockets)) as client:
            while (left := deadline - time.monotonic()) > 0:
                try:
                    self._groups.add_link(login)
                    body = client.call(names.link(login), "accounts", {}, min(left, 1.0))
                except Outage as outage:
                    reason = str(outage)
                except Refusal as refusal:
                    return Unknown(str(refusal))
                else:
                    answer = messages.answer_from_body(body, messages.each(messages.broker_account_from_body))
                    if isinstance(answer, Known):
                        return Known(answer.value)
                    reason = answer.reason
                time.sleep(_PAUSE)
        return Unknown(reason)


def try_strategy(
    reference: str, folder: Path, arguments: Mapping[str, Any], broker: str, *, seconds: float = _STRATEGY_SECONDS
) -> None:
    """Load a strategy in a process of its own, begin once with it, and load the broker.

    Args:
        reference: how a specification names the strategy.
        folder: what a relative file is relative to.
        arguments: as configured.
        broker: the key of the broker at which it is to trade.
        seconds: how long that may take.

    Raises:
        BadSpecification: it fails, ends the process, or takes longer.
    """
    command = [sys.executable, "-m", "tradeproc.procs.keeper.strategy_check", reference, str(folder)]
    try:
        done = subprocess.run(
            [*command, json.dumps(dict(arguments)), broker],
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
    # nobody said why: what it wrote is the strategy's own
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
