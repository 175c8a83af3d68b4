"""`session-<id>.account`: order operations and account events of one trading session.

    main.py          the account manager
    by_number.py     its start by a command that does not tell login and account

Start reading at `main.py`.
"""
