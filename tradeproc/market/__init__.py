"""Prices over time: candles and how they are made of trades, and tapes as files hold them.

Pure: no clock, no socket; bytes and arrays in, arrays out. Strategies, the engine, the local broker and a backtest
all stand on it.

    candle_series.py  closed candles of one contract and interval as numpy arrays, and the forming one
    bars.py           trades into bars, many at once; bars_live.py the same trade by trade
    tape_files/       the exports of other vendors, as they come

Start reading at `candle_series.py`.
"""
