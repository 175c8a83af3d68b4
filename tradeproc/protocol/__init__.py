"""What processes say to each other: names of processes and scopes, as values that are built and read in one place.

Pure: no socket, no clock. The bus carries these as texts; nobody else puts them together or takes them apart.

    names.py     processes and the groups they run in, as `session-7.trader` in `session-7`
    scopes.py    what a latch or an alarm is about, as `session:7`

Start reading at `names.py`.
"""
