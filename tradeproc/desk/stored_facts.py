"""What the database says for the health check; one that is away is an answer too."""

from collections.abc import Callable
from typing import TypeVar

from tradeproc.desk.observations import AlarmSeen, DivergenceSeen, OrderWaiting, SessionSeen
from tradeproc.domain.answers import Answer, Known, Unknown
from tradeproc.domain.orders import Order, OrderState
from tradeproc.domain.units import Nanos
from tradeproc.domain.wanted import wanted_now, window_of
from tradeproc.errors import Outage
from tradeproc.store import SessionRow, Store

Found = TypeVar("Found")


class StoredFacts:
    """Asks a database, or tells why it is not known which."""

    def __init__(self, store: Answer[Store]) -> None:
        self._store = store

    def due(self, now: Nanos) -> Answer[list[SessionRow]]:
        """Return the sessions that should run now."""
        return self._ask(lambda store: [row for row in store.sessions() if wanted_now(row.spec, row.desired, now)])

    def orders(self, due: Answer[list[SessionRow]]) -> Answer[tuple[OrderWaiting, ...]]:
        """Return the orders that nobody has answered for."""
        match due:
            case Unknown(reason):
                return Unknown(reason)
            case Known(rows):
                return self._ask(
                    lambda store: _waiting([order for row in rows for order in store.open_orders(row.id)])
                )

    def divergences(self) -> Answer[tuple[DivergenceSeen, ...]]:
        """Return the divergences of sessions that still exist, but for those that a person has acknowledged."""

        def read(store: Store) -> tuple[DivergenceSeen, ...]:
            kept = {row.id for row in store.sessions()}
            return tuple(
                DivergenceSeen(row.divergence.session, row.divergence.subject, row.divergence.at)
                for row in store.divergences()
                if row.divergence.session in kept and row.acknowledged is None
            )

        return self._ask(read)

    def alarms(self, due: Answer[list[SessionRow]]) -> Answer[tuple[AlarmSeen, ...]]:
        """Return the standing alarms of the host and of sessions that still exist."""
        match due:
            case Unknown(reason):
                return Unknown(reason)
            case Known(rows):
                running = {None, *(row.id for row in rows)}

        def read(store: Store) -> tuple[AlarmSeen, ...]:
            kept = {None, *(row.id for row in store.sessions())}
            return tuple(
                AlarmSeen(
                    row.session, row.name, row.detail, row.at, row.session in running, row.acknowledged is not None
                )
                for row in store.alarms(only_standing=True)
                if row.session in kept
            )

        return self._ask(read)

    def _ask(self, read: Callable[[Store], Found]) -> Answer[Found]:
        match self._store:
            case Unknown(reason):
                return Unknown(reason)
            case Known(store):
                try:
                    return Known(read(store))
                except Outage as error:
                    return Unknown(str(error))


def _waiting(orders: list[Order]) -> tuple[OrderWaiting, ...]:
    open_ids = {order.id for order in orders}
    return tuple(
        OrderWaiting(order.id, order.session, order.state.value, order.changed_at)
        for order in orders
        # a bracket's leg waits for its entry as long as that is open, which is as it should be
        if order.state in (OrderState.PRE_SENT, OrderState.PENDING) and order.parent not in open_ids
    )


def sessions_seen(due: Answer[list[SessionRow]], now: Nanos) -> Answer[tuple[SessionSeen, ...]]:
    """Return the sessions that should run, as the rules look at them."""
    match due:
        case Unknown(reason):
            return Unknown(reason)
        case Known(rows):
            return Known(
                tuple(
                    SessionSeen(row.id, row.spec.name, _due_since(row, now), row.spec.login, row.spec.login_of_data)
                    for row in rows
                )
            )


def _due_since(row: SessionRow, now: Nanos) -> int:
    """Return since when a session should run: a person's word, or its schedule's."""
    window = window_of(row.spec, now)
    return row.changed_at if window is None else max(row.changed_at, window.starts_at)
