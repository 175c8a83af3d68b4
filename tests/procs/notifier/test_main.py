"""The notifier on a real bus, with real HTTP servers as targets: heard, lost, killed, hanging, away."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.actor import Actor
from tests.desk.states import told
from tests.procs.notifier.listener import Listener, listening
from tests.procs.stage import Stage
from tradeproc.bus.client import NoReply, RequestRefused
from tradeproc.clock import SECOND, wall_ns
from tradeproc.config import BadConfig, load
from tradeproc.domain.units import Nanos
from tradeproc.home import Home
from tradeproc.procs.notifier import main as notifier_main
from tradeproc.procs.notifier.main import Notifier, NotifierTiming, rules_of, targets_of
from tradeproc.procs.notifier.targets import Target, silence
from tradeproc.procs.notifier.telling import TellingRule
from tradeproc.procs.notifier.told_file import ToldFile
from tradeproc.protocol import names, scopes
from tradeproc.protocol.alarms import ALARM, Alarm, severity_of
from tradeproc.protocol.trader_messages import STATE
from tradeproc.testing.waiting import wait_until

QUICK = NotifierTiming(step=0.02, look=0.05, ask=0.05, settle=0.0, overdue=0.2)
RULE = TellingRule(first_back_off=Nanos(SECOND // 10))
TRADER = names.trader(1)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as server:
        yield server


@pytest.fixture
def other() -> Iterator[Listener]:
    with listening() as server:
        yield server


def enter(stage: Stage, folder: Path, *urls: str, rule: TellingRule = RULE) -> Actor:
    silence()
    targets = [(Target(number, url), rule) for number, url in enumerate(urls, 1)]
    return stage.enter(names.NOTIFIER, lambda node: Notifier(node, "my desk", targets, ToldFile(folder), QUICK))


def say(actor: Actor, name: str, *, cleared: bool = False, scope: scopes.Scope = scopes.of_session(1)) -> None:  # noqa: B008
    alarm = Alarm(TRADER, name, scope, severity_of(name), Nanos(wall_ns()), "why", cleared)
    actor.do(lambda: actor.node.publish(ALARM, alarm))


def state_of(*alarms: str) -> Any:
    return STATE.codec.read({**told(), "session": 1, "alarms": dict.fromkeys(alarms, "why")})


def enter_trader(stage: Stage, *alarms: str) -> Actor:
    """Enter a trader that tells its state like a real one, with these alarms standing."""
    return stage.enter(TRADER, lambda node: node.every(0.05, lambda: node.publish(STATE, state_of(*alarms))))


def test_an_alarm_on_the_bus_reaches_the_target_and_its_end_too(
    on_stage: Stage, tmp_path: Path, listener: Listener
) -> None:
    warden = on_stage.enter(names.WARDEN)
    enter(on_stage, tmp_path / "n", listener.url)
    wait_until("the alarm is heard", lambda: say(warden, "given_up:trader") or listener.messages)

    say(warden, "given_up:trader", cleared=True)
    wait_until("the end is told", lambda: len(listener.messages) > 1)

    say(warden, "disk_full", scope=scopes.HOST)
    wait_until("the next is told", lambda: len(listener.messages) > 2)
    assert listener.titles() == [
        "[my desk] CRITICAL session 1: given_up:trader",
        "[my desk] OVER session 1: given_up:trader",
        "[my desk] CRITICAL the desk: disk_full",
    ]
    assert "You: Read its log" in listener.messages[0]["message"]


def test_what_a_trader_has_standing_is_told_without_any_database_or_keeper(
    on_stage: Stage, tmp_path: Path, listener: Listener
) -> None:
    enter(on_stage, tmp_path / "n", listener.url)

    enter_trader(on_stage, "position_uncovered")

    wait_until("it is told", lambda: listener.messages)
    assert listener.titles() == ["[my desk] CRITICAL session 1: position_uncovered"]


def test_after_a_restart_only_what_was_not_told_is_told(on_stage: Stage, tmp_path: Path, listener: Listener) -> None:
    trader = enter_trader(on_stage, "position_uncovered")
    first = enter(on_stage, tmp_path / "n", listener.url)
    wait_until("it is told", lambda: listener.messages)
    listener.status = 503
    warden = on_stage.enter(names.WARDEN)
    wait_until("a second is heard and not taken", lambda: say(warden, "disk_full") or listener.asked > 1)
    first.node.stop()
    first.join()

    listener.status = 200
    enter(on_stage, tmp_path / "n", listener.url)

    wait_until("the second is told", lambda: len(listener.messages) > 1)
    assert trader.is_alive
    assert listener.titles() == [
        "[my desk] CRITICAL session 1: position_uncovered",
        "[my desk] CRITICAL session 1: disk_full",
    ]


def test_one_that_was_killed_between_delivery_and_its_file_tells_it_once_more(
    on_stage: Stage, tmp_path: Path, listener: Listener
) -> None:
    enter_trader(on_stage, "position_uncovered")
    first = enter(on_stage, tmp_path / "n", listener.url)
    wait_until("it is told", lambda: listener.messages)
    first.node.stop()
    first.join()
    # the file as it was before the delivery was written
    (tmp_path / "n" / "told.json").unlink()

    enter(on_stage, tmp_path / "n", listener.url)

    wait_until("it is told once more", lambda: len(listener.messages) > 1)
    assert len(set(listener.titles())) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"book": 7}', b'{"book": {"a": {}}}', b"\xff\x00"])
def test_a_spoilt_file_is_put_aside_and_what_stands_is_told(tmp_path: Path, content: bytes) -> None:
    file = ToldFile(tmp_path / "n")
    (tmp_path / "n" / "told.json").write_bytes(content)

    assert file.read().book == {}
    assert (tmp_path / "n" / "told.json.damaged").read_bytes() == content


def test_a_target_that_hangs_or_is_dead_holds_up_no_other_and_is_told_of(
    on_stage: Stage, tmp_path: Path, listener: Listener, other: Listener
) -> None:
    listener.status = 500
    enter_trader(on_stage, "position_uncovered")
    hanging = other
    hanging.status = 0

    with listening() as well:
        notifier = enter(on_stage, tmp_path / "n", listener.url, hanging.url, well.url)
        failing, ended = (f"[my desk] {word} the desk: undelivered:1" for word in ("WARNING", "OVER"))
        wait_until("the third has it and hears of the first", lambda: failing in well.titles())
        status = on_stage.ask(names.NOTIFIER, "status")
        listener.status = 200
        wait_until("the first gets it when it is well again", lambda: listener.messages)
        wait_until("the third hears that it is", lambda: ended in well.titles())

    assert notifier.is_alive
    assert well.titles()[0] == "[my desk] CRITICAL session 1: position_uncovered"
    assert (status["state"], "target 1 (JSON) does not take alarms: answered 500" in status["detail"]) == (
        "degraded",
        True,
    )
    assert "hunter2" not in str(status)


def test_a_target_that_never_answers_is_told_of_by_the_others(
    on_stage: Stage, tmp_path: Path, listener: Listener, other: Listener
) -> None:
    other.status = 0
    enter_trader(on_stage, "position_uncovered")

    enter(on_stage, tmp_path / "n", listener.url, other.url)

    wait_until("the other hears", lambda: "[my desk] WARNING the desk: undelivered:2" in listener.titles())
    told = on_stage.ask(names.NOTIFIER, "status")["detail"]
    assert told == "target 2 (JSON) does not take alarms: no answer within 0.2 s"


def test_an_alarm_is_not_over_because_its_trader_was_killed_and_has_not_looked_yet(
    on_stage: Stage, tmp_path: Path, listener: Listener
) -> None:
    patient = replace(QUICK, settle=60.0)
    silence()
    on_stage.enter(
        names.NOTIFIER,
        lambda node: Notifier(node, "my desk", [(Target(1, listener.url), RULE)], ToldFile(tmp_path / "n"), patient),
    )
    trader = enter_trader(on_stage, "position_uncovered")
    wait_until("it is told", lambda: listener.messages)
    trader.stop()

    enter_trader(on_stage, "lease_lost")

    wait_until("the next is told", lambda: len(listener.messages) > 1)
    assert listener.titles() == [
        "[my desk] CRITICAL session 1: position_uncovered",
        "[my desk] CRITICAL session 1: lease_lost",
    ]


def test_a_block_of_a_portfolio_whose_end_was_missed_is_over_by_the_servers_own_list(
    on_stage: Stage, tmp_path: Path, listener: Listener
) -> None:
    standing: list[str] = ["heat_blocked:main"]
    portfolio = on_stage.enter(
        names.PORTFOLIO, lambda node: node.add_statistics(lambda: {"alarms": dict.fromkeys(standing, "too hot")})
    )
    enter(on_stage, tmp_path / "n", listener.url)
    wait_until("it is told", lambda: listener.messages)

    portfolio.do(standing.clear)

    wait_until("its end is told", lambda: len(listener.messages) > 1)
    assert listener.titles() == [
        "[my desk] WARNING portfolio main: heat_blocked:main",
        "[my desk] OVER portfolio main: heat_blocked:main",
    ]


def test_a_thousand_alarms_at_once_are_a_few_messages_and_one_summary(
    on_stage: Stage, tmp_path: Path, listener: Listener
) -> None:
    rule = replace(RULE, hourly_most=3)
    notifier = enter(on_stage, tmp_path / "n", listener.url, rule=rule)

    enter_trader(on_stage, *(f"trouble:{number}" for number in range(1000)))

    wait_until("the summary is told", lambda: len(listener.messages) == 3)
    assert "998 alarms" in listener.titles()[2]
    assert len(listener.messages[2]["message"]) <= 1600
    assert on_stage.ask(names.NOTIFIER, "status")["state"] == "ready"
    assert notifier.is_alive


def test_a_full_disk_keeps_no_alarm_back_and_is_told_of(on_stage: Stage, tmp_path: Path, listener: Listener) -> None:
    folder = tmp_path / "n"
    enter(on_stage, folder, listener.url)
    # a folder in the place of the file cannot be replaced by it, as little as a file on a full disk can be written
    (folder / "told.json").mkdir()

    enter_trader(on_stage, "position_uncovered")

    wait_until("it is told", lambda: listener.messages)
    wait_until(
        "its status says so",
        lambda: "what was told cannot be written" in on_stage.ask(names.NOTIFIER, "status")["detail"],
    )


@pytest.mark.parametrize("status", [401, 404, 429])
def test_whatever_refuses_is_told_with_its_answer_and_never_with_the_address(
    tmp_path: Path, listener: Listener, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    listener.status = status
    answers: list[str] = []
    silence()

    with caplog.at_level(logging.DEBUG):
        Target(1, listener.url.replace("/alarms", "/bot77:hunter2/x")).send(
            "t", "b", answers.append, is_critical=True
        )
        wait_until("it has answered", lambda: answers)

    assert answers == [f"answered {status}"]
    assert "hunter2" not in caplog.text


def test_an_answer_that_nobody_can_read_writes_no_address_into_a_log(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    listener.headers = "no header at all\r\n: neither\r\n"
    answers: list[str] = []
    silence()

    with caplog.at_level(logging.DEBUG):
        Target(1, listener.url.replace("/alarms", "/bot77:hunter2/x")).send(
            "t", "b", answers.append, is_critical=True
        )
        wait_until("it has answered", lambda: answers)

    assert "hunter2" not in caplog.text + str(answers)


def test_a_text_that_is_too_long_for_a_service_is_cut_unless_its_address_says_otherwise(listener: Listener) -> None:
    service = Target(1, listener.url)._service[0]
    split = Target(2, f"{listener.url}?overflow=split")._service[0]

    assert (service.overflow_mode, split.overflow_mode) == ("truncate", "split")


def test_a_standing_alarm_is_repeated(on_stage: Stage, tmp_path: Path, listener: Listener) -> None:
    enter_trader(on_stage, "position_uncovered")
    enter(on_stage, tmp_path / "n", listener.url, rule=replace(RULE, repeats=(Nanos(SECOND // 10),)))

    wait_until("it is repeated", lambda: len(listener.messages) > 1)
    assert "still stands" in listener.messages[1]["message"]


def test_a_test_says_for_each_target_what_became_of_the_message(
    on_stage: Stage, tmp_path: Path, listener: Listener, other: Listener
) -> None:
    other.status = 403
    enter(on_stage, tmp_path / "n", listener.url, other.url)

    both = on_stage.ask(names.NOTIFIER, "test_targets", target=None)
    one = on_stage.ask(names.NOTIFIER, "test_targets", target=1)

    assert [(each["target"], each["is_delivered"], each["reason"]) for each in both["targets"]] == [
        (1, True, ""),
        (2, False, "answered 403"),
    ]
    assert [each["name"] for each in one["targets"]] == ["target 1 (JSON)"]
    assert listener.titles() == ["[my desk] test", "[my desk] test"]
    with pytest.raises((RequestRefused, NoReply), match="no target 3"):
        on_stage.ask(names.NOTIFIER, "test_targets", target=3)


def configured(root: Path, text: str) -> Home:
    home = Home(root)
    home.conf.mkdir()
    shipped = (ROOT / "conf" / "tradeproc.toml").read_text()
    (home.conf / "tradeproc.toml").write_text(f"{shipped}\n{text}\n")
    return home


def test_the_configuration_makes_rules_and_targets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = configured(
        tmp_path,
        '[[notifier.targets]]\nurl = { file = "a.url" }\nlevel = "critical"\n'
        'quiet = "22:00-07:00"\nzone = "Europe/Berlin"\n',
    )
    secret = tmp_path / "a.url"
    secret.write_text("json://user:hunter2@127.0.0.1:9/x\n")
    secret.chmod(0o600)

    settings = load(home)
    (rule,), (target,) = rules_of(settings), targets_of(settings)

    assert (rule.least.value, str(rule.zone), len(rule.repeats), rule.hourly_most) == (
        "critical",
        "Europe/Berlin",
        3,
        30,
    )
    assert target.name == "target 1 (JSON)"
    secret.write_text("hunter2://nonsense\n")
    with caplog.at_level(logging.DEBUG), pytest.raises(BadConfig, match="target 1: url is no address") as bad:
        targets_of(settings)
    assert "hunter2" not in str(bad.value) + caplog.text
    secret.unlink()
    with pytest.raises(BadConfig, match=r"target 1: url\.file: .* cannot be read"):
        targets_of(settings)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('url = "json://secret"', "never written here"),
        ('quiet = "10-11"', "22:00-07:00"),
        ('quiet = "22:00-07:00"', "zone"),
        ('zone = "Berlin"', "Europe/Berlin"),
        ('zone = "../../etc/passwd"', "Europe/Berlin"),
        ('level = "info"', "'critical'"),
    ],
)
def test_what_is_wrong_with_a_target_is_one_line(tmp_path: Path, line: str, said: str) -> None:
    url = "" if line.startswith("url") else 'url = { env = "X" }\n'
    home = configured(tmp_path, f"[[notifier.targets]]\n{url}{line}")

    with pytest.raises(BadConfig) as bad:
        load(home)

    assert said in str(bad.value)
    assert "\n" not in str(bad.value)
    assert "secret" not in str(bad.value).partition(": ")[2].replace("a secret is never", "")


def test_without_targets_it_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = configured(tmp_path, "")
    (tmp_path / "supervisord.conf").write_text("")
    monkeypatch.setenv("TRADEPROC_HOME", str(home.root))

    assert notifier_main.main([]) == 0
