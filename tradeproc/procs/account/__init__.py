"""`session-<id>.account`: order operations and account events of one trading session.

    main.py          the account manager

Start reading at `main.py`.
"""
