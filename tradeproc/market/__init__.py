"""Prices over time: candles and how they are made of trades, and tapes as files hold them.

Pure: bytes and arrays go in, arrays come out; no clock, no socket. Strategies, the engine and the local broker use
it.

    candle_series.py  closed candles of one contract and interval as numpy arrays, and the forming one
    bars.py           turns many trades into bars at once; bars_live.py does it trade by trade
    continuous.py     bars of two contracts as one history, over a roll
    tape_files/       reads the exports of other vendors

Start reading at `candle_series.py`.
"""
