"""What the hot path is measured against: the same hops with nothing but pyzmq, orjson and httpx, a process each.

    candle published -> trader reads it, writes an order -> account passes it on -> link posts it

As on the desk there are three messages over ZeroMQ's ipc and a request over a connection that is kept open, to the
same socket, and each process decodes the JSON that it gets and encodes what it passes on. The baseline has no
strategy, engine, limits, sequence numbers, deadlines, access token, threads or database. Given a database's URL, its
trader makes one durable row of each order first: this is the baseline of a desk that must not lose an order.

Run as `python -m tradeproc.bench.baseline <trader|account|link> <folder> <url> [database]`; ends with its parent.
"""

import sys
from typing import Any

import httpx
import orjson
import psycopg
import zmq

from tradeproc.procs.entry import die_with_parent

Context = zmq.Context[Any]


def trader(context: Context, folder: str, _: str, database: str) -> None:
    """Hear candles, send an order for each."""
    connection = psycopg.connect(database, autocommit=True) if database else None
    if connection is not None:
        connection.execute("create table if not exists baseline_orders (number bigserial primary key, body text)")
    candles, account = context.socket(zmq.SUB), context.socket(zmq.DEALER)
    candles.connect(f"ipc://{folder}/feed")
    candles.setsockopt(zmq.SUBSCRIBE, b"candle")
    account.connect(f"ipc://{folder}/account")
    while True:
        candle = orjson.loads(candles.recv_multipart()[1])
        order = {
            "AccountID": "SIM0000001F",
            "Symbol": "ESH24",
            "Quantity": "1",
            "OrderType": "Limit",
            "TradeAction": "BUY",
            "TimeInForce": {"Duration": "IOC"},
            "LimitPrice": str(candle["close"]),
        }
        if connection is not None:
            connection.execute(
                "insert into baseline_orders (body) values (%s)", (orjson.dumps(order).decode(),), prepare=True
            )
        account.send_multipart([b"submit", orjson.dumps(order)])


def account(context: Context, folder: str, _: str, __: str) -> None:
    """Pass orders on."""
    server, link = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    server.bind(f"ipc://{folder}/account")
    link.connect(f"ipc://{folder}/link")
    while True:
        _, method, body = server.recv_multipart()
        link.send_multipart([method, orjson.dumps(orjson.loads(body))])


def link(context: Context, folder: str, url: str, _: str) -> None:
    """Post orders."""
    server = context.socket(zmq.ROUTER)
    server.bind(f"ipc://{folder}/link")
    with httpx.Client(trust_env=False, headers={"Content-Type": "application/json"}) as client:
        while True:
            client.post(url, content=orjson.dumps(orjson.loads(server.recv_multipart()[2])))


STAGES = {"trader": trader, "account": account, "link": link}

if __name__ == "__main__":
    die_with_parent()
    STAGES[sys.argv[1]](zmq.Context(), sys.argv[2], sys.argv[3], "".join(sys.argv[4:]))
