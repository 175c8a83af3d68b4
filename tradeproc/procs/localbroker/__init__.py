"""`localbroker.localbroker`: the broker on this machine, on 127.0.0.1.

    main.py          the process

Start reading at `main.py`.
"""
