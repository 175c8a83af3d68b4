"""`scripts/quickstart`: a whole trading session on the local broker, the first command of the README.

    main.py          from nothing to the day's trades
    preflight.py     what it makes sure of before it starts or removes anything
    foreign_tape.py  a tape of somebody's own
    life.py          which life of a desk it started, so that it acts on no other
    run_report.py    what it says of the strategy at the end

Start reading at `main.py`.
"""
