"""`tradectl alarms test`: one message through each target of the notifier, and what became of it."""

from argparse import ArgumentParser, Namespace

from rich.text import Text

from tradeproc.cli.outcome import Command, Outcome, positive
from tradeproc.desk.exit_status import CommandFailed, ExitStatus, WrongUsage, supervisorctl
from tradeproc.desk.installation import Desk
from tradeproc.protocol.names import NOTIFIER
from tradeproc.protocol.notifier_messages import TEST_TARGETS, TryTargets
from tradeproc.protocol.writing import plain

_SECONDS = 25.0


def add_to(parser: ArgumentParser, otherwise: Command) -> None:
    """Add the word `test` to the command that lists alarms; without it `otherwise` runs."""
    parser.add_argument("test", nargs="?", choices=("test",), help="send a test message through the targets instead")
    parser.add_argument("--target", type=positive, metavar="N", help="with test: this target only, from 1")

    def command(desk: Desk, arguments: Namespace) -> Outcome:
        if arguments.test:
            return test(desk, arguments)
        if arguments.target is not None:
            raise WrongUsage("--target goes with alarms test")
        return otherwise(desk, arguments)

    parser.set_defaults(command=command)


def test(desk: Desk, arguments: Namespace) -> Outcome:
    """Send a test message; exit 1 when a target did not take it.

    Raises:
        CommandFailed: the configuration has no target, or the notifier refused.
        NotRunning: the notifier is down.
    """
    if not desk.config.notifier.targets:
        raise CommandFailed(f"{desk.config.file} has no [[notifier.targets]]: nobody is told of alarms")
    if desk.supervisor.is_up() and not desk.is_alive(NOTIFIER):
        raise CommandFailed(f"the notifier is down; {supervisorctl('start', NOTIFIER.at_supervisord)}; see run/log")
    told = desk.ask(NOTIFIER, TEST_TARGETS, TryTargets(arguments.target), seconds=_SECONDS)
    lines = [
        f"{each.name}: {'delivered' if each.is_delivered else f'NOT delivered: {each.reason}'}"
        for each in told.targets
    ]
    is_well = all(each.is_delivered for each in told.targets)
    return Outcome(plain(told), Text("\n".join(lines)), ExitStatus.OK if is_well else ExitStatus.FAILED)
