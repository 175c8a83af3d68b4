"""What `session stop` says when there is nothing to stop, and does when the keeper cannot."""

from functools import partial

from rich.text import Text

from tradeproc.cli.outcome import Outcome
from tradeproc.desk.exit_status import CommandFailed, ExitStatus, NotRunning
from tradeproc.desk.exposure import untended
from tradeproc.desk.installation import Desk
from tradeproc.desk.patience import wait_until
from tradeproc.errors import Outage, Refusal
from tradeproc.protocol import names
from tradeproc.protocol.trader_messages import STOP, StopTrading
from tradeproc.supervision.wanted_groups import is_done

_TOLD_SECONDS, _FLAT_SECONDS = 5.0, 25.0


def already_stopped(desk: Desk, number: int, *, is_flat_wanted: bool) -> Outcome:
    """Say that a session is stopped, and what it has open; open positions are a failure only when it was to be flat.

    Raises:
        NotRunning: what it has open cannot be looked up.
    """
    left = untended(desk, number, desk.traders())
    value = {"session": number, "desired": "stopped", "already": True, "not_flat": [each.to_dict() for each in left]}
    said = "; ".join(str(each) for each in left)
    how = (
        f"{said}; scripts/tradectl halt --flatten --session {number} closes it" if left else "flat as far as is known"
    )
    code = ExitStatus.FAILED if left and is_flat_wanted else ExitStatus.OK
    return Outcome(value, Text(f"session {number} is stopped already; {how}"), code)


def flatten_straight(desk: Desk, number: int, away: NotRunning) -> Outcome:
    """Tell the trader itself to get flat and end; that the session shall stay stopped is not stored.

    Raises:
        NotRunning: the trader did not answer.
        CommandFailed: it refused, or is not flat in time.
    """
    try:
        desk.client.call(names.trader(number), STOP, StopTrading("tradectl", flatten=True), _TOLD_SECONDS)
    except Outage as error:
        raise NotRunning(f"{away}; nor does the trader: {error}; look at the broker") from None
    except Refusal as error:
        raise CommandFailed(str(error)) from None
    try:
        wait_until("flat", partial(_has_ended, desk, number), _FLAT_SECONDS)
    except NotRunning:
        raise CommandFailed(
            f"session {number} is not flat after {_FLAT_SECONDS:g} s; it enters no more, goes on getting flat, and "
            f"ends then; {_unstored(number, away)}"
        ) from None
    text = f"session {number} is flat and its trader has ended; {_unstored(number, away)}"
    value = {
        "session": number,
        "desired": None,
        "already": False,
        "trouble": str(away),
    }
    return Outcome(value, Text(text), ExitStatus.NOT_RUNNING)


def _unstored(number: int, away: NotRunning) -> str:
    return (
        f"that it is to stay stopped is NOT stored ({away}): it would run again after a restart of the desk; repeat "
        f"scripts/tradectl session stop {number} when keeper and database are back"
    )


def _has_ended(desk: Desk, number: int) -> bool:
    """Tell whether the trader ended because it was done, which it is when it is flat; a crash is restarted."""
    try:
        programs = desk.supervisor.processes()
    except Outage:
        return False
    return any(program.process == names.trader(number) and is_done(program) for program in programs)
