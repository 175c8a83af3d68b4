"""The floor of the hot path: the same hops with nothing but pyzmq, orjson and httpx, a process each.

    candle published -> trader reads it, writes an order -> account passes it on -> link posts it

Run as `python -m tradeproc.cli.bench.floor <trader|account|link> <folder> <url>`; ends with its parent.
"""

import sys
from typing import Any

import httpx
import orjson
import zmq

from tradeproc.procs.entry import die_with_parent

Context = zmq.Context[Any]


def trader(context: Context, folder: str, _: str) -> None:
    """Hear candles, send an order for each."""
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
        account.send_multipart([b"submit", orjson.dumps(order)])


def account(context: Context, folder: str, _: str) -> None:
    """Pass orders on."""
    server, link = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    server.bind(f"ipc://{folder}/account")
    link.connect(f"ipc://{folder}/link")
    while True:
        link.send_multipart(server.recv_multipart()[1:])


def link(context: Context, folder: str, url: str) -> None:
    """Post orders."""
    server = context.socket(zmq.ROUTER)
    server.bind(f"ipc://{folder}/link")
    with httpx.Client(trust_env=False, headers={"Content-Type": "application/json"}) as client:
        while True:
            client.post(url, content=server.recv_multipart()[2])


STAGES = {"trader": trader, "account": account, "link": link}

if __name__ == "__main__":
    die_with_parent()
    STAGES[sys.argv[1]](zmq.Context(), sys.argv[2], sys.argv[3])
