"""Gets one session flat straight through its link, in the place of its trader; `engine/liquidation.py` says how.

Every order is a row before it is sent, in the database or the session's journal, so that a command that is killed and
typed again looks for what it sent instead of sending it twice, and the trader's next life knows it as its own.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tradeproc.clock import monotonic_ns, wall_ns
from tradeproc.desk.claim import Claim
from tradeproc.desk.installation import Desk
from tradeproc.desk.known_orders import known_orders
from tradeproc.desk.known_sessions import root_of
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import (
    Accepted,
    BrokerOrder,
    ListedOrder,
    OrderRequest,
    Outcome,
    Refused,
    Unanswered,
)
from tradeproc.domain.instruments import Contract, instrument_of
from tradeproc.domain.orders import Order, OrderRole, OrderSource, OrderType
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.engine import liquidation
from tradeproc.engine.broker_events import GIVEN_UP
from tradeproc.engine.liquidation import (
    USUAL_PATIENCE,
    AskAgain,
    CancelThese,
    CloseNow,
    GivenUp,
    Liquidation,
    LiquidationPatience,
    NowFlat,
)
from tradeproc.engine.orders import Applied, Move, lacks_price, moved, noted, told
from tradeproc.errors import Outage, Refusal
from tradeproc.protocol import link_messages, names, scopes
from tradeproc.protocol.link_messages import (
    AccountQuestion,
    CancelOrder,
    OrdersQuestion,
    PlaceOrder,
    PositionQuestion,
)
from tradeproc.store.database import DatabaseDown
from tradeproc.store.rows import Latch, PositionRow
from tradeproc.store.writes import Write, latch_write, orders_write, position_write, roll_write

_BY = "kill switch"


@dataclass(frozen=True, slots=True)
class LiquidatorTiming:
    """How long a liquidator waits for an answer to a question or an operation, and between two looks, in seconds."""

    question: float = 6.0
    operation: float = 8.0
    pause: float = 0.5
    patience: LiquidationPatience = USUAL_PATIENCE


USUAL = LiquidatorTiming()


@dataclass(frozen=True, slots=True)
class Liquidated:
    """Whether a session is flat by the broker's word; `why` says why not, empty when it is.

    `notes` say what of its rows could not be read or written, and what became of a roll that it was in.
    """

    session: int
    why: str = ""
    notes: tuple[str, ...] = ()


def liquidate(
    desk: Desk,
    claim: Claim,
    reason: str,
    deadline: float,
    *,
    is_all: bool = False,
    is_latched: bool = False,
    timing: LiquidatorTiming = USUAL,
) -> Liquidated:
    """Cancel the working orders of a claimed session and close its position; ends by `deadline` (monotonic s).

    With `is_all` also what is not ours is cancelled and closed, in its account and product. Unless a halt that counts
    for the session `is_latched` already, it is latched first.

    A row that neither the database nor the disk takes holds up no close; the answer says so.

    Raises:
        Held: another process took the session meanwhile.
    """
    made = _Liquidator(desk, claim, reason, is_all, timing)
    if not is_latched:
        made.latch()
    made.end_rolls()
    return Liquidated(claim.known.id, made.run(deadline), tuple(made.notes))


class _Liquidator:
    def __init__(self, desk: Desk, claim: Claim, reason: str, is_all: bool, timing: LiquidatorTiming) -> None:
        self._timing, self._is_all = timing, is_all
        self.notes: dict[str, None] = {}
        # nothing here may take longer or shorter because somebody sets the clock
        self._origin = wall_ns() - monotonic_ns()
        self._desk, self._claim, self._reason = desk, claim, f"{_BY}: {reason}" if reason else _BY
        known = claim.known
        self._link, self._account = names.link(known.login), known.account
        found = known_orders(claim)
        self._orders, self._is_all_ours, self._has_unread = dict(found.orders), not found.is_told, found.unread > 0
        if found.unread:
            self._note(f"{found.unread} lines of its journal cannot be read, as if another version had written them")
        self._turn_to(known.contract)

    def _turn_to(self, contract: str) -> None:
        self._contract = Contract.parse(contract)
        rows = {each.id: each for each in self._orders.values() if each.contract == contract}
        is_all_ours = self._is_all or self._is_all_ours
        self._plan = Liquidation(
            self._account, contract, rows, is_all_ours, self._timing.patience, has_unread_rows=self._has_unread
        )

    def _note(self, note: str) -> None:
        self.notes[note] = None

    def _now(self) -> Nanos:
        return Nanos(self._origin + monotonic_ns())

    def latch(self) -> None:
        """Halt the session in its rows: the trader that comes after us must not enter again."""
        scope = scopes.of_session(self._claim.known.id)
        self._write(latch_write(Latch(scope, "halted", _BY, self._reason, wall_ns())))

    def end_rolls(self) -> None:
        """Write down that a roll under way opens nothing again, also if somebody resumes before the trader is back.

        Without the database no roll is known; the halt alone keeps it from opening anything then.
        """
        if self._claim.store is None:
            return
        try:
            rolls = self._claim.store.rolls(self._claim.known.id)
        except (DatabaseDown, Refusal):
            return
        for roll in rolls:
            if roll.reopen and not roll.step.is_over:
                self._write(roll_write(replace(roll, reopen=Contracts(0), reason=self._reason, at=self._now())))
                self._note(f"its roll from {roll.contract} into {roll.next_contract} opens nothing again")

    def run(self, deadline: float) -> str:
        """Get the session's contract flat, then what is ours, or is wanted, in others; return why it is not."""
        whys = [self._get_flat(deadline)]
        for contract in self._others():
            self._turn_to(contract)
            if why := self._get_flat(deadline):
                whys.append(f"{contract}: {why}")
        return "; ".join(filter(None, whys))

    def _others(self) -> list[str]:
        """Return the other contracts of the product in which orders of ours may work, and all others if wanted."""
        own = self._claim.known.contract
        found = {each.contract for each in self._orders.values() if not each.state.is_terminal}
        if self._is_all:
            found |= self._listed()
        return sorted(each for each in found - {own} if root_of(each) == root_of(own))

    def _get_flat(self, deadline: float) -> str:
        while True:
            now = self._now()
            what = self._ask()
            step = self._plan.step(what, now)
            # afterwards, because the step may have recognised an order whose reply was lost
            self._book(what.orders)
            self._book_absent()
            match step:
                case NowFlat():
                    self._keep_flat()
                    return ""
                case GivenUp(reason):
                    return reason
                case AskAgain(reason) if time.monotonic() > deadline:
                    return reason
                case AskAgain():
                    time.sleep(self._timing.pause)
                case CancelThese() | CloseNow() if time.monotonic() > deadline:
                    return "the time is over"
                case CancelThese(broker_ids):
                    self._cancel(broker_ids, deadline)
                case CloseNow():
                    self._close(step, now)

    # --- questions

    def _ask(self) -> liquidation.BrokerTold:
        question = OrdersQuestion(self._plan.broker_ids, account=self._account)
        orders: Answer[tuple[ListedOrder, ...]]
        position: Answer[Position]
        try:
            orders = self._desk.client.call(self._link, link_messages.ORDERS, question, self._timing.question)
        except (Outage, Refusal) as error:
            return liquidation.BrokerTold(Unknown(str(error)), Unknown(str(error)))
        asked = PositionQuestion(self._contract, account=self._account)
        try:
            position = self._desk.client.call(self._link, link_messages.POSITION, asked, self._timing.question)
        except (Outage, Refusal) as error:
            position = Unknown(str(error))
        return liquidation.BrokerTold(orders, position)

    def _listed(self) -> set[str]:
        """Return the contracts in which the account has a position or a working order; none where nobody tells."""
        client, seconds = self._desk.client, self._timing.question
        try:
            orders = client.call(self._link, link_messages.ORDERS, OrdersQuestion(account=self._account), seconds)
            asked = AccountQuestion(account=self._account)
            positions = client.call(self._link, link_messages.POSITIONS, asked, seconds)
        except (Outage, Refusal):
            return set()
        found = set()
        if isinstance(orders, Known):
            working = [each for each in orders.value if isinstance(each, BrokerOrder) and not each.state.is_terminal]
            found |= {each.contract for each in working if each.account == self._account}
        if isinstance(positions, Known):
            found |= {each.contract for each in positions.value if isinstance(each, Position) and each.quantity}
        return found

    # --- operations

    def _cancel(self, broker_ids: Iterable[str], deadline: float) -> None:
        for broker_id in broker_ids:
            if time.monotonic() > deadline:
                return
            self._claim.check()
            order = next((each for each in self._orders.values() if each.broker_id == broker_id), None)
            if order is not None and order.in_flight != "cancel":
                changed = replace(order, in_flight="cancel", changed_at=wall_ns())
                event = noted(order, changed, OrderSource.OPERATOR, changed.changed_at, "cancel_asked", self._reason)
                self._keep(Applied(changed, event))
            outcome: Outcome
            try:
                asked = CancelOrder(broker_id, account=self._account)
                outcome = self._desk.client.call(self._link, link_messages.CANCEL, asked, self._timing.operation)
            except Refusal as error:
                outcome = Refused(str(error))
            except Outage as error:
                outcome = Unanswered(str(error))
            self._plan.cancel_answered(broker_id, outcome)

    def _close(self, step: CloseNow, now: Nanos) -> None:
        self._claim.check()
        market_at = max((each.market_at for each in self._orders.values()), default=now)
        order = Order(
            id=self._claim.next_id(),
            session=self._claim.known.id,
            fence=self._claim.fence,
            contract=self._contract.code,
            side=step.side,
            quantity=step.quantity,
            type=OrderType.MARKET,
            role=OrderRole.EXIT,
            created_at=now,
            market_at=market_at,
            changed_at=now,
        )
        self._keep(Applied(order, noted(None, order, OrderSource.OPERATOR, now, "created", self._reason)))
        self._plan.sent(order)
        outcome = self._submit(order)
        self._plan.close_answered(order, outcome, self._now())
        self._keep_answer(order, outcome)

    def _submit(self, order: Order) -> Outcome:
        request = OrderRequest(order.id, self._contract, order.side, order.quantity, order.type, order.role)
        try:
            placed = PlaceOrder(request, account=self._account)
            return self._desk.client.call(self._link, link_messages.SUBMIT, placed, self._timing.operation)
        except Refusal as error:
            return Refused(str(error))
        except Outage as error:
            return Unanswered(str(error))

    def _keep_answer(self, order: Order, outcome: Outcome) -> None:
        now, source = wall_ns(), OrderSource.BROKER_REPLY
        match outcome:
            case Accepted(broker_ids):
                applied = moved(order, Move.ACCEPTED, source, now)
                self._keep(replace(applied, order=replace(applied.order, broker_id=broker_ids.get(order.id))))
            case Refused(reason):
                self._keep(moved(order, Move.REFUSED, source, now, reason))
            case Unanswered(reason, was_sent=False):
                self._keep(moved(order, Move.DROPPED, OrderSource.OPERATOR, now, reason))
            case Unanswered():
                pass

    # --- rows

    def _book(self, answer: Answer[tuple[ListedOrder, ...]]) -> None:
        """Write down what the broker tells of the session's orders; a fill without a price is left to the trader."""
        if not isinstance(answer, Known):
            return
        for picture in answer.value:
            if not isinstance(picture, BrokerOrder):
                continue
            found = self._plan.order_of(picture)
            order = None if found is None else self._orders.get(found.id)
            if order is None or lacks_price(order, picture):
                continue
            at = (wall_ns(), order.market_at)
            self._keep(told(order, picture, instrument_of(order.contract), OrderSource.RECONCILIATION, at))

    def _book_absent(self) -> None:
        for order in self._plan.take_absent():
            if (kept := self._orders.get(order.id)) is not None:
                self._keep(moved(kept, Move.ABSENT, OrderSource.RECONCILIATION, wall_ns(), GIVEN_UP))

    def _keep(self, applied: Applied) -> None:
        """Write an order with what happened to it; nothing when it is no news.

        Raises:
            Held: another process took the session.
        """
        order = applied.order
        if applied.event is None and applied.fill is None:
            return
        events = () if applied.event is None else (applied.event,)
        fills = () if applied.fill is None else (applied.fill,)
        self._write(orders_write((order,), events, fills, fence=self._claim.fence))
        self._orders[order.id] = order

    def _write(self, write: Write) -> None:
        try:
            self._claim.write(write)
        except OSError as error:
            # as a trader does: no exit depends on a row
            self._note(f"rows are missing, neither the database nor the disk took them: {error}")

    def _keep_flat(self) -> None:
        flat = Position(self._account, self._contract.code, Contracts(0), None)
        self._write(position_write(PositionRow(self._claim.known.id, flat, "reconciliation", wall_ns())))
