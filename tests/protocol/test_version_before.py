"""Bodies of the version before: `tradectl upgrade` runs both versions side by side, and each must read the other's.

`version_before.json` is what that version wrote. What it knew must be in our bodies too, under the same keys.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from tradeproc.protocol import account_messages as account
from tradeproc.protocol import feed_messages as feeds
from tradeproc.protocol import link_messages as link
from tradeproc.protocol import process_messages as processes
from tradeproc.protocol import trader_messages as trader
from tradeproc.protocol.codec import BadMessage, Codec
from tradeproc.protocol.definitions import Method

RECORDED: dict[str, Any] = orjson.loads(Path(__file__).with_name("version_before.json").read_bytes())
CODECS: dict[str, Codec[Any]] = {
    "candle": feeds.CANDLE.codec,
    "candles": feeds.CANDLE.snapshot_codec,
    "order": feeds.ORDER.codec,
    "orders": feeds.ORDER.snapshot_codec,
    "positions": feeds.POSITION.snapshot_codec,
    "stream": feeds.STREAM.codec,
    "balance": account.BALANCE.codec,
    "streams": account.STREAMS.answer_codec,
    "resync": account.RESYNC.codec,
    "submit": link.SUBMIT.question_codec,
    "modify": link.MODIFY.question_codec,
    "cancel": link.CANCEL.question_codec,
    "need": link.NEED.question_codec,
    "need_orders": link.NEED.question_codec,
    "granted": link.NEED.answer_codec,
    "accepted": link.SUBMIT.answer_codec,
    "refused": link.MODIFY.answer_codec,
    "unanswered": link.CANCEL.answer_codec,
    "orders_answer": link.ORDERS.answer_codec,
    "history": link.HISTORY.answer_codec,
    "unknown": link.POSITIONS.answer_codec,
    "details": link.CONTRACT_DETAILS.answer_codec,
    "accounts": link.ACCOUNTS.answer_codec,
    "front_month": link.FRONT_MONTH.answer_codec,
    "trader_order": trader.ORDER.codec,
    "fill": trader.FILL.codec,
    "position": trader.POSITION.codec,
    "divergence": trader.DIVERGENCE.codec,
    "decision": trader.DECISION.codec,
    "set_trading_state": trader.SET_TRADING_STATE.question_codec,
    "stop": trader.STOP.question_codec,
    "trading_state": trader.STOP.answer_codec,
    "heartbeat": processes.HEARTBEAT.codec,
    "state": trader.STATE.codec,
    "status": processes.STATUS.answer_codec,
}

RECORDED_REQUEST = CODECS["submit"].read(RECORDED["submit"]).request


def test_every_recorded_body_is_read_here() -> None:
    assert CODECS.keys() == RECORDED.keys()


@pytest.mark.parametrize("name", CODECS)
def test_what_the_version_before_wrote_is_read_and_written_under_the_same_keys(name: str) -> None:
    codec, recorded = CODECS[name], RECORDED[name]

    assert lost(recorded, codec.plain(codec.read(recorded))) == []


@pytest.mark.parametrize(
    ("method", "question"),
    [
        (link.SUBMIT, link.PlaceOrder(RECORDED_REQUEST)),
        (link.MODIFY, link.ModifyOrder("B1", RECORDED_REQUEST.entry)),
        (link.CANCEL, link.CancelOrder("B1")),
    ],
)
def test_a_link_of_the_version_before_finds_the_time_without_which_it_refuses_an_exit(
    method: Method[Any, Any], question: link.Operation
) -> None:
    assert method.question_codec.plain(question)["timeout"] == 120.0


@pytest.mark.parametrize(("name", "place"), [("candle", ()), ("candles", ("candles", 0)), ("history", ("known", 0))])
def test_a_candle_that_does_not_say_whether_it_is_closed_is_none(name: str, place: tuple[Any, ...]) -> None:
    told = orjson.loads(orjson.dumps(RECORDED[name]))
    candle = told
    for step in place:
        candle = candle[step]
    del candle["closed"]

    with pytest.raises(BadMessage, match="closed is missing"):
        CODECS[name].read(told)


def test_a_new_tradectl_reads_the_state_of_a_trader_that_knows_no_data_login_and_counts_no_decisions() -> None:
    told = trader.ASK_STATE.answer_codec.read(RECORDED["state"])

    assert told == trader.STATE.snapshot_codec.read(RECORDED["state"])
    assert (told.data_login, told.why, told.decisions, told.closing) == ("", "", trader.DecisionCounts(), False)
    assert (told.position, told.average) == (1, Decimal("4800.25"))


def test_a_new_warden_hears_that_a_process_lives_which_counts_no_work_or_says_a_word_it_does_not_know() -> None:
    status = RECORDED["status"]

    assert processes.STATUS.answer_codec.read(status).work == 0
    for beat in (status, {**status, "state": "meditating"}):
        assert processes.LIFE_SIGN.codec.read(beat) == processes.LifeSign(status["pid"], status["loop"])


@pytest.mark.parametrize(
    ("name", "key"), [("state", "position"), ("state", "reconciled"), ("status", "loop"), ("heartbeat", "topics")]
)
def test_what_every_version_tells_may_not_be_left_out(name: str, key: str) -> None:
    told = {each: value for each, value in RECORDED[name].items() if each != key}

    with pytest.raises(BadMessage, match=f"{key} is missing"):
        CODECS[name].read(told)


def lost(recorded: Any, written: Any, at: str = "") -> list[str]:
    """Return the places of a recorded body that a written one has not, or not as the same value."""
    if isinstance(recorded, dict):
        if not isinstance(written, dict):
            return [at]
        found = [key for key in recorded if key not in written]
        inner = [lost(recorded[key], written[key], f"{at}.{key}") for key in recorded if key in written]
        return [f"{at}.{key}" for key in found] + [each for places in inner for each in places]
    if isinstance(recorded, list):
        if not isinstance(written, list) or len(written) != len(recorded):
            return [at]
        pairs = enumerate(zip(recorded, written, strict=True))
        return [each for number, (old, new) in pairs for each in lost(old, new, f"{at}[{number}]")]
    return [] if recorded == written and type(recorded) is type(written) else [at]
