"""What people are told of the limits that sessions have together."""

from tradeproc.desk.joint_standing import limit_lines
from tradeproc.protocol.heat_messages import JointStanding

LIMITS = {"max_daily_loss": "2000", "max_orders_per_minute": "10", "max_position ES": "5"}
USED = {"max_daily_loss": "120.50", "max_orders_per_minute": "3", "max_position ES": "2"}


def test_each_limit_is_told_with_what_is_used_of_it_and_money_with_its_currency() -> None:
    assert limit_lines({}, JointStanding("portfolio:main", LIMITS, USED, "EUR"), "") == [
        ("max_daily_loss", "120.50 of 2000 EUR"),
        ("max_orders_per_minute", "3 of 10"),
        ("max_position ES", "2 of 5"),
    ]


def test_a_limit_that_is_reached_and_a_sum_that_is_unknown_say_what_follows() -> None:
    used = {"max_daily_loss": "unknown"}
    standing = JointStanding(
        "account:A1", {"max_daily_loss": "2000"}, used, "USD", "session 7 has not reported", "account A1: lost", 1
    )

    assert limit_lines({}, standing, "") == [
        ("max_daily_loss", "unknown of 2000 USD"),
        ("exits only", "account A1: lost"),
        ("unknown", "session 7 has not reported; entries wait"),
    ]


def test_while_the_server_is_away_the_stored_limits_are_told_with_the_reason() -> None:
    stored = {"max_daily_loss": 2000, "max_drawdown": None, "max_position": {}, "market_hours": "cme_equity"}

    assert limit_lines(stored, None, "the portfolio server does not say: no answer") == [
        ("max_daily_loss", "unknown of 2000: the portfolio server does not say: no answer")
    ]
