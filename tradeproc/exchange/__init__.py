"""The matching engine: a small exchange in memory, for the local broker, and for all that needs fills without one.

Pure: (call, moment) in; answer, updates and ledger records out. No clock, socket, file or chance, and nothing of any
broker's wire protocol.

    orders.py        values: tickets that come in, orders, fills, answers and updates that go out
    exchange.py      the exchange: place, replace, cancel, tick, the end of a day, questions
    checks.py        what it declines, and why
    executions.py    what an execution sets in motion: orders, siblings, legs, positions, money
    matching.py      when and at which price an order executes
    order_groups.py  how orders look after each other: one cancels other, order sends order
    order_index.py   all orders, by id, account, contract and group
    accounts.py      positions and money
    ledger.py        every request, every change, every fill

Start reading at `orders.py`, then `exchange.py`.
"""
