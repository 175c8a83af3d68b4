"""A broker on loopback: the exchange on a tape, spoken to in a real broker's wire protocol, with faults on demand.

    server.py     the process's loop; app.py the application; pipeline.py what each request passes
    dialects.py   which dialects there are; wire_forms.py what the server itself must know of one
    context.py    what all requests share; client_bounds.py what a client may take before it has shown a token
    market.py     tape, pace, exchange, books and journal held together, with a clock: what the server talks to
    books.py      every request, every change of an order, every fill; grid.py between points and ticks
    tape.py       trades of the past, shipped, from a file (tape_files.py) or generated; up_down_bars.py its bars
    chosen.py     which tape is played; pace.py market time from monotonic time: start, speed, pause
    journal.py    the file from which a killed broker comes back
    streams.py    endless answers; wakeups.py who waits for what
    faults.py     the troubles it makes on demand
    control.py    its remote control; control_key.py who may use it; client.py the other end
    written.py    settings as a file, for a local broker without a home
    tradestation/ the dialect of TradeStation: nothing beside this folder and dialects.py knows it

Wall time stamps orders and fills, market time stamps ticks and bars; each record of the books carries both. Start
reading at `market.py`, then `pipeline.py`. The matching engine is `tradeproc/exchange/`.
"""
