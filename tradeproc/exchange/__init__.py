"""The matching engine: a small exchange in memory, for the local broker, and for all that needs fills without one.

Pure: (call, moment) in; answer and updates out. No clock, socket, file or chance, and nothing of any broker's wire
protocol. Prices are whole ticks of each contract's instrument, so that nothing is rounded.

    orders.py        values: tickets that come in, orders, fills, answers and updates that go out
    exchange.py      the exchange: step (a trade, a bar, the clock), place, replace, cancel, questions
    checks.py        what it declines, and why
    executions.py    what a trade or a bar sets in motion: orders, siblings, legs, positions, money
    matching.py      when and at which price an order executes
    order_groups.py  how orders look after each other: one cancels or reduces the other, an order sends orders
    order_index.py   all orders, by id, account, contract and group
    accounts.py      positions and money
    days.py          when the trading day of a contract ends

Start reading at `orders.py`, then `exchange.py`.
"""
