"""`link-<login>.link`: the one process that talks REST to a broker for one login.

    main.py          order operations, questions, contract details
    feed_keeper.py   which feeds run: started when somebody needs them, pruned when nobody does

Start reading at `main.py`.
"""
