"""What supervisord does not know, added around it: relations between processes, limits, groups that come and go.

`client.py` asks supervisord over its socket; `groups.py` renders the groups it includes; `feeds.py` starts and ends
single programs inside a running group, with the help of `rpcinterface.py`, which runs inside supervisord itself.
`rules.py` (which restarts follow from a death) and `reconcile.py` (which groups should be there) are pure;
`listener.py` speaks supervisord's event protocol for the warden.

Never here: brokers, orders, prices. Start reading at `rules.py`.
"""
