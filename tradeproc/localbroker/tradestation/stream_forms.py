"""What TradeStation's streams say beside their news: brokerage streams know StreamStatus, market data streams do not.

Source: tradestation.md, "Stream framing" and "Quirks reported".
"""

from tradeproc.localbroker.wire_forms import Line, StreamForm

_TAKEN_OVER: Line = {"Error": "DualLogon", "Message": "Another session of this user took over."}


def _heartbeat(number: int, at: str) -> Line:
    return {"Heartbeat": number, "Timestamp": at}


BROKERAGE = StreamForm(
    "application/vnd.tradestation.streams.v3+json",
    {"StreamStatus": "EndSnapshot"},
    {"StreamStatus": "GoAway"},
    _TAKEN_OVER,
    _heartbeat,
)
MARKET_DATA = StreamForm(
    "application/vnd.tradestation.streams.v2+json",
    None,
    {"Error": "GoAway", "Message": "The server is about to shut down."},
    _TAKEN_OVER,
    _heartbeat,
)
