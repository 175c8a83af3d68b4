"""What tests of this package use, and what authors of strategies and brokers use in theirs.

    candles.py         candles and tapes out of a few numbers
    strategies.py      the view of one moment, and a strategy's run over bars with every decision
    contract.py        the broker contract as a class of tests; order_contract.py its part about orders
    under_test.py      what a broker brings along to be run through it
    contract_parts.py  what the suite sends and asks; listening.py how it hears a stream
    brokers.py         a running local broker, and any broker that speaks its protocol, ready for the suite
    desk.py            a whole desk on a tape in one process tree; running.py homes and single processes
    waiting.py         wait for a condition, never for a time

Nothing that trades imports this room. The contract needs the extra `testing` (pytest, hypothesis). Start reading at
`strategies.py` or `contract.py`; `examples/` has a strategy and a broker with their tests.
"""

import sys

if (_pytest := sys.modules.get("pytest")) is not None:
    # the failed assertions of the suite are explained as those of a test file are
    _pytest.register_assert_rewrite(
        *(f"{__name__}.{name}" for name in ("contract", "order_contract", "contract_parts"))
    )
