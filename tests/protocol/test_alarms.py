"""An alarm has one shape, and how bad it is follows from its name wherever it comes from."""

import pytest

from tradeproc.engine.alarms import AlarmName
from tradeproc.protocol import alarms, names, scopes
from tradeproc.protocol.alarms import Severity, group_and_name, name_in_group, scope_of, scope_of_kept, severity_of

# of the warden and the keeper
OTHERS = {
    "disk_full",
    "given_up",
    "cannot_start",
    "halted",
    "dies",
    "not_flat_at_end",
    "latches_unread",
    "latch_refused",
}


def test_the_table_of_dangers_names_alarms_that_there_are() -> None:
    assert {name.value for name in AlarmName} | OTHERS >= alarms._CRITICAL


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("position_uncovered", Severity.CRITICAL),
        ("given_up:trader", Severity.CRITICAL),
        ("core:given_up:jobs", Severity.CRITICAL),
        ("host:disk_low", Severity.WARNING),
        ("database_down", Severity.WARNING),
    ],
)
def test_a_name_tells_how_bad_it_is(name: str, severity: Severity) -> None:
    assert severity_of(name) is severity


def test_an_alarm_about_a_group_is_about_what_the_group_works_for() -> None:
    groups = (names.session_group(7), names.link_group("paper"), names.CORE)

    assert [scope_of(group) for group in groups] == ["session:7", "login:paper", scopes.HOST]
    assert [name_in_group(group, "dies") for group in groups] == ["dies", "link-paper:dies", "core:dies"]
    assert [group_and_name(group.session, name_in_group(group, "dies:x")) for group in groups] == [
        (group, "dies:x") for group in groups
    ]


@pytest.mark.parametrize(
    ("name", "severity", "scope"),
    [
        ("heat_warned:halted", Severity.WARNING, "portfolio:halted"),
        ("heat_unknown:dies", Severity.WARNING, "portfolio:dies"),
        ("heat_blocked:loss_limit_reached", Severity.WARNING, "portfolio:loss_limit_reached"),
        ("loss_limit_reached:portfolio:main", Severity.CRITICAL, "portfolio:main"),
        ("loss_limit_reached:account:SIM1", Severity.CRITICAL, "account:SIM1"),
    ],
)
def test_an_alarm_of_a_portfolio_or_an_account_is_as_bad_as_its_first_word_whatever_that_is_called(
    name: str, severity: Severity, scope: str
) -> None:
    assert severity_of(name) is severity
    assert scope_of_kept(None, name) == scope
