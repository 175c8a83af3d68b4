"""The keeper over a real supervisord, a real database and the real bus; traders and links are tiny programs."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

from tests import bodies
from tests.actor import acting
from tests.brokers import toys
from tests.databases import fresh_database, server
from tests.supervision.yard import Yard
from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.bus.codec import Body
from tradeproc.bus.requests import RequestRefused
from tradeproc.domain.book import Position
from tradeproc.domain.broker_orders import BrokerAccount
from tradeproc.domain.candles import Candle
from tradeproc.domain.portfolio import PortfolioSpec
from tradeproc.domain.units import Contracts, Nanos, Price
from tradeproc.procs.keeper.lists import BadQuestion
from tradeproc.store import Store
from tradeproc.store.kept import kept_file
from tradeproc.store.rows import Latch, PositionRow
from tradeproc.store.writes import latch_write, position_write
from tradeproc.supervision.client import Program, ProgramState
from tradeproc.supervision.groups import GroupFiles
from tradeproc.testing.waiting import wait_until

SPEC: Body = {
    "name": "cross",
    "login": "paper",
    "account": "SIM0000001F",
    "contract": "ESH24",
    "minutes": 1,
    "strategy": "moving_average_cross",
    "quantity": 1,
    "environment": "paper",
    "limits": {"max_order": 1, "max_position": 1},
}


class Desk:
    """A yard with a real keeper, its database and a client."""

    def __init__(self, yard: Yard, url: str) -> None:
        self.yard, self.store = yard, Store(url)
        self.client = Client(Directory(yard.home.sockets))

    def ask(self, method: str, seconds: float = 15.0, **params: Any) -> Body:
        return self.client.call("core.keeper", method, params, seconds)

    def client_of_its_own(self, method: str, **params: Any) -> Body:
        """Ask from another thread; a keeper that dies meanwhile does not answer."""
        with Client(Directory(self.yard.home.sockets)) as client:
            return client.call("core.keeper", method, params, 5.0)

    def create(self, **changes: Any) -> int:
        return int(self.ask("create", spec={**SPEC, **changes})["session"])

    def row(self, session: int) -> Body:
        return dict(self.ask("session", session=session)["session"])

    def is_ready(self) -> bool:
        return bool(self.ask("status", seconds=1.0)["state"] == "ready")

    def know_accounts(self) -> None:
        """Let the database know accounts as if the broker had listed them."""
        accounts = [
            BrokerAccount("SIM0000001F", "futures", "USD", True),
            BrokerAccount("SIM0000009F", "futures", "USD", False, "closed"),
        ]
        self.store.save_accounts("paper", accounts)

    def state_of(self, session: int) -> str:
        return str(self.row(session)["state"])


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with server() as url:
        yield url


@contextmanager
def desk_in(root: Path, url: str) -> Iterator[Desk]:
    yard = Yard(root, real=("keeper",))
    yard.environment["TRADEPROC_DATABASE_URL"] = url
    yard.environment["PYTHONPATH"] = toys.install(root / "site")
    with yard:
        desk = Desk(yard, url)
        try:
            yield desk
        finally:
            desk.client.close()
            desk.store.close()


@pytest.fixture(scope="module")
def desk(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with fresh_database(server_url) as url, desk_in(tmp_path_factory.mktemp("desk") / "home", url) as desk:
        wait_until("the keeper", desk.is_ready)
        desk.know_accounts()
        yield desk


def node(desk: Desk, name: str, handlers: dict[str, Callable[[Body], Body]]) -> AbstractContextManager[None]:
    return acting(desk.yard.home.sockets, name, handlers)


@pytest.fixture
def session(desk: Desk) -> Iterator[int]:
    """A running session that is gone again after the test."""
    number = desk.create()
    desk.ask("start", session=number)
    desk.yard.running(f"session-{number}.trader")
    yield number
    desk.ask("stop", session=number)
    wait_until("the end", lambda: desk.state_of(number) == "stopped")
    desk.ask("remove", session=number)


def test_a_started_session_gets_its_group_and_its_login_a_link_and_a_stopped_one_loses_its_group(desk: Desk) -> None:
    number = desk.create()
    assert desk.state_of(number) == "stopped"

    desk.ask("start", session=number)
    for process in (f"session-{number}.account", f"session-{number}.trader", "link-paper.link"):
        desk.yard.running(process)
    wait_until("the row", lambda: desk.state_of(number) == "running")
    assert desk.ask("start", session=number)["desired"] == "running"
    with pytest.raises(RequestRefused, match="stop it first"):
        desk.ask("remove", session=number)

    desk.ask("stop", session=number)
    wait_until("the end", lambda: desk.yard.find(f"session-{number}.trader") is None)
    assert f"session-{number}" not in [path.stem for path in desk.yard.home.groups.iterdir()]
    assert desk.row(number)["desired"] == "stopped"
    wait_until("the row", lambda: desk.state_of(number) == "stopped")
    desk.ask("remove", session=number)
    with pytest.raises(RequestRefused, match=f"no session {number}"):
        desk.ask("session", session=number)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"login": "papier"}, "login 'papier' is not in .*paper"),
        ({"environment": "live"}, "asks for environment 'live'"),
        ({"contract": "EZH24"}, "unknown instrument 'EZ'"),
        ({"strategy": "moving_averages_cross"}, "moving_average_cross"),
        ({"strategy": "nowhere.py:Mine"}, "nowhere.py"),
        ({"arguments": {"fastt": 3}}, "fastt"),
        ({"account": "SIM0000002F"}, "not one of login 'paper'; did you mean"),
        ({"account": "SIM0000009F"}, "cannot be traded: closed"),
        ({"quantity": 0}, "quantity: must be 1"),
        ({"data_login": "dat"}, "login 'dat' is not in .*paper"),
    ],
)
def test_what_could_not_run_is_refused_in_one_line(desk: Desk, changes: Body, line: str) -> None:
    accounts = [bodies.broker_account_to_body(row.account) for row in desk.store.accounts("paper")]
    with (
        node(desk, "link-paper.link", {"accounts": lambda _: {"known": accounts}}),
        pytest.raises(RequestRefused, match=line) as refused,
    ):
        desk.create(**changes)
    assert "\n" not in str(refused.value)


def test_an_account_that_cannot_be_looked_up_is_left_unchecked_not_refused(desk: Desk) -> None:
    answer = desk.ask("create", spec={**SPEC, "account": "SIM0000005F"})

    assert "could not be checked" in answer["unchecked"]
    desk.ask("remove", session=answer["session"])


def test_a_login_that_is_newer_than_the_keeper_can_have_sessions(desk: Desk) -> None:
    file = desk.yard.home.conf / "tradeproc.toml"
    before = file.read_text()
    _, _, rest = before.partition("[logins.paper]")
    file.write_text(f"{before}\n[logins.second]{rest.partition('[localbroker]')[0]}")
    account = bodies.broker_account_to_body(BrokerAccount("SIM0000008F", "futures", "USD", True))
    try:
        with node(desk, "link-second.link", {"accounts": lambda _: {"known": [account]}}):
            session = desk.create(login="second", account="SIM0000008F")
        desk.ask("remove", session=session)
    finally:
        file.write_text(before)

    assert [known.account.id for known in desk.store.accounts("second")] == ["SIM0000008F"]


@pytest.mark.parametrize(
    ("broker", "line"),
    [("toy_data", "Toy Data manages no accounts"), ("toy_accounts", "Toy Accounts serves no market data")],
)
def test_a_broker_that_is_not_what_a_session_needs_is_refused_at_its_creation(
    desk: Desk, broker: str, line: str
) -> None:
    file = desk.yard.home.conf / "tradeproc.toml"
    before = file.read_text()
    _, _, rest = before.partition("[logins.paper]")
    half = rest.partition("[localbroker]")[0].replace('"tradestation"', f'"{broker}"')
    file.write_text(f"{before}\n[logins.half]{half}")
    try:
        with pytest.raises(RequestRefused, match=line) as refused:
            desk.create(login="half")
    finally:
        file.write_text(before)
    assert "\n" not in str(refused.value)


@contextmanager
def more_logins(desk: Desk, **brokers: str) -> Iterator[None]:
    """Let the configuration have more logins for a while, each like `paper` but at another broker."""
    file = desk.yard.home.conf / "tradeproc.toml"
    before = file.read_text()
    paper = before.partition("[logins.paper]")[2].partition("[localbroker]")[0]
    more = [f"[logins.{name}]{paper.replace('tradestation', broker)}" for name, broker in brokers.items()]
    file.write_text("\n".join([before, *more]))
    try:
        yield
    finally:
        file.write_text(before)


def test_a_session_may_order_at_one_broker_and_take_its_bars_of_another(desk: Desk) -> None:
    candle = bodies.candle_to_body(
        Candle(Nanos(0), Nanos(60 * 10**9), 1.0, 1.0, 1.0, 1.0, 1, 1), "ESH24", 1, is_history=True
    )
    account = bodies.broker_account_to_body(BrokerAccount("SIM0000007F", "futures", "USD", True))
    apart = {"login": "orders", "data_login": "data", "account": "SIM0000007F"}
    with (
        more_logins(desk, data="toy_data", orders="toy_accounts"),
        node(desk, "link-orders.link", {"accounts": lambda _: {"known": [account]}}),
        node(desk, "link-data.link", {"history": lambda _: {"known": [candle]}}),
    ):
        answer = desk.ask("create", spec={**SPEC, **apart})

    assert answer["unchecked"] == ""
    assert desk.row(answer["session"])["spec"]["data_login"] == "data"
    assert {login.name for login in desk.store.logins()} >= {"orders", "data"}
    desk.ask("remove", session=answer["session"])


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"data_login": "orders"}, "Toy Accounts serves no market data; name a login .* or data_login"),
        ({"login": "data", "data_login": "paper"}, "Toy Data manages no accounts; name a login"),
        ({"data_login": "data"}, "data_login 'data' has no ESH24 bars of 1 minutes"),
    ],
)
def test_a_data_login_that_serves_no_bars_and_a_login_that_takes_no_orders_are_refused_in_one_line(
    desk: Desk, changes: Body, line: str
) -> None:
    with (
        more_logins(desk, data="toy_data", orders="toy_accounts"),
        node(desk, "link-data.link", {"history": lambda _: {"known": []}}),
        pytest.raises(RequestRefused, match=line) as refused,
    ):
        desk.create(**changes)
    assert "\n" not in str(refused.value)


def test_bars_that_cannot_be_asked_for_are_left_unchecked_not_refused(desk: Desk) -> None:
    away = {"unknown": "the broker is away"}
    with (
        more_logins(desk, data="toy_data"),
        node(desk, "link-data.link", {"history": lambda _: away}),
    ):
        answer = desk.ask("create", spec={**SPEC, "data_login": "data"})

    assert "bars of 1 minutes of data_login data could not be checked: the broker is away" in answer["unchecked"]
    desk.ask("remove", session=answer["session"])


def test_a_started_session_gets_the_links_of_both_its_logins(desk: Desk) -> None:
    with more_logins(desk, data="toy_data"):
        session = desk.create(data_login="data")
        desk.ask("start", session=session)
        for process in ("link-data.link", "link-paper.link", f"session-{session}.trader"):
            desk.yard.running(process)

        desk.ask("stop", session=session)
        wait_until("the end", lambda: desk.state_of(session) == "stopped")
    desk.ask("remove", session=session)


def test_one_account_and_product_has_one_running_session(desk: Desk, session: int) -> None:
    second = desk.create(contract="ESM24")
    other = desk.create(contract="NQH24")

    with pytest.raises(RequestRefused, match=f"session {session} .* trades ES in account SIM0000001F already"):
        desk.ask("start", session=second)
    desk.ask("start", session=other)
    desk.yard.running(f"session-{other}.trader")
    # an edit of the database cannot do it either
    desk.store.set_desired(second, "running")
    wait_until("the conflict", lambda: desk.row(second)["conflict"])
    assert desk.yard.find(f"session-{second}.trader") is None
    assert [alarm["name"] for alarm in desk.ask("alarms", session=second)["alarms"]] == ["session_conflict"]
    for number in (second, other):
        desk.ask("stop", session=number)
        wait_until("the end", lambda number=number: desk.state_of(number) == "stopped")  # type: ignore[misc]
    wait_until("the alarm over", lambda: not desk.store.alarms(second, only_standing=True))
    for number in (second, other):
        desk.ask("remove", session=number)


def test_the_database_is_followed_and_others_are_not_touched(desk: Desk, session: int) -> None:
    other = desk.create(contract="NQH24")
    before = desk.yard.program(f"session-{session}.trader").pid

    desk.store.set_desired(other, "running")
    desk.yard.running(f"session-{other}.trader")
    desk.store.set_desired(other, "stopped")
    wait_until("the end", lambda: desk.yard.find(f"session-{other}.trader") is None)

    assert desk.yard.program(f"session-{session}.trader").pid == before
    desk.ask("remove", session=other)


def test_group_files_that_were_edited_or_removed_are_written_again_and_nothing_is_restarted(
    desk: Desk, session: int
) -> None:
    processes = (f"session-{session}.trader", "link-paper.link")
    before = [desk.yard.running(process).pid for process in processes]
    files = GroupFiles(desk.yard.home)
    texts = {group: files.text(group) for group in (f"session-{session}", "link-paper")}

    files.path(f"session-{session}").write_text("[not\na configuration")
    files.path("link-paper").unlink()

    wait_until("the files", lambda: {group: files.text(group) for group in texts} == texts)
    assert files.path(f"session-{session}").with_suffix(".aside").read_text() == "[not\na configuration"
    assert [desk.yard.running(process).pid for process in processes] == before


def test_a_group_that_runs_as_somebody_edited_it_is_begun_anew_and_others_are_not_touched(
    desk: Desk, session: int
) -> None:
    other = desk.create(contract="NQH24")
    desk.ask("start", session=other)
    trader = desk.yard.running(f"session-{other}.trader")
    before = desk.yard.running(f"session-{session}.trader").pid
    path = GroupFiles(desk.yard.home).path(f"session-{other}")
    keeper = desk.yard.running("core.keeper")
    desk.yard.signal(keeper, "STOP")  # or it would be quicker than supervisorctl
    path.write_text(path.read_text().replace(f"procs trader {other}", "procs trader 4711"))
    desk.yard.supervisorctl("update")
    edited = desk.yard.running(f"session-{other}.trader", other_than=trader.pid)
    wait_until("its program", lambda: "4711" in psutil.Process(edited.pid).cmdline())

    desk.yard.signal(keeper, "CONT")

    again = wait_until("it anew", lambda: desk.yard.running(f"session-{other}.trader", other_than=edited.pid))
    # a program that was forked a moment ago has no command line yet
    wait_until("its program", lambda: str(other) in psutil.Process(again.pid).cmdline())
    assert desk.yard.running(f"session-{session}.trader").pid == before
    desk.ask("stop", session=other)
    wait_until("the end", lambda: desk.state_of(other) == "stopped")
    desk.ask("remove", session=other)


def test_what_a_person_stopped_with_supervisorctl_stays_down_until_started(desk: Desk, session: int) -> None:
    desk.yard.supervisorctl("stop", f"session-{session}:*")
    loops = desk.ask("status")["statistics"]["looks"]
    wait_until("three looks", lambda: desk.ask("status")["statistics"]["looks"] > loops + 3)

    assert desk.yard.program(f"session-{session}.trader").state is ProgramState.STOPPED
    assert desk.row(session)["state"] == "down"
    desk.ask("start", session=session)
    desk.yard.running(f"session-{session}.trader")


def test_a_link_that_ended_idle_is_started_again_for_its_session(desk: Desk, session: int) -> None:
    assert session
    link = desk.yard.running("link-paper.link")
    desk.yard.signal(link, "TERM")

    assert desk.yard.running("link-paper.link", other_than=link.pid).pid > 0


def standing_alarms(desk: Desk) -> list[tuple[str, str]]:
    rows = desk.store.alarms(only_standing=True)
    return [(row.name, row.detail) for row in rows if row.session is None]


def test_a_file_of_a_group_that_was_put_aside_is_an_alarm_until_it_is_removed(desk: Desk, session: int) -> None:
    groups = desk.yard.home.groups
    for left in groups.glob("*.aside"):
        left.unlink()
    (groups / "mine.conf").write_text("[group:mine")

    wait_until("the alarm", lambda: "mine.aside" in str(standing_alarms(desk)))
    (name, detail), *others = standing_alarms(desk)
    keeper = desk.yard.running("core.keeper")
    desk.yard.signal(keeper, "KILL")
    desk.yard.running("core.keeper", other_than=keeper.pid)
    wait_until("the keeper", desk.is_ready)

    assert (name, others) == ("group_file_put_aside", [])
    assert f"mine.aside in {groups}; look at it, then remove it" in detail
    told = [row for row in desk.store.alarms() if "mine.aside" in row.detail]
    assert len(told) == 1, "the next keeper does not raise it again"
    (groups / "mine.aside").unlink()
    wait_until("it is over", lambda: not standing_alarms(desk))


def test_a_halt_reaches_the_traders_and_the_database(desk: Desk) -> None:
    heard: list[Body] = []

    def hear(body: Body) -> Body:
        heard.append(dict(body))
        return {"trading_state": "halted"}

    with node(desk, "session-77.trader", {"halt": hear, "resume": hear, "flatten": hear}):
        answer = desk.ask("halt", by="me", reason="drill")
        one = desk.ask("halt", session=77)
        flat = desk.ask("flatten", session=77)
        desk.ask("resume")

    assert answer["latch"] == "stored"
    assert answer["sessions"] == [{"session": 77, "ok": True, "trading_state": "halted", "reason": None}]
    assert one["scope"] == flat["scope"] == "session:77"
    assert [body["scope"] for body in heard] == ["host", "session:77", "session:77", "session:77", "host"]
    assert heard[0] == {"scope": "host", "by": "me", "reason": "drill"}
    latches = {latch.scope: latch.state for latch in desk.store.latches()}
    assert latches == {"host": "active", "session:77": "halted"}


def test_a_switch_tells_which_latches_stand_for_whom_it_meant(desk: Desk, session: int) -> None:
    own, host = {"scope": f"session:{session}", "state": "reducing"}, {"scope": "host", "state": "halted"}

    of_another = desk.ask("halt", session=session + 1)["standing"]
    desk.ask("reduce", session=session)
    both = desk.ask("halt")["standing"]
    lifted = desk.ask("resume", session=session)["standing"]
    none = desk.ask("resume")["standing"]

    assert of_another == [{"scope": f"session:{session + 1}", "state": "halted"}]
    assert sorted(both, key=str) == sorted([host, own], key=str)
    assert lifted == [host]
    assert none == []
    desk.ask("resume", session=session + 1)


def test_the_latch_of_a_portfolio_counts_for_its_sessions_only(desk: Desk, session: int) -> None:
    portfolios = desk.store.portfolios
    spec = PortfolioSpec("index", 3.0, 5.0, 1000, equity=100_000)
    assert portfolios.create(spec)
    desk.store.set_latch("portfolio:index", "reducing", "anna", "")
    try:
        assert desk.ask("resume", session=session)["standing"] == []

        assert portfolios.add("index", session)
        assert desk.ask("resume", session=session)["standing"] == [{"scope": "portfolio:index", "state": "reducing"}]
        wait_until("it is told", lambda: desk.row(session)["trading_state"] == "reducing")
    finally:
        desk.store.set_latch("portfolio:index", "active", "anna", "")
        portfolios.take("index", session)
        portfolios.remove("index")


@pytest.mark.parametrize("rule", ["external_policy", "loss_limit", "roll"])
def test_a_latch_that_a_trader_set_by_itself_is_lifted_only_for_a_reason(desk: Desk, session: int, rule: str) -> None:
    scope = f"session:{session}"
    desk.store.write(
        latch_write(Latch(scope, "reducing", rule, "ours 1, the broker's 0", Nanos(desk.store.latch(scope).at + 1)))
    )

    for reason in ("", "  "):
        with pytest.raises(RequestRefused, match="ours 1, the broker's 0; look at it, then resume it with --reason"):
            desk.ask("resume", session=session, reason=reason)
    assert desk.store.latch(scope).state == "reducing"
    desk.ask("flatten", session=session, by="me")
    with pytest.raises(RequestRefused, match="ours 1, the broker's 0"):
        desk.ask("resume", session=session)
    assert desk.store.latch(scope).state == "halted"

    desk.ask("resume", session=session, reason="sold by me")

    assert desk.store.latch(scope).state == "active"
    desk.ask("halt", session=session, by="me")
    desk.ask("resume", session=session)
    assert desk.store.latch(scope).state == "active"


def test_the_latch_of_an_inert_stop_is_lifted_only_for_a_reason(desk: Desk) -> None:
    at = Nanos(desk.store.latch("login:paper").at + 1)
    desk.store.write(latch_write(Latch("login:paper", "halted", "inert_stop_watch", "stop o1 does nothing", at)))

    with pytest.raises(RequestRefused, match="login paper: it is latched: stop o1 does nothing; look at it"):
        desk.ask("resume_login", login="paper")
    desk.ask("resume_login", login="paper", reason="the broker has repaired it")

    assert desk.store.latch("login:paper").state == "active"


def test_a_number_that_no_database_can_hold_is_refused_and_kills_no_keeper(desk: Desk) -> None:
    before = desk.yard.running("core.keeper").pid
    for method in ("orders", "session", "halt", "stop"):
        with pytest.raises(RequestRefused, match="whole number above 0"):
            desk.ask(method, session=2**63)

    assert desk.ask("orders", session=2**63 - 1)["orders"] == []
    assert desk.yard.running("core.keeper").pid == before


def test_a_trader_that_does_not_hear_is_named(desk: Desk) -> None:
    # a socket file without a process, as a killed trader leaves it
    stale = desk.yard.home.sockets / "session-78.trader.rpc"
    stale.touch()
    try:
        answer = desk.ask("halt", session=78)
    finally:
        stale.unlink()
        desk.ask("resume", session=78)

    assert [(each["session"], each["ok"]) for each in answer["sessions"]] == [(78, False)]
    assert answer["latch"] == "stored"


def flat_as_told(desk: Desk, trader: Program) -> Callable[[Body], Body]:
    """Return the answer of a trader that is flat at once, and ends."""
    told: list[Body] = []

    def stop(body: Body) -> Body:
        assert (body["flatten"], body["pid"]) == (True, trader.pid)
        if not told:
            desk.yard.signal(trader, "TERM")
        told.append(body)
        return {"trading_state": "halted"}

    return stop


def test_stop_with_flatten_waits_until_the_trader_has_ended(desk: Desk, session: int) -> None:
    trader = desk.yard.running(f"session-{session}.trader")

    with node(desk, f"session-{session}.trader", {"stop": flat_as_told(desk, trader)}):
        answer = desk.ask("stop", session=session, flatten=True, seconds=40.0)

    assert answer == {"session": session, "desired": "stopped"}


def test_who_asks_for_a_flat_stop_hears_in_time_that_it_is_not_flat_yet(desk: Desk, session: int) -> None:
    trader = desk.yard.running(f"session-{session}.trader")

    with (
        node(desk, f"session-{session}.trader", {"stop": lambda _: {"trading_state": "halted"}}),
        pytest.raises(RequestRefused, match=r"is not flat after \d s; it enters no more"),
    ):
        desk.ask("stop", session=session, flatten=True, seconds=4.0)

    assert desk.row(session)["desired"] == "flattening"
    desk.yard.signal(trader, "TERM")  # it ends with 0, as one that is flat
    wait_until("the end", lambda: desk.state_of(session) == "stopped")


def test_a_strategy_that_loads_longer_than_its_asker_waits_is_refused_in_time(desk: Desk, tmp_path: Path) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(60)\n")

    with pytest.raises(RequestRefused, match=r"took more than \d"):
        desk.ask("create", spec={**SPEC, "strategy": f"{slow}:Slow"}, seconds=5.0)


def test_stop_with_flatten_does_not_stop_a_trader_that_did_not_hear_and_tells_it_again(
    desk: Desk, session: int
) -> None:
    trader = desk.yard.running(f"session-{session}.trader")

    with pytest.raises(RequestRefused, match="is not stopped yet"):
        desk.ask("stop", session=session, flatten=True, seconds=40.0)

    assert desk.row(session)["desired"] == "flattening"
    with pytest.raises(RequestRefused, match="getting flat"):
        desk.ask("start", session=session)
    assert desk.yard.running(f"session-{session}.trader").pid == trader.pid
    with node(desk, f"session-{session}.trader", {"stop": flat_as_told(desk, trader)}):
        wait_until("the end", lambda: desk.state_of(session) == "stopped")
    assert desk.row(session)["desired"] == "stopped"


def test_a_trader_that_refuses_to_get_flat_runs_on(desk: Desk, session: int) -> None:
    def stop(_: Body) -> Body:
        raise BadQuestion("not now")

    with (
        node(desk, f"session-{session}.trader", {"stop": stop}),
        pytest.raises(RequestRefused, match=r"is not stopped, because its trader did not flatten: .*not now"),
    ):
        desk.ask("stop", session=session, flatten=True, seconds=40.0)

    assert desk.row(session)["desired"] == "running"


def test_a_session_that_is_getting_flat_stops_also_when_keeper_and_trader_are_killed_meanwhile(
    desk: Desk, session: int
) -> None:
    trader, told = desk.yard.running(f"session-{session}.trader"), Event()

    def stop(_: Body) -> Body:
        told.set()
        return {"trading_state": "halted"}

    with ThreadPoolExecutor(1) as lane, node(desk, f"session-{session}.trader", {"stop": stop}):
        asked = lane.submit(desk.client_of_its_own, "stop", session=session, flatten=True)
        assert told.wait(60.0)
        keeper = desk.yard.running("core.keeper")
        desk.yard.signal(keeper, "KILL")
        desk.yard.running("core.keeper", other_than=keeper.pid)
        wait_until("the keeper", desk.is_ready)
        told.clear()
        assert told.wait(60.0), "the new keeper does not know"
        assert desk.row(session)["desired"] == "flattening"
        assert desk.yard.running(f"session-{session}.trader").pid == trader.pid
        told.clear()
        desk.yard.signal(trader, "KILL")
        desk.yard.supervisorctl("start", f"session-{session}:trader")
        again = desk.yard.running(f"session-{session}.trader", other_than=trader.pid)
        assert told.wait(60.0), "the new trader is not told"
        assert desk.row(session)["desired"] == "flattening"
        desk.yard.signal(again, "TERM")  # it ends with 0, as one that is flat
        wait_until("the end", lambda: desk.state_of(session) == "stopped")
        assert asked.exception() is not None

    assert desk.row(session)["desired"] == "stopped"


def test_a_session_that_was_getting_flat_when_the_machine_went_down_comes_up_to_get_flat(
    server_url: str, tmp_path: Path
) -> None:
    with fresh_database(server_url) as url, desk_in(tmp_path / "home", url) as desk:
        wait_until("the keeper", desk.is_ready)
        desk.know_accounts()
        number = desk.create()
        desk.store.set_desired(number, "flattening")

        trader = desk.yard.running(f"session-{number}.trader")
        with node(desk, f"session-{number}.trader", {"stop": flat_as_told(desk, trader)}):
            wait_until("the end", lambda: desk.row(number)["desired"] == "stopped")
        wait_until("its group gone", lambda: desk.state_of(number) == "stopped")


def test_after_a_killed_supervisord_the_sessions_come_back(server_url: str, tmp_path: Path) -> None:
    with fresh_database(server_url) as url, desk_in(tmp_path / "home", url) as desk:
        wait_until("the keeper", desk.is_ready)
        desk.know_accounts()
        number = desk.create()
        desk.ask("start", session=number)
        desk.yard.running(f"session-{number}.trader")
        orphans = desk.yard.kill_supervisord()
        for orphan in orphans:
            orphan.kill()
        for file in desk.yard.home.groups.iterdir():
            file.unlink()
        desk.yard.home.make_folders()  # as every start of a desk does

        desk.yard.up()

        desk.yard.running(f"session-{number}.trader")
        desk.yard.running("link-paper.link")


def test_a_halt_of_a_login_is_stored_and_counts_for_the_sessions_that_order_or_take_bars_through_it(
    desk: Desk,
) -> None:
    heard: list[str] = []

    def trader(body: Body) -> Body:
        heard.append(str(body["scope"]))
        return {"trading_state": "halted", "is_concerned": len(heard) % 2 == 1}

    with more_logins(desk, data="toy_data"):
        apart, alone = desk.create(data_login="data"), desk.create(contract="NQH24")
    with node(desk, "session-77.trader", {"halt": trader}):
        answers = [desk.ask("halt_login", login="data") for _ in range(2)]

    assert heard == ["login:data"] * 2
    assert [len(answer["sessions"]) for answer in answers] == [1, 0], "who needs another login is not listed"
    assert answers[0]["standing"] == [{"scope": "login:data", "state": "halted"}]
    wait_until("it counts", lambda: desk.row(apart)["trading_state"] == "halted")
    assert desk.row(alone)["trading_state"] == "active"
    standing = [desk.ask("resume", session=number)["standing"] for number in (apart, alone)]
    assert standing == [[{"scope": "login:data", "state": "halted"}], []]
    with pytest.raises(RequestRefused, match="no method 'flatten_login'"):
        desk.ask("flatten_login", login="data")
    with pytest.raises(RequestRefused, match="scope"):
        desk.ask("halt_login", login="a b")
    desk.ask("resume_login", login="data")
    wait_until("it is over", lambda: desk.row(apart)["trading_state"] == "active")
    for number in (apart, alone):
        desk.ask("remove", session=number)


def test_a_session_that_has_a_position_is_removed_only_by_who_says_so(desk: Desk) -> None:
    session = desk.create(contract="NQH24", account="SIM0000009F")
    held = Position("SIM0000009F", "NQH24", Contracts(-2), Price(Decimal(17_000)))
    desk.store.write(position_write(PositionRow(session, held, "stream", Nanos(1))))

    with pytest.raises(RequestRefused, match=f"session {session} still has -2 NQH24, as the database knows; nobody"):
        desk.ask("remove", session=session)
    assert desk.row(session)["id"] == session

    desk.ask("remove", session=session, abandon=True)
    assert session not in [row.id for row in desk.store.sessions()]


def test_the_latch_of_an_account_or_a_portfolio_counts_for_its_sessions_and_its_limit_is_lifted_for_a_reason(
    desk: Desk,
) -> None:
    inside, outside = desk.create(), desk.create(contract="NQH24", account="SIM0000009F")
    spec = PortfolioSpec("index", 5, 10, 800, equity=10_000)
    desk.store.portfolios.create(spec, (inside,))
    for scope in ("account:SIM0000001F", "portfolio:index"):
        at = Nanos(desk.store.latch(scope).at + 1)
        desk.store.write(latch_write(Latch(scope, "reducing", "loss_limit", "500 lost", at)))
        wait_until("it counts", lambda: desk.row(inside)["trading_state"] == "reducing")
        assert desk.row(outside)["trading_state"] == "active"
        assert desk.ask("resume", session=inside)["standing"] == [{"scope": scope, "state": "reducing"}]
        with pytest.raises(RequestRefused, match="500 lost; look at it, then resume it with --reason"):
            desk.ask("resume_scope", scope=scope)
        answer = desk.ask("resume_scope", scope=scope, reason="a fat finger", by="anna")
        assert (answer["scope"], answer["standing"]) == (scope, [])
        assert (desk.store.latch(scope).state, desk.store.latch(scope).reason) == ("active", "a fat finger")
        assert desk.ask("halt_scope", scope=scope)["standing"] == [{"scope": scope, "state": "halted"}]
        wait_until("it counts", lambda: desk.row(inside)["trading_state"] == "halted")
        desk.ask("resume_scope", scope=scope)
    with pytest.raises(RequestRefused, match="scope"):
        desk.ask("halt_scope", scope="host")
    desk.store.portfolios.remove("index")
    for number in (inside, outside):
        desk.ask("remove", session=number)


def test_a_database_that_is_away_delays_and_loses_no_halt(server_url: str, tmp_path: Path) -> None:
    with fresh_database(server_url) as url:
        # the database's socket folder under another name, which can be there or not
        door = tmp_path / "door"
        folder = url.split("host=")[1].split("&")[0]
        through_door = url.replace(folder, str(door).replace("/", "%2F"))
        with desk_in(tmp_path / "home", through_door) as desk:
            wait_until("the keeper", lambda: desk.ask("status", seconds=1.0)["state"] == "degraded")
            # a folder in the file's place, as a disk that takes nothing
            kept = kept_file(desk.yard.home)
            kept.mkdir(parents=True)
            assert desk.ask("halt", by="me")["latch"] == "not stored"
            kept.rmdir()
            answer = desk.ask("halt", by="me")
            assert "until the database is back" in answer["latch"]
            assert answer["standing"] is None
            before = desk.yard.running("core.keeper")
            desk.yard.signal(before, "KILL")
            desk.yard.running("core.keeper", other_than=before.pid)

            door.symlink_to(folder.replace("%2F", "/"))

            wait_until("the keeper", desk.is_ready)
            assert desk.store.latch("host").state == "halted"
            assert desk.store.latch("host").by == "me"
            desk.know_accounts()
            number = desk.create()
            desk.ask("start", session=number)
            trader = desk.yard.running(f"session-{number}.trader")
            door.unlink()
            with psycopg.connect(url, autocommit=True) as admin:
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
                    "and pid <> pg_backend_pid()"
                )
            wait_until("the outage", lambda: desk.ask("status", seconds=1.0)["state"] == "degraded")
            assert desk.yard.program(f"session-{number}.trader").pid == trader.pid
