"""What a start of the desk makes sure of before supervisord is started: its configuration can be used as a whole."""

from tradeproc.cli.desk import Desk
from tradeproc.localbroker.tape import check_tape, located


def check(desk: Desk) -> None:
    """Refuse a configuration that some process would stay down for.

    Raises:
        BadConfig: the file, the key and what is allowed.
        BadTape: the local broker is enabled and its tape cannot be played.
    """
    desk.config.external_database()
    configured = desk.config.localbroker
    if configured.enabled:
        check_tape(located(configured.tape, desk.home.root))


def warnings(desk: Desk) -> list[str]:
    """Return a line for each login whose secrets are not there; the sessions of other logins run all the same."""
    return [trouble for login in desk.config.logins.values() if (trouble := login.trouble())]
