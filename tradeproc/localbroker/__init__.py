"""A broker on loopback: a small matching engine on a tape, spoken to in a real broker's wire protocol.

    tape.py tape_files.py bars.py   trades of the past (shipped, from a file, generated) and bars made of them
    pace.py                         market time from monotonic time: start, speed, pause
    orders.py                       values: tickets that come in, orders, fills, updates that go out
    exchange.py                     the engine: accounts, orders, groups; (call, moment) in, updates and records out
    floor.py shelf.py matching.py groups.py checks.py accounts.py   its parts: what an execution sets in motion, orders by
                           index, prices, siblings and legs, refusals, money
    ledger.py journal.py   every request, change and fill; the file from which a killed broker comes back
    market.py                       all of it held together, with a clock: what the server talks to

Wall time stamps orders and fills, market time stamps ticks and bars; each record of the ledger carries both.
Pure below `market.py`: no clock, no socket, no chance. It knows nothing of HTTP and of status codes; the server
in TradeStation's dialect stands on top of it. Start reading at `orders.py`, then `exchange.py`.
"""
