"""`core.tokens`: the access tokens of every login; the only process that refreshes them.

    main.py          the process
    login_tokens.py  the token of one login: fetched ahead of its end, given to whoever asks
    supply.py        where tokens come from; consent.py consent without a browser, on this machine only
    vault.py         where they rest, encrypted

Start reading at `main.py`.
"""
