"""The names of the engine's alarms: a closed list, each with what it means and what takes it back."""

from enum import StrEnum


class AlarmName(StrEnum):
    """One standing alarm per name; told once, its detail updated in the state."""

    ORDER_UNRESOLVED = "order_unresolved"
    """An order whose fate nobody knows is being asked for; cleared when it is known."""
    ILLEGAL_TRANSITION = "illegal_transition"
    """The broker contradicted the table of `orders.py`; cleared by a commanded reconciliation."""
    ORDER_REAPPEARED = "order_reappeared"
    """An order that we took for ended works at the broker; cleared when it is over there."""
    ORDER_UNKNOWN = "order_unknown"
    """An open order on our contract is not ours; cleared when it is gone."""
    BROKER_UNREADABLE = "broker_unreadable"
    """The broker tells an order or the position in a form that cannot be read; cleared by an answer that can be."""
    POSITION_DIVERGED = "position_diverged"
    """The broker's position differed and was taken over; cleared by the next agreement."""
    EXTERNAL_CHANGE = "external_change"
    """Position, a stop or the terms of an order changed by no order of ours and entries are closed.

    Cleared when a person resumes.
    """
    EXTERNAL_ADOPTED = "external_adopted"
    """The same, taken over into the session; cleared when stops cover the position, or it is gone."""
    WITNESS_DISAGREES = "witness_disagrees"
    """A second data login tells another price than the session's; entries wait. Cleared when they agree."""
    WITNESS_MISSING = "witness_missing"
    """The second data login tells no prices; cleared when it does."""
    LOSS_LIMIT_REACHED = "loss_limit_reached"
    """The session lost as much as one of its limits allows: exits only. Cleared when a person resumes."""
    PROFIT_UNKNOWN = "profit_unknown"
    """A price that nobody knows makes the profit unknown, so loss limits cannot be held; entries wait.

    Cleared when the price is known, or a person resumes.
    """
    FILL_UNPRICED = "fill_unpriced"
    """The broker tells an order as filled without a price; cleared when price or position has settled it."""
    POSITION_UNCONFIRMED = "position_unconfirmed"
    """The broker has not confirmed the position for long; cleared when it does."""
    POSITION_UNCOVERED = "position_uncovered"
    """Open contracts have no working stop; cleared when they have, or are closed."""
    STOP_INERT = "stop_inert"
    """The market trades through a working stop and the position is still open: the broker's stop does nothing.

    Cleared when the stop or the position is gone; the login stays halted until a person resumes it.
    """
    STOP_LIMIT_LEFT_BEHIND = "stop_limit_left_behind"
    """The market trades through a working stop-limit order; cleared when it is over, or the price is back."""
    ORDER_PASSED = "order_passed"
    """The market trades through a working limit, target or entry stop by more than a tick and does not fill it.

    Cleared when the order is over, or the price is back.
    """
    CLOSE_STUCK = "close_stuck"
    """A closing takes long or its exit was refused; it goes on trying. Cleared when flat."""
    CLOSED_EARLY = "closed_early"
    """The market seems closed although the calendar has it open; a session that is to be flat closes its position.

    Cleared by the next bar, or when flat.
    """
    ROLL_DUE = "roll_due"
    """The contract ends soon and is to be rolled; cleared when it was."""
    ROLL_OVERDUE = "roll_overdue"
    """The contract is about to end, or has, and a position is open in it; cleared when it is closed or rolled."""
    ROLL_STUCK = "roll_stuck"
    """A roll that was asked for or begun cannot go on; cleared when it does, or is over."""
    ROLL_INCOMPLETE = "roll_incomplete"
    """A roll ended without opening all again; cleared when a person resumes, and by the next start."""
    DATABASE_DOWN = "database_down"
    """Entries stop, exits go on over the journal; cleared when it is back."""
    LEASE_LOST = "lease_lost"
    """Another trader may hold the session; entries stop. Cleared when the lease is held again."""
    NOT_READY = "not_ready"
    """Long after the start history, orders or position are still unknown; cleared when all are known."""
    STRATEGY_OVERRAN = "strategy_overran"
    """The strategy took longer for a bar than its budget (0.5 s unless set otherwise); cleared by a bar within it."""
    STRATEGY_FAILED = "strategy_failed"
    """The strategy raised or returned no decision; cleared when a person resumes the session, and by its start."""
    STRATEGY_OFF = "strategy_off"
    """The strategy failed on too many bars in a row and is called no more; cleared when a person resumes."""
    ROW_REFUSED = "row_refused"
    """The database does not take a row, which lies in `run/journal` for a person: cleared by the next start.

    Or the disk is full and rows are in memory only: cleared when it has taken them.
    """
