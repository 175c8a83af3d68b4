"""What a session is asked to do, as a table: which logins it names."""

import pytest

from tradeproc.domain.session import BadSession, SessionSpec

TABLE = {
    "name": "cross",
    "login": "paper",
    "account": "SIM1",
    "contract": "ESH24",
    "minutes": 1,
    "strategy": "moving_average_cross",
    "quantity": 1,
    "environment": "paper",
    "limits": {"max_order": 1, "max_position": 1},
}


def test_the_login_of_the_orders_serves_the_bars_unless_another_one_is_named() -> None:
    alone, apart = SessionSpec.from_dict(TABLE), SessionSpec.from_dict(TABLE | {"data_login": "data"})

    assert (alone.login_of_data, alone.logins) == ("paper", ("paper",))
    assert (apart.login_of_data, apart.logins) == ("data", ("paper", "data"))
    assert SessionSpec.from_dict(TABLE | {"data_login": "paper"}).logins == ("paper",)


@pytest.mark.parametrize("more", [{}, {"data_login": "data"}])
def test_a_data_login_is_written_only_where_one_is_named(more: dict[str, str]) -> None:
    spec = SessionSpec.from_dict(TABLE | more)

    plain = spec.to_dict()

    assert plain.get("data_login") == more.get("data_login")
    assert SessionSpec.from_dict(plain) == spec


def test_a_data_login_that_can_be_no_login_is_refused() -> None:
    with pytest.raises(BadSession, match=r"data_login: 'Data Feed' is not allowed; write up to 16 small letters"):
        SessionSpec.from_dict(TABLE | {"data_login": "Data Feed"})
