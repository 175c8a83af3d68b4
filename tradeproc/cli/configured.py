"""What a start of the desk makes sure of before supervisord is started: its configuration can be used as a whole."""

from tradeproc.desk.installation import Desk
from tradeproc.localbroker.chosen import Choice, chosen
from tradeproc.localbroker.tape import check_tape
from tradeproc.procs.localbroker.main import configured_tape, folder_of


def check(desk: Desk, tape: Choice | None = None) -> None:
    """Refuse a configuration that some process would stay down for; `tape` is what is to be played, if it is known.

    Raises:
        BadConfig: the file, the key and what is allowed.
        BadTape: the local broker is enabled and its tape cannot be played.
    """
    desk.config.external_database()
    if desk.config.localbroker.enabled:
        tape = tape or chosen(folder_of(desk.home), configured_tape(desk.home, desk.config))
        check_tape(tape.tape, tape.reading)


def warnings(desk: Desk) -> list[str]:
    """Return a line for each login whose secrets are not there; the sessions of other logins run all the same."""
    return [trouble for login in desk.config.logins.values() if (trouble := login.trouble())]
