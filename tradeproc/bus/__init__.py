"""ZeroMQ between processes: addresses, envelope, the node every process is built on.

Inside: sockets and what travels over them. Never: trading, a broker, the database.

node.py                    what a process uses: publish, subscribe, handle, request, timers, run
follow.py                  keeps a copy of somebody's state: snapshot, then every message after it
client.py                  the blocking side, for commands
forwarding.py              requests that are passed on unread
addresses.py name_lock.py  a process's name is its address; one living process a name
sockets.py curve.py        how sockets are made and limited; keys and admission for other hosts
publisher.py subscriptions.py requests.py serving.py   the four kinds of sockets
loop.py vitals.py          the poll loop they share; what a process says about itself each second
codec.py                   pure: envelope, request and reply as frames
gaps.py timers.py deadlines.py   what was missed, what is due, how much time a request has left

Start reading at node.py.
"""
