"""`core.postgres`: the embedded database, where no external one is configured.

    main.py          the process

Start reading at `main.py`.
"""
