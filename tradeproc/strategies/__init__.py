"""Strategies: the contract, the loader, indicators and three worked examples.

A strategy is one file with one class: arguments with defaults, and one function that is called with every new
closed candle and returns one decision. Inside: pure code. Never: a clock, a socket, chance, a log, or an order sent
by itself.

    contract.py       what a strategy sees and what it may decide
    returned.py       what a strategy returned, read at the door
    loading.py        finds one by name and checks it; arguments.py its arguments
    folder.py         helper modules beside its file, and who may write them
    indicators.py     averages, ranges, highest and lowest over arrays
    moving_average_cross.py opening_range_breakout.py donchian_atr.py   the examples

Start reading at `moving_average_cross.py`, then `contract.py`.
"""
