"""What the comparison of the books must see; each line here was once invisible to it."""

from tests.drills.desk import excesses, order_differences

OURS = {"id": "a1", "broker_id": "7", "quantity": 1, "filled": 0, "limit_price": None, "stop_price": "4790.00"}
THEIRS = {"id": "7", "status": "open", "quantity": 1, "filled": 0, "limit": None, "stop": "4790"}


def test_equal_orders_do_not_differ() -> None:
    assert order_differences([OURS], [THEIRS]) == []


def test_an_order_that_only_one_side_holds_for_open_is_a_difference() -> None:
    assert order_differences([], [THEIRS]) == ["order 7 is open at the broker, not in the engine"]
    assert order_differences([OURS], [{**THEIRS, "status": "filled"}]) == [
        "order a1 (7) is open in the engine, not at the broker"
    ]


def test_a_stop_at_another_price_and_a_fill_that_was_not_heard_are_differences() -> None:
    assert order_differences([OURS], [{**THEIRS, "stop": "4791", "filled": 1}]) == [
        "a1: filled 0 in the engine, 1 at the broker",
        "a1: stop 4790.00 in the engine, 4791 at the broker",
    ]


def test_an_entry_that_was_made_twice_is_an_excess_even_when_it_is_closed_again() -> None:
    fills = [
        {"id": number, "order_id": str(number), "side": side, "quantity": 1}
        for number, side in enumerate(["buy", "buy", "sell", "sell"])
    ]

    assert excesses(fills, 1) == ["2 contracts held after fill 1 of order 1, 1 allowed"]
    assert excesses(fills, 2) == []
