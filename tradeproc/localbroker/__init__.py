"""A broker on loopback: the exchange on a tape, spoken to in a real broker's wire protocol, with faults on demand.

    server.py     the process's loop; app.py the application; pipeline.py what each request passes
    dialects.py   the list of dialects; wire_forms.py what the server itself must know about one
    context.py    the state that all requests share; client_bounds.py limits of what a client may use without a token
    market.py     what the server talks to: tape, pace, exchange, books and journal together, with a clock
    books.py      every request, every change of an order, every fill; grid.py converts between points and ticks
    tape.py       trades of the past: shipped, from a file (tape_files.py) or generated; up_down_bars.py its bars
    chosen.py     which tape is played; pace.py market time from monotonic time: start, speed, pause
    journal.py    the file from which a killed broker is restored; forms.py how its records are written and read
    streams.py    answers without an end; wakeups.py how they wait
    faults.py     the faults that it produces on demand; order_faults.py those of orders in the market
    control.py    the control API; control_key.py who may use it; client.py the client of it
    written.py    settings as a file, for a local broker without a home
    tradestation/ the dialect of TradeStation, known only to this folder and dialects.py

Wall time stamps orders and fills, market time stamps ticks and bars; each record of the books has both. Start
reading at `market.py`, then `pipeline.py`. The matching engine is `tradeproc/exchange/`.
"""
