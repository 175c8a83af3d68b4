"""Tools for the tests of this package, and for the tests of authors of strategies and brokers.

    candles.py         candles and tapes out of a few numbers
    strategies.py      the view of one moment, and a strategy's run over bars with every decision
    contract.py        the broker contract as a class of tests; order_contract.py its part about orders, and
                       list_contract.py that about lists that may be cut
    under_test.py      what a broker has to provide for the suite
    contract_parts.py  the requests and questions of the suite; listening.py reads a stream for it
    brokers.py         a running local broker, and any broker that speaks its protocol, ready for the suite
    desk.py            a whole desk on a tape in one process tree; running.py homes and single processes
    waiting.py         wait for a condition, never for a time

No process of a desk imports this package. The contract needs the extra `testing` (pytest, hypothesis). Start reading
at `strategies.py` or `contract.py`; `examples/` has a strategy and a broker with their tests.
"""

import sys

if (_pytest := sys.modules.get("pytest")) is not None:
    # pytest explains failed assertions only in modules that are registered, or that are test files
    _pytest.register_assert_rewrite(
        *(f"{__name__}.{name}" for name in ("contract", "order_contract", "list_contract", "contract_parts"))
    )
