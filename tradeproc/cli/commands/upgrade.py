"""Live upgrade: `tradectl upgrade` after new code was installed into the home's `.venv`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import suppress

from rich.text import Text

from tradeproc.cli import configured
from tradeproc.cli.outcome import Outcome, SubParsers
from tradeproc.cli.quickstart.preflight import interrupt_on_signals
from tradeproc.cli.rollout import Batch, Rollout, check_new_code, plan
from tradeproc.desk.exit_status import ExitStatus, NotFound, NotRunning
from tradeproc.desk.installation import Desk
from tradeproc.desk.readiness import Readiness
from tradeproc.errors import TradeprocError
from tradeproc.protocol import names
from tradeproc.supervision.client import SupervisorAway

SECONDS = 90.0


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the command of this module."""
    text = (
        "restart every process onto the code that is installed now, one after the other, each well before the next; "
        "positions and working orders stay as they are. supervisord itself is not restarted: down and up do that"
    )
    parser = subparsers.add_parser(
        "upgrade", help="restart onto new code, group by group", description=text, parents=parents
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="only these, as session-2 or core.jobs")
    parser.add_argument("--postgres", action="store_true", help="restart the embedded database too")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="N", help="what each has to be well again (%(default)g)"
    )
    parser.set_defaults(command=upgrade)


def upgrade(desk: Desk, arguments: Namespace) -> Outcome:
    """Roll the new code out; the first process that does not come up ends it, with code 1."""
    try:
        batches = plan(
            desk.supervisor.processes(), with_postgres=arguments.postgres or names.POSTGRES in arguments.groups
        )
    except SupervisorAway:
        raise NotRunning("the desk is not running; scripts/tradectl up starts it, on the new code") from None
    for named in arguments.groups:
        if not any(named in (batch.group, batch.name) for batch in batches):
            raise NotFound("running group or process", named, "scripts/tradectl status lists them")
    if arguments.groups:
        batches = [batch for batch in batches if {batch.group, batch.name} & set(arguments.groups)]
    configured.check(desk)
    check_new_code(desk)

    def tell(text: str) -> None:
        if not arguments.json:
            # the terminal may be gone
            with suppress(OSError):
                print(text, flush=True, file=sys.stderr)

    interrupt_on_signals()
    rollout = Rollout(desk, arguments.seconds, tell)
    try:
        rollout.run(batches)
    except TradeprocError as error:
        return _stopped(error, rollout, batches)
    # what was down before is left down, and the person is told so
    missing = Readiness(desk).look()
    for each in missing:
        tell(f"tradectl: {each}")
    value = {"upgraded": rollout.done, "not_up": [each.to_dict() for each in missing]}
    rest = f"; not up: {', '.join(each.process for each in missing)}" if missing else ""
    return Outcome(value, Text(f"the desk is on the new code: {len(rollout.done)} restarts{rest}"))


def _stopped(error: TradeprocError, rollout: Rollout, batches: Sequence[Batch]) -> Outcome:
    names = [batch.name for batch in batches]
    at = names.index(rollout.at) if rollout.at else 0
    left = [name for name in names[at:] if name not in rollout.begun]
    unproven = [name for name in rollout.begun if name not in rollout.done]
    text = f"the upgrade stopped at {rollout.at or 'its beginning'}: {error}"
    for what, which in (
        ("on the new code", rollout.done),
        ("started anew and not seen well", unproven),
        ("still on the old code", left),
    ):
        text += f"; {what}: {', '.join(which)}" if which else ""
    value = {
        "upgraded": rollout.done,
        "failed": rollout.at,
        "unproven": unproven,
        "error": str(error),
        "left": left,
        "exit": int(ExitStatus.FAILED),
    }
    return Outcome(value, Text(text), ExitStatus.FAILED)
