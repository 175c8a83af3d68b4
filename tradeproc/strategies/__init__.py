"""Strategies: the contract (`contract.py`), the loader, indicators and three worked examples.

A strategy is one file with one class: arguments with defaults, and one function that is called with every new
closed candle and returns one decision. Inside: pure code. Never: a clock, a socket, chance, a log, or an order sent
by itself. Start reading at `moving_average_cross.py`, then `contract.py`.
"""
