"""Every error and its verdict: whose fault it is, and what happens next.

    TradeprocError
        Refusal       the message is wrong: say no, write it down, go on
        Outage        the far side is away: wait with back-off, ask before repeating
        Fault         our bug or broken state: die, be restarted          exit 70
        Halt          only a person can fix it: die, stay down, alarm     exit 78

Leaf classes say what happened, never what to do; each lives beside the code that raises it.
"""

EXIT_DONE = 0
EXIT_FAULT = 70
EXIT_HALT = 78


class TradeprocError(Exception):
    """Anything tradeproc raises on purpose."""


class Refusal(TradeprocError):
    """The message is wrong; caught where it arrived, answered, counted, and life goes on."""


class Outage(TradeprocError):
    """The far side is away; caught by the loop that talks to it, which waits with back-off."""


class Fault(TradeprocError):
    """Our own bug or a broken state; caught by nobody, the process dies and is restarted."""


class Halt(TradeprocError):
    """Only a person can fix it; caught by the process entry point, which exits 78 and stays down."""


def exit_code(error: BaseException) -> int:
    """Return the exit code with which a process that dies of `error` must leave."""
    return EXIT_HALT if isinstance(error, Halt) else EXIT_FAULT
