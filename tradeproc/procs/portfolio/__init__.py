"""`core.portfolio`: sums over the sessions of this host, and the host's trading state.

    main.py          the process
    sums.py          the sum over sessions
    heat_server.py   heat on the bus
    ledger.py        the heat of portfolios, and who may add to it; ledger_values.py what goes in and out
    joint_book.py    the other limits of portfolios and accounts; joint_rows.py what the database knows of them

Start reading at `main.py`.
"""
