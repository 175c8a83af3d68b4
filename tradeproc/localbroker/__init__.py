"""A broker on loopback: a small matching engine on a tape, spoken to in TradeStation's wire protocol.

The exchange: nothing of it knows HTTP or a broker's codes; below `market.py` it is pure (no clock, socket, chance).

    orders.py     values: tickets that come in, orders, fills, answers and updates that go out
    exchange.py   the engine: (call, moment) in; answer, updates and ledger records out
    floor.py      its inside: what an execution sets in motion, with its parts
                  checks.py refusals, matching.py prices, groups.py siblings and legs, accounts.py money, shelf.py
    ledger.py     every request, change and fill; journal.py the file from which a killed broker comes back
    tape.py       trades of the past, shipped, from a file (tape_files.py) or generated; bars.py the bars made of it
    chosen.py     which tape is played
    pace.py       market time from monotonic time: start, speed, pause
    market.py     all of it held together, with a clock: what the server talks to

The dialect on top of it.

    server.py     the process's loop; app.py all routes; gate.py what each request passes; desk.py what they share
    limits.py     what a client may take before it has shown a token; control_key.py who may use the remote control
    tickets.py    requests read; order_entry.py brokerage.py market_data.py sign_in_routes.py oauth.py answer them
    streams.py    endless answers; sources.py what they tell; wakes.py who waits for what
    numbers.py    how it is written: account_shapes.py market_shapes.py
    faults.py     the troubles it makes on demand; control.py client.py its remote control; testing.py one for tests

Wall time stamps orders and fills, market time stamps ticks and bars; each record of the ledger carries both. Start
reading at `orders.py`, then `exchange.py`.
"""
