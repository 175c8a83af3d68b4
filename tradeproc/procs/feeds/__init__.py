"""`link-<login>.bars-…`, `orders-…`, `positions-…`: one broker stream each, published as it comes.

    bars.py orders.py positions.py   the processes
    feed.py           what all share: one stream kept connected, its events on the bus's thread
    account_feed.py   what orders and positions share: a snapshot, its end, then each change in full

Start reading at `feed.py`.
"""
