"""TradeStation: futures by its Web API v3, live and simulated by host name alone.

Pure readers: `fields.py` (one field), `wire.py` (accounts, balances, positions, orders), `market.py` (bars, terms of
contracts), `orders.py` (requests and their outcomes), `statuses.py`, `symbols.py`, `framing.py` (objects out of a
stream's bytes) and `stream_events.py` (what they mean). Shells around them: `rest.py` (one client on `http.py`, its
questions paced by `budget.py`), `lists.py` (whole lists or none), `account_manager.py`, `data_source.py`,
`streams.py`, `authorization.py`.
Code here decides nothing about an order and writes no token to disk.

Start reading at `broker.py`: what the broker declares.

Source: TradeStation API v3, https://api.tradestation.com/docs/.
"""

from tradeproc.brokers.tradestation.broker import BROKER

__all__ = ["BROKER"]
