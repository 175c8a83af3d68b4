"""Benchmarks: ratios within one run, so that they mean the same on a slow and on a busy machine.

    __main__.py   arguments, the table, the JSON file
    figures.py    what a measurement hands over
    candles.py    bulk candles against polars and pandas
    bus.py        the bus against bare pyzmq; pairs.py are its four processes
    engine.py     one step of the engine: a bar without a decision, a look at the clock
    whole_desk.py    what needs a running desk: desk.py starts one in a temporary home, processes.py asks the kernel
    hot_path.py      candle to order; every_bar.py is the strategy, sink.py where orders arrive, baseline.py bare hops
    reservation.py   what a reservation of heat adds to that way
    recovery.py      kill -9 until trading again, against bare.py; in_and_out.py is the strategy, wellness.py the end
    detection.py     how long it takes to notice a hang or a silent stream
    missed_fills.py  how long a fill stays unknown whose frame was dropped, with sixteen sessions on a login
    stops.py         how long a broker can lie about stops; long_only.py is the strategy

No trading process imports this package; polars and pandas are imported only here. Start reading at __main__.py.
"""
