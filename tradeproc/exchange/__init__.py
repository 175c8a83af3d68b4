"""The matching engine: a small exchange in memory, for the local broker, and for all that needs fills without one.

Pure: a call and its moment go in, an answer and updates come out. It uses no clock, socket, file or random number and
no broker's wire protocol. Prices are whole ticks of each contract's instrument, so that nothing is rounded.

    orders.py        values: tickets that come in, orders, fills, answers and updates that go out
    exchange.py      the exchange: step (a trade, a bar, the clock), place, replace, cancel, questions
    checks.py        what it declines, and why
    executions.py    what a trade or a bar changes: orders, siblings, legs, positions, money
    matching.py      when and at which price an order executes
    order_groups.py  what an event of one order does to the others of its group
    order_index.py   all orders, by id, account, contract and group
    accounts.py      positions and money
    days.py          when the trading day of a contract ends

Start reading at `orders.py`, then `exchange.py`.
"""
