"""A broker on loopback: a small matching engine on a tape, spoken to in a real broker's wire protocol.

    orders.py     values: tickets that come in, orders, fills, answers and updates that go out
    exchange.py   the engine: (call, moment) in; answer, updates and ledger records out
    floor.py      its inside: what an execution sets in motion, with its parts
                  checks.py refusals, matching.py prices, groups.py siblings and legs, accounts.py money, shelf.py
    ledger.py     every request, change and fill; journal.py the file from which a killed broker comes back
    tape.py       trades of the past, shipped, from a file (tape_files.py) or generated; bars.py bars made of them
    pace.py       market time from monotonic time: start, speed, pause
    market.py     all of it held together, with a clock: what the server talks to

Wall time stamps orders and fills, market time stamps ticks and bars; each record of the ledger carries both.
Pure below `market.py`: no clock, no socket, no chance. It knows nothing of HTTP and of status codes; the server
in TradeStation's dialect stands on top of it. Start reading at `orders.py`, then `exchange.py`.
"""
