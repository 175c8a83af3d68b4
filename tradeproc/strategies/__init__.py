"""Strategies: the contract, the loader, indicators and three worked examples.

A strategy is one file with one class: arguments with defaults, and one function that is called with every new
closed candle and returns one decision. Its code is pure: it uses no clock, socket, random number or log, and sends no
order itself.

    contract.py       what a strategy sees and what it may decide
    returned.py       checks what a strategy returned
    loading.py        finds one by name and checks it; arguments.py its arguments
    folder.py         imports helper modules beside its file, and refuses files that others may write
    indicators.py     averages, ranges, highest and lowest over arrays
    moving_average_cross.py opening_range_breakout.py donchian_atr.py   the examples

Start reading at `moving_average_cross.py`, then `contract.py`.
"""
