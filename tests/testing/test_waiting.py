"""Waiting returns what it waited for, tells what it saw last, and hides no error that is not expected."""

import pytest

from tradeproc.errors import Outage
from tradeproc.testing.waiting import Late, wait_until


class Away(Outage):
    """Nobody answers."""


def test_the_first_true_value_is_returned() -> None:
    values = iter([0, None, "", "there", "later"])

    assert wait_until("a value", lambda: next(values)) == "there"


def test_a_condition_is_asked_once_even_when_there_is_no_time() -> None:
    assert wait_until("a value", lambda: 7, 0.0) == 7


def test_an_outage_is_not_yet_and_is_told_when_it_was_the_last_that_was_seen() -> None:
    def ask() -> bool:
        raise Away("nobody is there")

    with pytest.raises(Late, match=r"an answer not within 0.0 s; last seen Away\('nobody is there'\)"):
        wait_until("an answer", ask, 0.0)


def test_an_error_that_is_not_expected_ends_the_wait() -> None:
    asked = []

    def ask() -> bool:
        asked.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wait_until("a value", ask)
    assert len(asked) == 1
