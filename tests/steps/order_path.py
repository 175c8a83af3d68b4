"""The modules of the order path: all between a decision and its booked fill that touches what is outside its process.

A line of a module that is pure (`engine/`, `domain/`, parsing and writing of messages) changes nothing that outlives
the process: to be killed in it is to be killed at the step before it, in the module that calls it. So every function
of the modules below is stepped through, and `test_order_path.py` fails when a process of the path loads a module that
does input or output and stands in none of the lists.
"""

from collections.abc import Mapping

OPERATIONS = ("", "submit", "modify", "cancel", "entry_row", "row", "told")
"""What a process may be busy with: the last three are the rows of an entry, other rows, and what the feed tells."""

_TRADESTATION = "tradeproc.brokers.tradestation.broker"
ENTRY_POINTS: Mapping[str, tuple[str, ...]] = {
    "trader": ("tradeproc.procs.trader.main",),
    "account": ("tradeproc.procs.account.main",),
    "link": ("tradeproc.procs.link.main", _TRADESTATION),
    "orders": ("tradeproc.procs.feeds.orders", _TRADESTATION),
}
"""What each of the processes loads, its broker included."""

_BUS = (
    "tradeproc.bus.node",
    "tradeproc.bus.publisher",
    "tradeproc.bus.requests",
    "tradeproc.bus.serving",
    "tradeproc.bus.subscriptions",
)
_HTTP = ("tradeproc.brokers.http_connection", "tradeproc.brokers.http_answer", "tradeproc.brokers.http_pool")
STEPPED: Mapping[str, tuple[str, ...]] = {
    "trader": (
        "tradeproc.procs.trader.trading",
        "tradeproc.procs.trader.perform",
        "tradeproc.procs.trader.audit_trail",
        "tradeproc.procs.trader.recorder",
        "tradeproc.procs.trader.decision_book",
        "tradeproc.store.store",
        "tradeproc.store.database",
        "tradeproc.store.lease",
        "tradeproc.store.journal",
        *_BUS,
    ),
    "account": ("tradeproc.procs.account.main", "tradeproc.bus.forwarding", *_BUS),
    "link": (
        "tradeproc.procs.link.main",
        "tradeproc.procs.link.asking",
        "tradeproc.procs.lanes",
        "tradeproc.brokers.tradestation.account_manager",
        "tradeproc.brokers.tradestation.rest",
        *_HTTP,
        *_BUS,
    ),
    "orders": (
        "tradeproc.procs.feeds.feed",
        "tradeproc.procs.feeds.account_feed",
        "tradeproc.brokers.tradestation.streams",
        *_HTTP,
        *_BUS,
    ),
}
"""The modules whose every function is stepped through, by the kind of process that is killed there."""

_START = "It works at the start of a process only, before any order."
_NO_ORDER = "It asks and tells what belongs to no order."
OFF_PATH: Mapping[str, str] = {
    "tradeproc.bus.client": "A person's commands, and questions for tokens; orders go through `requests`.",
    "tradeproc.bus.codec": "It is pure: `request` is a name of a message.",
    "tradeproc.bus.curve": "It admits other hosts; a message comes through the socket that it guards.",
    "tradeproc.bus.deadlines": "It is pure: `request` is a name of a message.",
    "tradeproc.bus.follow": "It asks for a snapshot after a loss; what it is told comes through `subscriptions`.",
    "tradeproc.bus.loop": "It calls the others, whose steps these are, and wakes itself through a pipe.",
    "tradeproc.bus.name_lock": _START,
    "tradeproc.brokers.tradestation.orders": "It is pure: `request` is the name of an order.",
    "tradeproc.clock": "It reads clocks; its file is a step of the clock that a test makes.",
    "tradeproc.durable": "It writes switches and secrets, and for the journal, at whose steps a process is killed.",
    "tradeproc.folders": _START,
    "tradeproc.home": _START,
    "tradeproc.procs.follower": "It says which feed is needed; what feeds tell comes through `subscriptions`.",
    "tradeproc.procs.link.feed_keeper": "It starts and ends feeds; no order waits for it.",
    "tradeproc.procs.token_source": "It asks for a token, before the request in whose steps a process is killed.",
    "tradeproc.procs.trader.heat_reporter": _NO_ORDER,
    "tradeproc.procs.trader.login_latch": _NO_ORDER,
    "tradeproc.procs.trader.main": _START,
    "tradeproc.procs.trader.past_contracts": _NO_ORDER,
    "tradeproc.procs.trader.roll_questions": _NO_ORDER,
    "tradeproc.procs.trader.summary": "It is pure: `open` is a name in what a trader tells of itself.",
    "tradeproc.procs.trader.terms": _NO_ORDER,
    "tradeproc.procs.trader.volume_watch": _NO_ORDER,
    "tradeproc.store.embedded": "The server's own start; a trader uses nothing of it but the address.",
    "tradeproc.store.kept": "It reads the keeper's switches; no order passes through them.",
    "tradeproc.store.leftover_server": "The server's own start; a trader uses nothing of it.",
    "tradeproc.store.migrate": "The server's own start; a trader only asks which version there is.",
    "tradeproc.store.portfolio_tables": _NO_ORDER,
    "tradeproc.supervision.client": "It starts and ends feeds; no order waits for it.",
    "tradeproc.supervision.feed_programs": "It starts and ends feeds; no order waits for it.",
    "tradeproc.supervision.groups": "It writes programs of feeds; no order waits for it.",
}
"""Modules that do input or output in these processes, or seem to, and why no order passes through them."""

_BY_NUMBER = "Only a group that an earlier version wrote asks the database, at its start, which account it has."
ELSEWHERE: Mapping[str, Mapping[str, str]] = {
    "trader": {},
    "account": {"tradeproc.store.database": _BY_NUMBER, "tradeproc.store.store": _BY_NUMBER},
    "link": {
        "tradeproc.procs.feeds.feed": "It takes from there where it lives; its feeds are processes of their own.",
        "tradeproc.brokers.tradestation.streams": "Its feeds are processes of their own.",
    },
    "orders": {
        "tradeproc.brokers.tradestation.account_manager": "The link sends orders and asks for them.",
        "tradeproc.brokers.tradestation.rest": "The link sends orders and asks for them.",
    },
}
"""Modules that are stepped through in another process of the path, and why not in this one."""
