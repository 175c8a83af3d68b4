"""`link-<login>.link`: the one process that talks REST to a broker for one login.

    main.py               order operations, questions, contract details
    asking.py             one question to a broker's adapter: whatever comes of it is an answer
    shared_questions.py   what the sessions of an account ask again and again, asked once for all of them
    question_pool.py      which of these questions is asked when, within the broker's quota; pure
    feed_keeper.py        which feeds run: started when somebody needs them, pruned when nobody does

Start reading at `main.py`.
"""
