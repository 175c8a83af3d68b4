"""`halt --flatten`: every session of a scope flat, by whoever can, and the broker's own word for it at the end.

A trader that lives gets its session flat itself: one owner. Where none does, we claim the session (`claim.py`) and
work straight through the link (`liquidator.py`). A trader that holds its session and does not answer for 8 s is
stopped by supervisord first. At the end the broker is asked about every account (`confirmation.py`).
"""

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from tradeproc.desk.claim import Claim, Held
from tradeproc.desk.confirmation import Confirmed, confirm
from tradeproc.desk.exit_status import NotFound, supervisorctl
from tradeproc.desk.flatness import not_flat_yet
from tradeproc.desk.installation import Desk
from tradeproc.desk.known_sessions import KnownSession, known_sessions, root_of
from tradeproc.desk.liquidator import USUAL, LiquidatorTiming, liquidate
from tradeproc.desk.patience import wait_until
from tradeproc.domain.answers import Known, Unknown
from tradeproc.domain.broker_orders import BrokerOrder
from tradeproc.errors import Outage, Refusal, TradeprocError
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.link_messages import CANCEL, ORDERS, CancelOrder, OrdersQuestion
from tradeproc.protocol.process_messages import STATUS
from tradeproc.protocol.scopes import Scope
from tradeproc.protocol.trader_messages import FLATTEN, HALT, Switch
from tradeproc.store.store import Store

log = logging.getLogger(__name__)

USUAL_SECONDS = 60.0
_BY = "tradectl"
_TELL_SECONDS, _SLICE_SECONDS, _PAUSE_SECONDS = 4.0, 3.0, 0.5
_DATABASE_SECONDS = 2.0
_HUNG_SECONDS, _LINK_SECONDS = 8.0, 20.0
_CONFIRMATIONS, _CONFIRM_PAUSE_SECONDS = 5, 1.0
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sessions are to be flat, and why; `seconds` bounds everything but the last question to the broker.

    With `is_foreign` also what no session of ours made is cancelled and closed, in their accounts and products.
    `is_latched` if the halt of the scope is stored: else each session that is taken over is latched by itself.
    """

    scope: Scope
    reason: str
    seconds: float = USUAL_SECONDS
    is_foreign: bool = False
    is_latched: bool = False
    timing: LiquidatorTiming = USUAL


@dataclass(frozen=True, slots=True)
class KillReport:
    """What the broker confirmed of each session.

    `trouble` says what is not known of which sessions there are; `is_all` is False when there may be others.
    `passed_over` are sessions that are meant, with the one that looks after their account and product. `notes` say
    what a person should know besides: missing rows, a trader that stays down.
    """

    confirmed: tuple[Confirmed, ...]
    trouble: str = ""
    is_all: bool = True
    passed_over: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_flat(self) -> bool:
        """Tell whether the broker has confirmed for every session that it is flat."""
        return self.is_all and all(each.is_flat for each in self.confirmed)


def get_flat(desk: Desk, wanted: Wanted, told: Collection[int], concerned: Collection[int] = ()) -> KillReport:
    """Get the sessions of a scope flat.

    Args:
        desk: where.
        wanted: which sessions, and how long.
        told: those whose trader was told to get flat already.
        concerned: those whose trader says that the scope is about it.

    Raises:
        NotFound: it is for one session, and there is none of that number.
    """
    with _found(desk, wanted.scope, {*told, *concerned}) as found:
        deadline = time.monotonic() + wanted.seconds
        switch = _KillSwitch(desk, wanted, desk.database_url, deadline)
        whys = switch.run(found.owners, told)
        confirmed = tuple(_confirmed(desk, found.owners, found.store, whys))
        return KillReport(confirmed, found.trouble, found.is_all, found.passed_over, tuple(switch.notes))


def what_stays(desk: Desk, scope: Scope) -> KillReport:
    """Return what the broker tells of the sessions of a scope, touching nothing.

    Raises:
        NotFound: it is for one session, and there is none of that number.
    """
    with _found(desk, scope, ()) as found:
        confirmed = tuple(confirm(desk, found.owners, found.store, {}))
        return KillReport(confirmed, found.trouble, found.is_all, found.passed_over)


@dataclass(frozen=True, slots=True)
class _Found:
    """The sessions that are meant, and the database, None while it is away."""

    owners: list[KnownSession]
    store: Store | None
    trouble: str
    is_all: bool
    passed_over: tuple[tuple[int, int], ...]


@contextmanager
def _found(desk: Desk, scope: Scope, concerned: Collection[int]) -> Iterator[_Found]:
    store = Store(desk.database_url, connect_timeout=_DATABASE_SECONDS, answer_timeout=_DATABASE_SECONDS)
    try:
        known = known_sessions(desk, store)
        # without the database nobody knows who is in a portfolio, but its traders do
        is_all = known.is_all and not (known.trouble and scope.portfolio is not None)
        meant = [each for each in known.sessions if each.is_meant_by(scope) or each.id in concerned]
        if scope.session is not None and not meant and is_all:
            raise NotFound("session", scope.session, "scripts/tradectl sessions lists them")
        owners = _owners(known.sessions, {*desk.traders(), *concerned})
        passed_over = tuple((each.id, owners[each.place]) for each in meant if owners[each.place] != each.id)
        owned = [each for each in meant if owners[each.place] == each.id]
        yield _Found(owned, None if known.trouble else store, known.trouble, is_all, passed_over)
    finally:
        store.close()


def _confirmed(
    desk: Desk, sessions: Sequence[KnownSession], store: Store | None, whys: Mapping[int, str]
) -> list[Confirmed]:
    """Return what the broker confirms; asked again for a moment where its lists lag behind what was just done."""
    for _ in range(_CONFIRMATIONS - 1):
        found = confirm(desk, sessions, store, whys)
        if all(each.is_flat or each.why for each in found):
            return found
        time.sleep(_CONFIRM_PAUSE_SECONDS)
    return confirm(desk, sessions, store, whys)


def _owners(known: Iterable[KnownSession], tended: Collection[int]) -> dict[tuple[str, str, str], int]:
    """Return which session looks after each account and product.

    That is the one whose trader lives, else one that has something open by its rows, else the newest.
    """
    ranked = sorted(known, key=lambda each: (each.id in tended, each.is_ours, each.id))
    return {each.place: each.id for each in ranked}


class _KillSwitch:
    def __init__(self, desk: Desk, wanted: Wanted, url: str, deadline: float) -> None:
        self._desk, self._wanted, self._url, self._deadline = desk, wanted, url, deadline
        self.notes: list[str] = []

    def run(self, sessions: Collection[KnownSession], heard: Collection[int]) -> Mapping[int, str]:
        """Get all flat at the same time; return by session why it is not, empty when its owner says it is."""
        if not sessions:
            return {}
        logins = sorted({each.login for each in sessions})
        with ThreadPoolExecutor(min(_AT_ONCE, len(sessions) + len(logins))) as lanes:
            # a link that must be started first holds up only those that work through it
            links = {login: lanes.submit(self._link_trouble, login) for login in logins}
            lane = partial(self._lane, heard, links)
            return dict(zip((each.id for each in sessions), lanes.map(lane, sessions), strict=True))

    def _lane(self, heard: Collection[int], links: Mapping[str, Future[str]], known: KnownSession) -> str:
        if not known.is_ours and not self._wanted.is_foreign and known.id not in heard:
            # its rows say that it is stopped and flat: what the account holds is told at the end, and left
            return ""
        try:
            return self._get_flat(known, known.id in heard, links[known.login])
        except TradeprocError as error:
            return str(error)
        except OSError as error:
            return f"its journal cannot be opened, so it could not be claimed: {error}"
        except Exception as fault:
            # a bug that one session meets must not hide what became of the others
            log.exception("kill_switch_failed session=%d", known.id)
            return f"the kill switch itself failed here, {type(fault).__name__}: {fault}"

    def _get_flat(self, known: KnownSession, is_told: bool, link: Future[str]) -> str:
        trader, began = names.trader(known.id), time.monotonic()
        is_stopped, why = False, ""
        while True:
            if self._desk.is_alive(trader):
                is_told = is_told or self._tell(known.id)
            if is_told:
                why = self._wait(known) or self._left_of_others(known)
                if not why or self._is_over():
                    return why
                is_told = False  # told again below: a trader that was killed meanwhile has forgotten it
                if self._desk.is_alive(trader):
                    continue
            if trouble := link.result():
                return trouble
            try:
                return self._take_over(known)
            except Held as held:
                why = str(held)
            if self._is_over():
                return why
            is_hung = self._desk.is_alive(trader) and time.monotonic() - began > _HUNG_SECONDS
            if is_hung and not is_stopped:
                is_stopped = self._stop_hung(known.id)
            time.sleep(_PAUSE_SECONDS)

    def _take_over(self, known: KnownSession) -> str:
        """Get a session flat in the place of its trader; return why it is not, empty when it is.

        Raises:
            Held: somebody has it.
        """
        wanted = self._wanted
        with Claim.take(self._desk.home, known, self._url) as claim:
            done = liquidate(
                self._desk,
                claim,
                wanted.reason,
                self._deadline,
                is_all=wanted.is_foreign,
                is_latched=wanted.is_latched,
                timing=wanted.timing,
            )
        self.notes += [f"session {known.id}: {note}" for note in done.notes]
        return done.why

    def _tell(self, session: int) -> bool:
        """Tell a trader to halt and to get flat; False when it did not answer."""
        trader, switch = names.trader(session), Switch(_BY, self._wanted.reason, self._wanted.scope)
        try:
            # flat without a halt would enter again
            self._desk.client.call(trader, HALT, switch, _TELL_SECONDS)
            self._desk.client.call(trader, FLATTEN, switch, _TELL_SECONDS)
        except (Outage, Refusal):
            return False
        return True

    def _wait(self, known: KnownSession) -> str:
        """Wait a moment for a trader that was told; return why its session is not flat, empty when it says so."""
        left = max(0.0, min(_SLICE_SECONDS, self._deadline - time.monotonic()))
        found, silent = not_flat_yet(self._desk, [known.id], left)
        if silent:
            return "its trader heard it and does not answer since"
        return "; ".join(f"its trader goes on: {why}" for _, why in found.values())

    def _left_of_others(self, known: KnownSession) -> str:
        """Cancel what others let work in a session's product, if that is wanted; return what works still."""
        if not self._wanted.is_foreign:
            return ""
        link, asked = names.link(known.login), OrdersQuestion(account=known.account)
        try:
            match self._desk.client.call(link, ORDERS, asked, _TELL_SECONDS):
                case Unknown(reason):
                    return reason
                case Known(listed):
                    orders = [each for each in listed if isinstance(each, BrokerOrder) and not each.state.is_terminal]
            # its trader has none: what works is somebody else's
            left = [each.broker_id for each in orders if root_of(each.contract) == root_of(known.contract)]
            for broker_id in left:
                if self._is_over():
                    break
                cancel = CancelOrder(broker_id, account=known.account)
                self._desk.client.call(link, CANCEL, cancel, _TELL_SECONDS)
        except (Outage, Refusal) as error:
            return str(error)
        return f"orders {', '.join(left)} that are not ours still work" if left else ""

    def _stop_hung(self, session: int) -> bool:
        """Let supervisord stop a trader that holds its session and does not answer; it kills what does not end."""
        trader = names.trader(session)
        try:
            self._desk.supervisor.stop(trader.group, trader.program)
        except (Outage, Refusal):
            return False
        start = supervisorctl("start", trader.at_supervisord)
        self.notes.append(
            f"session {session}: its trader did not answer and was stopped; it stays down until {start}"
        )
        return True

    def _link_trouble(self, login: str) -> str:
        """Have the link of a login started if it is down; return why it does not run, empty when it does."""
        link = names.link(login)
        if self._desk.is_alive(link):
            return ""
        try:
            self._desk.supervisor.start(link.group, link.program)
            seconds = max(1.0, min(_LINK_SECONDS, self._deadline - time.monotonic()))
            wait_until(f"{link} to run", partial(self._answers, link), seconds)
        except (Outage, Refusal) as error:
            return f"{link} does not run, so nothing can be asked or sent: {error}"
        return ""

    def _answers(self, process: str) -> bool:
        try:
            return self._desk.client.call(process, STATUS, NoBody(), 1.0).state == "ready"
        except (Outage, Refusal):
            return False

    def _is_over(self) -> bool:
        return time.monotonic() > self._deadline
