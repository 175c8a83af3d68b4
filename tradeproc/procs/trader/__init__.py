"""`session-<id>.trader`: strategy, candles, orders, position and risk of one trading session.

    main.py           its start: lease, journal, what the database knows; known_losses.py that of its losses
    trading.py        its events; perform.py its effects; commands.py what people and the keeper tell it
    audit_trail.py    where it writes: the database, or its journal while that is away
    login_latch.py    how the other sessions of a login hear of a latch that its engine has set
    recorder.py       what its engine was told, to be replayed; decision_book.py what its strategy wanted
    terms.py          the contract as the broker has it; hours.py when its market and its schedule end
    heat_reporter.py  what it tells the portfolio server of its heat, and hears of its portfolio
    contract_rolls.py what the rule says of its contract; volume_watch.py whether the next one trades more;
                      roll_questions.py what a roll asks
    witness_feed.py   the prices of a second data login
    past_contracts.py history over rolls
    timing.py         how long it waits for whom; replies.py replies as answers
    summary.py        what it tells of itself; session_profit.py its profit so far

Start reading at `trading.py`.
"""
