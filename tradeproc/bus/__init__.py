"""ZeroMQ between processes: addresses, envelope, the node every process is built on.

Inside: sockets and what travels over them. Never: trading, a broker, the database.

topics.py                  who says what to whom, how often, and by when an answer is due
addresses.py presence.py   a process's name is its address; one living process a name
codec.py                   pure: envelope, request and reply as frames
gaps.py timers.py          pure: what was missed, what is due
publisher.py subscriptions.py requests.py serving.py   the four kinds of sockets
node.py                    the loop that owns them; follow.py keeps a copy of somebody's state
curve.py                   keys and admission for other hosts
client.py                  the blocking side for commands

Start reading at topics.py, then node.py.
"""
