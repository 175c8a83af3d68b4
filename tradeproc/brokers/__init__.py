"""Brokers: `contract.py`, `credentials.py` for signing in, a folder a broker; `keys.py` and `registry.py` find them.

How to implement a broker:

1. Make a folder here, or a package of your own with an entry point in the group `tradeproc.brokers`
   (`[project.entry-points."tradeproc.brokers"] mybroker = "my_package:BROKER"`). Nothing else is touched.
2. Give it an object `BROKER` that has everything `contract.Broker` lists; its `key` is the folder's or entry
   point's name. What the broker cannot do it declares (`is_data_source`, `has_account_management`) and may leave out;
   how it is signed in to as well (`credential_kind`), with an `Authorization` that can `acquire` and `renew`.
3. Translate at your edge and nowhere else: symbols by a `SymbolAdapter`, prices to the exchange's own scale,
   statuses to `OrderState`, the broker's errors to the three answers and the three outcomes. Never raise for what
   a network or a broker does; never send an order twice; end every stream with `StreamEnded`.
   `http_connection.py` (with `http_origin.py`, `http_answer.py`, `http_pool.py`) is a client of HTTP/1.1 that tells
   exactly whether a request may have been sent; use it where a broker speaks that.
4. Run it through the suite: `tradeproc/testing/contract.py` says how to drive its server.

Code here translates between the contract and wire protocols. It decides nothing about orders, and uses neither the
bus nor the database. Start reading at `contract.py`, then `tradestation/__init__.py` as the worked example.
"""
