"""The configuration: the shipped one loads; each thing that can be wrong is one line with file, key and remedy."""

import codecs
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tradeproc.config import BadConfig, NotAllowedHere, load, read_session
from tradeproc.domain.instruments import Contract
from tradeproc.domain.roll_rules import RollMode, RollPolicy, roll_plan
from tradeproc.home import Home

ROOT = Path(__file__).parents[2]
SHIPPED = (ROOT / "conf" / "tradeproc.toml").read_text()
LIVE = {'environment = "paper"': 'environment = "live"'}


def home_with(folder: Path, text: str) -> Home:
    """Return a home whose configuration is this text."""
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "tradeproc.toml").write_text(text)
    return Home(folder)


def changed(replacements: dict[str, str]) -> str:
    """Return the shipped configuration with some lines changed, each of which must be there."""
    text = SHIPPED
    for old, new in replacements.items():
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def test_the_shipped_configuration_trades_simulated_money_on_this_machine(tmp_path: Path) -> None:
    config = load(home_with(tmp_path, SHIPPED))

    login = config.login("paper")
    assert not login.can_reach_money
    assert login.client().client_secret == "local"
    assert "local" not in repr(login.client())


@pytest.mark.parametrize("path", sorted((ROOT / "conf" / "sessions").glob("*.toml")), ids=lambda path: path.name)
def test_each_shipped_session_is_allowed_by_the_shipped_configuration(tmp_path: Path, path: Path) -> None:
    spec = read_session(path)

    load(home_with(tmp_path, SHIPPED)).check_session(spec)


@pytest.mark.parametrize(
    ("replacements", "said"),
    [
        ({"max_order = 5": "max_ordr = 5"}, ["[limits]", "max_ordr", "unknown key", "'max_order'"]),
        ({"[limits]": "[limit]"}, ["limit", "unknown key", "'limits'"]),
        ({"max_order = 5": 'max_order = "five"'}, ["[limits]", "max_order", "whole number", "'five'"]),
        ({"max_order = 5": "max_order = 0"}, ["max_order", "above 0"]),
        ({"max_order = 5\n": ""}, ["[limits]", "max_order", "missing"]),
        ({"port = 8765": "port = 80"}, ["port", "1024"]),
        ({'broker = "tradestation"': 'broker = "tradestatoin"'}, ["broker", "tradestatoin", "'tradestation'"]),
        ({'environment = "paper"': 'environment = "papr"'}, ["environment", "'paper'", "'papr'"]),
        ({'client_id = { public = "local" }': 'client_id = "abc"'}, ["client_id", "never written here", "0600"]),
        (LIVE, ["i_accept_real_money"]),
        ({'base_url = "http://127.0.0.1:8765/v3"': 'base_url = "http://example.com"'}, ["base_url", "https://"]),
        ({"[desk]": "[desk"}, ["is no TOML", "line"]),
        ({"http://127.0.0.1:8765/v3": "http://[x"}, ["base_url", "is no address"]),
        ({"http://127.0.0.1:8765/v3": "http://127.0.0.1:99999"}, ["base_url", "is no address"]),
        ({"max_order = 5": "max_order = " + "9" * 5000}, ["is no TOML"]),
        ({"max_order = 5": "max_order = " + "9" * 30}, ["max_order", "64 bits"]),
        ({"speed = 60.0": "speed = inf"}, ["speed", "a finite number", "inf"]),
        ({'name = "paper desk"': r'name = "a\u0000b"'}, ["name", "NUL"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, replacements: dict[str, str], said: list[str]) -> None:
    home = home_with(tmp_path, changed(replacements))

    with pytest.raises(BadConfig) as raised:
        load(home)

    line = str(raised.value)
    assert "\n" not in line
    assert str(home.conf / "tradeproc.toml") in line
    assert [word for word in said if word not in line] == []


def test_a_missing_file_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"tradeproc\.toml: cannot be read"):
        load(Home(tmp_path))


def test_a_secret_in_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    home = home_with(tmp_path, changed({'client_id = { public = "local" }': 'client_id = { file = "key" }'}))
    key = tmp_path / "key"
    key.write_text("sesame\n")
    key.chmod(0o644)

    with pytest.raises(BadConfig, match="0600, found 0644") as raised:
        load(home)
    assert "sesame" not in str(raised.value)

    key.chmod(0o600)
    assert load(home).login("paper").client().client_id == "sesame"


def test_a_secret_of_the_environment_is_read_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_with(tmp_path, changed({'client_id = { public = "local" }': 'client_id = { env = "DRILL_KEY" }'}))
    config = load(home)

    with pytest.raises(BadConfig, match="DRILL_KEY is not set"):
        config.login("paper").client()
    monkeypatch.setenv("DRILL_KEY", "sesame")

    assert config.login("paper").client().client_id == "sesame"


def test_a_session_beyond_the_desk_is_not_allowed(tmp_path: Path) -> None:
    config = load(home_with(tmp_path, changed({"max_position = 5": "max_position = 1"})))
    spec = read_session(ROOT / "conf" / "sessions" / "example.toml")

    with pytest.raises(NotAllowedHere, match="max_position 2, this desk allows 1"):
        config.check_session(spec)


def test_the_external_database_of_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load(home_with(tmp_path, SHIPPED))
    assert config.external_database() is None

    monkeypatch.setenv("TRADEPROC_DATABASE_URL", "postgresql://elsewhere/desk")

    assert config.external_database() == "postgresql://elsewhere/desk"


def test_a_misspelt_session_key_names_the_nearest_known_one(tmp_path: Path) -> None:
    copy = tmp_path / "mine.toml"
    shutil.copy(ROOT / "conf" / "sessions" / "example.toml", copy)
    copy.write_text(copy.read_text().replace("strategy =", "stratgy =", 1))

    with pytest.raises(BadConfig) as raised:
        read_session(copy)

    assert str(copy) in str(raised.value)
    assert "'strategy'" in str(raised.value)


def test_files_that_begin_with_a_byte_order_mark_are_read_without_it(tmp_path: Path) -> None:
    home = home_with(tmp_path, "")
    secret = tmp_path / "token"
    secret.write_bytes(codecs.BOM_UTF8 + b" abc\r\n")
    secret.chmod(0o600)
    text = changed({'client_id = { public = "local" }': 'client_id = { file = "token" }'})
    (home.conf / "tradeproc.toml").write_bytes(codecs.BOM_UTF8 + text.encode())

    assert load(home).login("paper").client().client_id == "abc"
    session = tmp_path / "session.toml"
    session.write_bytes(codecs.BOM_UTF8 + (ROOT / "conf" / "sessions" / "example.toml").read_bytes())
    assert read_session(session) == read_session(ROOT / "conf" / "sessions" / "example.toml")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("abc".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ("abc".encode("utf-32"), "is UTF-16 text; save it as UTF-8"),
        (b"\xff", "is not UTF-8 text (byte 0)"),
        (codecs.BOM_UTF8 + b" \n", "is empty"),
    ],
)
def test_a_secret_in_another_encoding_is_refused_in_one_line(tmp_path: Path, raw: bytes, said: str) -> None:
    secret = tmp_path / "token"
    secret.write_bytes(raw)
    secret.chmod(0o600)
    text = changed({'client_id = { public = "local" }': 'client_id = { file = "token" }'})

    with pytest.raises(BadConfig) as refused:
        load(home_with(tmp_path, text)).login("paper").client()

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_configuration_in_utf_16_is_refused_by_its_name(tmp_path: Path) -> None:
    home = home_with(tmp_path, "")
    (home.conf / "tradeproc.toml").write_bytes(SHIPPED.encode("utf-16"))

    with pytest.raises(BadConfig, match=r"tradeproc\.toml: is UTF-16 text; save it as UTF-8$"):
        load(home)


@pytest.mark.parametrize(
    ("before", "line", "key"),
    [
        ("", 'notes = "a \\u0000 b"', "notes"),
        ("", 'market_hours = "\\u0000"', "market_hours"),
        ("[arguments]\n", 'text = "\\u0000"', "text"),
    ],
)
def test_a_text_that_no_database_can_hold_is_refused_in_one_line(
    tmp_path: Path, before: str, line: str, key: str
) -> None:
    file = tmp_path / "session.toml"
    text = (ROOT / "conf" / "sessions" / "example.toml").read_text()
    file.write_text(text.replace(before, f"{before}{line}\n", 1))

    with pytest.raises(BadConfig, match=rf"{key}: holds a NUL or half a character") as raised:
        read_session(file)

    assert str(raised.value).isprintable()


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e400"])
def test_an_argument_that_would_be_read_back_from_the_database_as_nothing_is_refused(
    tmp_path: Path, number: str
) -> None:
    file = tmp_path / "session.toml"
    text = (ROOT / "conf" / "sessions" / "example.toml").read_text()
    file.write_text(text.replace("[arguments]\n", f"[arguments]\nx = {number}\n", 1))

    with pytest.raises(BadConfig, match=r"x: expected a finite number, found -?(nan|inf)"):
        read_session(file)


KEYS = re.findall(r"^(?:# )?([a-z_]+) = ", SHIPPED, re.MULTILINE)
ODD = ["inf", "-inf", "nan", "1.5e308", "1e400", "-1", "1" + "0" * 30, '"http://[x"', '"http://127.0.0.1:port"']
ODD += ['"http://127.0.0.1:99999"', "true", "[]", "{}", "[[]]", '"\\u0000"', "1979-05-27"]
NO_NUMBERS = ("inf", "-inf", "nan", "1.5e308", "1e400", "1" + "0" * 30)


@pytest.mark.parametrize("key", sorted(set(KEYS)))
def test_no_value_of_any_key_is_told_in_more_than_one_line_or_taken_where_it_means_nothing(
    tmp_path: Path, key: str
) -> None:
    home = home_with(tmp_path, "")
    for value in ODD:
        line = f"{key} = {value}".replace("\\", r"\\")
        text = re.sub(rf"^(?:# )?{key} = .*$", line, SHIPPED, count=1, flags=re.MULTILINE)
        (home.conf / "tradeproc.toml").write_text(text)
        try:
            load(home)
        except BadConfig as bad:
            assert "\n" not in str(bad)
        else:
            assert value not in NO_NUMBERS, f"{key} = {value} is taken"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_bars_come_from_a_login_of_this_desk_and_real_orders_never_follow_a_tape(tmp_path: Path, host: str) -> None:
    paper = SHIPPED.partition("[logins.paper]")[2].partition("[localbroker]")[0]
    real = paper.replace('base_url = "http://127.0.0.1:8765/v3"', "").replace("public =", "env =")
    config = load(
        home_with(tmp_path, f"{SHIPPED}\n[logins.real]{real}".replace("//127.0.0.1:8765/v3", f"//{host}:8765/v3"))
    )
    spec = read_session(ROOT / "conf" / "sessions" / "example.toml")

    config.check_session(replace(spec, data_login="real"))
    with pytest.raises(NotAllowedHere, match="login 'dat' is not in"):
        config.check_session(replace(spec, data_login="dat"))
    with pytest.raises(NotAllowedHere, match="data_login 'paper' is at the local broker, whose market is a tape"):
        config.check_session(replace(spec, login="real", data_login="paper"))


def test_a_session_whose_own_roll_could_never_begin_is_refused_with_the_hours_of_its_market(tmp_path: Path) -> None:
    config, example = load(home_with(tmp_path, SHIPPED)), ROOT / "conf" / "sessions" / "example.toml"
    spec = read_session(example)
    late = RollPolicy(mode=RollMode.AUTO, at="17:30")
    remedy = r"at: '17:30' is too late.* 17:00 to 16:00 America/Chicago.* write a time before 15:45"

    with pytest.raises(NotAllowedHere, match=rf"session '{spec.name}': roll\.{remedy}"):
        config.check_session(replace(spec, roll=late))
    config.check_session(replace(spec, roll=replace(late, at="15:44")))
    config.check_session(replace(spec, roll=replace(late, mode=RollMode.MANUAL)))

    file = tmp_path / "late.toml"
    file.write_text(example.read_text() + '\n[roll]\nmode = "auto"\nat = "17:30"\n')
    with pytest.raises(BadConfig, match=rf"{re.escape(str(file))}: \[roll\] {remedy}"):
        read_session(file)


def test_a_person_changes_the_rule_of_a_product_for_all_its_sessions_and_takes_it_back(tmp_path: Path) -> None:
    contract = Contract.parse("ESH24")
    usual = roll_plan(contract, RollPolicy())

    load(home_with(tmp_path / "changed", SHIPPED + '[rolls.ES]\ndays_before = 8\nmonths = "Z"\n'))
    plan = roll_plan(contract, RollPolicy())
    assert (plan.days_before, plan.into.code, plan.last_day) == (8, "ESZ24", usual.last_day)
    assert plan.days_to_end(plan.roll_on) == 8
    assert roll_plan(contract, RollPolicy(days_before=2)).days_before == 2
    assert roll_plan(Contract.parse("NQH24"), RollPolicy()).days_before == usual.days_before

    load(home_with(tmp_path / "dates", SHIPPED + "[rolls.ES.dates]\nESH24 = 2024-03-06\n"))
    plan = roll_plan(contract, RollPolicy())
    assert (str(plan.roll_on), plan.why) == ("2024-03-06", "on the date of conf/tradeproc.toml")
    own = RollPolicy(dates={"ESH24": "2024-03-05"})
    assert str(roll_plan(contract, own).roll_on) == "2024-03-05", "the session's own wins"

    load(home_with(tmp_path / "usual", SHIPPED))
    assert roll_plan(contract, RollPolicy()) == usual


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[rolls.EZ]\ndays_before = 8\n", ["rolls", "EZ", "is no product"]),
        ("[rolls.ES]\ndays_before = 61\n", ["rolls.ES", "days_before", "0 to 60"]),
        ("[rolls.ES]\nday_before = 8\n", ["rolls.ES", "day_before", "unknown key", "'days_before'"]),
        ('[rolls.ES]\nmonths = "G"\n', ["rolls", "months 'G'", "HMUZ"]),
        ("rolls = 7\n", ["rolls", "found 7"]),
        ("[rolls.ES.dates]\nESH24 = 2024-03-16\n", ["rolls", "ESH24 = 2024-03-16", "after the last trade"]),
        ("[rolls.ES.dates]\nESG24 = 2024-02-16\n", ["rolls", "ESG24", "no contract of ES"]),
        ("[rolls.ES.dates]\nESH24 = 2024-03-06T10:00:00\n", ["rolls.ES.dates", "ESH24", "a text"]),
    ],
)
def test_a_rule_that_cannot_be_changes_none(tmp_path: Path, table: str, said: list[str]) -> None:
    usual = roll_plan(Contract.parse("ESH24"), RollPolicy())
    text = table + SHIPPED if table.startswith("rolls") else SHIPPED + table

    with pytest.raises(BadConfig) as refused:
        load(home_with(tmp_path, text))

    assert all(each in str(refused.value) for each in said), refused.value
    assert roll_plan(Contract.parse("ESH24"), RollPolicy()) == usual
