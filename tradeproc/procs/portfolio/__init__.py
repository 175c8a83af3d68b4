"""`core.portfolio`: sums over the sessions of this host, and the host's trading state.

    main.py          the process
    sums.py          the sum over sessions

Start reading at `main.py`.
"""
