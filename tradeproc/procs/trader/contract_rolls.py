"""Tells a trader's engine what the rule says of its contract, by market time: tapes of other years roll too."""

from collections.abc import Callable

from tradeproc.domain.instruments import Contract
from tradeproc.domain.market_hours import MarketHours, market_hours
from tradeproc.domain.roll_rules import LEAST_LEFT, RollMode, roll_plan
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.units import Nanos
from tradeproc.engine.events import Event, RollPlanned
from tradeproc.procs.trader.volume_watch import VolumeWatch


class RollPlans:
    """Tells `RollPlanned` when it is another one than before."""

    def __init__(self, spec: SessionSpec, tell: Callable[[Event], None], volumes: VolumeWatch | None = None) -> None:
        self._spec, self._tell, self._volumes = spec, tell, volumes
        self._hours, self._contract = market_hours(spec.calendar), Contract.parse(spec.contract)
        self._told: RollPlanned | None = None

    def look(self, market_at: Nanos) -> None:
        """Look at the market time, 0 while nobody knows it."""
        if not market_at:
            return
        if self._volumes is not None:
            self._volumes.look(market_at)
        planned = self._planned(market_at)
        if planned != self._told:
            self._told = planned
            self._tell(planned)

    def _planned(self, market_at: Nanos) -> RollPlanned:
        policy, volumes = self._spec.roll, self._volumes
        plan = roll_plan(self._contract, policy, None if volumes is None else volumes.crossed)
        session, local = self._hours.session_at(market_at), self._hours.local(market_at)
        day = local.date() if session is None else session.date
        is_open = stays_open(self._hours, market_at)
        is_time = local.date() == day and local.time() >= policy.starts_at
        is_due = policy.mode is RollMode.AUTO and is_open and is_time and day >= plan.roll_on
        return RollPlanned(
            next_contract=plan.into.code,
            basis=plan.basis,
            last_day=str(plan.last_day),
            roll_on=str(plan.roll_on),
            days_left=plan.days_left(day),
            days_to_end=plan.days_to_end(day),
            is_open=is_open,
            is_due=is_due,
            why=plan.why or ("" if volumes is None else volumes.problem),
        )


def stays_open(hours: MarketHours, at: Nanos) -> bool:
    """Tell whether the market is open and stays so for long enough to roll."""
    session = hours.session_at(at)
    return session is not None and any(opened <= at < closed - LEAST_LEFT for opened, closed in session.stretches)
