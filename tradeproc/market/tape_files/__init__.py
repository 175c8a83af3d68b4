"""Tapes as files: bytes in, numpy arrays out. Pure: no file, clock or log; `localbroker/` opens the files.

    lines.py        chunks of bytes into blocks of whole lines, whatever the encoding and line ends
    cells.py        a block of lines into cells: where each begins and ends, and which are written alike
    columns.py      cells into prices, sizes and names
    moments.py      cells into times; zones.py local times into UTC, across changes of the clock
    date_order.py   whether 02/01/2024 begins with the month or the day
    formats.py      which export this is: separator, header, what each column means
    naming.py       contracts as vendors and file names write them
    grid.py         prices onto the tick grid, also where a vendor rounded a fraction
    row_blocks.py   the rows of a file as columns, block by block
    file_reading.py uses all of these: a file's bytes into trades, or the one error `UnreadableTape`
    findings.py     what a person should know about a tape: gaps, duplicates, stamps that contradict the market hours

Start reading at `file_reading.py`.
"""
