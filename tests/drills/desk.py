"""A whole desk in a temporary home: supervisord, every process, the embedded database and the local broker."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row

from tradeproc.bus.addresses import Directory
from tradeproc.bus.client import Client
from tradeproc.domain.orders import Side
from tradeproc.errors import TradeprocError
from tradeproc.home import Home
from tradeproc.localbroker.client import LocalBroker
from tradeproc.localbroker.control_key import key_file_of
from tradeproc.protocol import names
from tradeproc.store.embedded import database_url
from tradeproc.supervision.client import Program, Supervisor

ROOT = Path(__file__).parents[2]
ACCOUNTS = ["SIM0000001F", "SIM0000002F", "SIM0000003F"]
ACCOUNT = ACCOUNTS[0]
GENEROUS = 60.0


class Late(AssertionError):
    """A condition that did not come true in time."""


def wait_for(what: str, condition: Callable[[], Any], seconds: float = GENEROUS) -> Any:
    """Return the first true value of `condition`; an outage while asking counts as not yet."""
    deadline = time.monotonic() + seconds
    seen: object = None
    while time.monotonic() < deadline:
        try:
            seen = condition()
            if seen:
                return seen
        except (TradeprocError, psycopg.Error, OSError, KeyError, IndexError) as error:
            seen = error
        time.sleep(0.1)
    raise Late(f"{what} not within {seconds} s; last seen: {seen!r}")


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_over(state: str) -> bool:
    """Tell whether an order, by our word or the broker's, can do nothing any more."""
    return state in ("filled", "cancelled", "rejected", "expired")


def sums(fills: list[dict[str, Any]]) -> dict[str, tuple[int, Decimal]]:
    """Return contracts and their price sum by the broker's order id; several increments may be booked as one."""
    found: dict[str, tuple[int, Decimal]] = {}
    for fill in fills:
        quantity, cost = found.get(fill["order_id"], (0, Decimal(0)))
        size = int(fill["quantity"])
        found[fill["order_id"]] = (quantity + size, cost + size * Decimal(str(fill["price"])))
    return found


def duplicates(requests: list[dict[str, Any]], account: str) -> list[str]:
    """Return the client order ids that reached the broker more than once, accepted or not."""
    placed = Counter(
        each
        for request in requests
        if request["call"] == "place" and request["account"] == account
        for each in request["client_ids"]
    )
    return [f"order {each} was sent {count} times" for each, count in placed.items() if count > 1]


def order_differences(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[str]:
    """Return how the orders that an engine holds for open differ from those that the broker does."""
    engine = {order["broker_id"]: order for order in ours}
    broker = {order["id"]: order for order in theirs if not is_over(order["status"])}
    found = [f"order {each} is open at the broker, not in the engine" for each in broker.keys() - engine.keys()]
    found += [f"order {engine[each]['id']} ({each}) is open in the engine, not at the broker"
              for each in engine.keys() - broker.keys()]  # fmt: skip
    for each in engine.keys() & broker.keys():
        mine, other = engine[each], broker[each]
        terms = [
            ("quantity", int(mine["quantity"]), int(other["quantity"])),
            ("filled", int(mine["filled"]), int(other["filled"])),
            ("limit", price(mine["limit_price"]), price(other["limit"])),
            ("stop", price(mine["stop_price"]), price(other["stop"])),
        ]
        found += [f"{mine['id']}: {term} {here} in the engine, {there} at the broker"
                  for term, here, there in terms if here != there]  # fmt: skip
    return found


def price(text: str | None) -> Decimal | None:
    """Return a price as a number."""
    return None if text is None else Decimal(text)


def excesses(fills: list[dict[str, Any]], most: int) -> list[str]:
    """Return after which of the broker's fills of one account more contracts were held than may be: entered twice."""
    held, found = 0, []
    for fill in sorted(fills, key=lambda fill: fill["id"]):
        held += int(fill["quantity"]) * Side(fill["side"]).sign
        if abs(held) > most:
            found.append(f"{held} contracts held after fill {fill['id']} of order {fill['order_id']}, {most} allowed")
    return found


class Desk:
    """One installation that a test may break."""

    def __init__(
        self,
        folder: Path,
        *,
        speed: float = 1.0,
        history_minutes: int = 10,
        database: str | None = None,
        tape: str = "shipped",
    ) -> None:
        self.home = self.broker_home = Home(folder)  # whose local broker it is: another desk's, where two share one
        self.port = free_port()
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("TRADEPROC_")}
        if database:
            self.environment["TRADEPROC_DATABASE_URL"] = database
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "supervisord.conf", folder)
        shutil.copytree(ROOT / "conf", folder / "conf")
        shutil.copy(ROOT / "tests" / "drills" / "busy.py", folder)
        (folder / ".venv").symlink_to(sys.prefix)
        self.configure(speed=speed, history_minutes=history_minutes, tape=tape)
        self.home.make_folders()
        self.supervisord: subprocess.Popen[bytes] | None = None

    def configure(self, *, speed: float, history_minutes: int, tape: str) -> None:
        """Point the shipped configuration at a free port and set the pace of the tape."""
        file = self.home.conf / "tradeproc.toml"
        lines = []
        for line in file.read_text().splitlines():
            key = line.split("=")[0].strip()
            replaced = {
                "port": f"port = {self.port}",
                "tape": f'tape = "{tape}"',
                "speed": f"speed = {speed}",
                "history_minutes": f"history_minutes = {history_minutes}",
                "accounts": f"accounts = {json.dumps(ACCOUNTS)}",
                "base_url": f'base_url = "http://127.0.0.1:{self.port}/v3"',
                "auth_url": f'auth_url = "http://127.0.0.1:{self.port}"',
            }.get(key, line)
            lines.append(replaced)
        file.write_text("\n".join(lines) + "\n")

    # --- life cycle

    def up(self) -> "Desk":
        """Start supervisord and wait until the core answers."""
        self.home.make_folders()
        self.boot()
        wait_for("the keeper", lambda: self.ask(names.KEEPER, "sessions", {}) is not None)
        return self

    def boot(self) -> None:
        """Start supervisord; a former one has ended or is about to."""
        if self.supervisord is not None:
            self.supervisord.wait(GENEROUS)
        with (self.home.log / "drill.out").open("ab") as output:
            self.supervisord = subprocess.Popen(
                [
                    str(self.home.root / ".venv/bin/supervisord"),
                    "-n",
                    "-c",
                    str(self.home.plain_root / "supervisord.conf"),
                ],
                cwd=self.home.root,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def down(self) -> None:
        """Stop everything in an orderly way, and by force what does not stop."""
        if self.supervisord is None:
            return
        family = (
            psutil.Process(self.supervisord.pid).children(recursive=True) if self.supervisord.poll() is None else []
        )
        self.supervisord.send_signal(signal.SIGTERM)
        try:
            self.supervisord.wait(40)
        except subprocess.TimeoutExpired:
            self.supervisord.kill()
            self.supervisord.wait(10)
        _, alive = psutil.wait_procs(family, timeout=10)
        for process in alive:
            process.kill()
        self.supervisord = None
        self.home.forget_short_sockets()
        self.broker.close()
        del self.broker
        assert not alive, [process.pid for process in alive]

    def crash(self) -> None:
        """Kill supervisord and wait until all its children have ended by themselves."""
        assert self.supervisord is not None
        family = psutil.Process(self.supervisord.pid).children(recursive=True)
        self.supervisord.kill()
        self.supervisord.wait(10)
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive, [(process.pid, process.cmdline()) for process in alive]

    def cut_power(self) -> None:
        """Kill supervisord and everything under it at once, as the end of the machine would."""
        assert self.supervisord is not None
        everything = psutil.Process(self.supervisord.pid).children(recursive=True)
        self.supervisord.kill()
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.supervisord.wait(10)
        psutil.wait_procs(everything, timeout=10)
        self.supervisord = None

    def __enter__(self) -> "Desk":
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    # --- sessions

    def begin(
        self,
        strategy: str = "busy.py:Busy",
        account: str = ACCOUNT,
        changes: dict[str, Any] | None = None,
        **arguments: object,
    ) -> int:
        """Create and start a session, wait until its trader is ready, and return its number."""
        session = self.create(strategy, account, changes, **arguments)
        self.wait_ready(session)
        return session

    def create(
        self,
        strategy: str = "busy.py:Busy",
        account: str = ACCOUNT,
        changes: dict[str, Any] | None = None,
        **arguments: object,
    ) -> int:
        """Create and start a session, and return its number."""
        spec = {
            "name": f"drill-{account}",
            "login": "paper",
            "account": account,
            "contract": "ESH24",
            "minutes": 1,
            "strategy": strategy,
            "quantity": 1,
            "environment": "paper",
            "limits": {"max_order": 2, "max_position": 2},
            "arguments": arguments,
            **(changes or {}),
        }
        session = int(self.ask(names.KEEPER, "create", {"spec": spec}, 15.0)["session"])
        self.ask(names.KEEPER, "start", {"session": session})
        return session

    def wait_ready(self, session: int) -> None:
        """Wait until the trader of a session has reconciled and trades."""
        wait_for(
            f"trader {session} ready",
            lambda: self.ask(names.trader(session), "status", {}, 2.0)["state"] == "ready",
        )

    def wait_fills(self, session: int, more: int = 1) -> None:
        """Wait until the session has booked more fills than now."""
        before = self.count_fills(session)
        wait_for(f"{more} more fills than {before}", lambda: self.count_fills(session) >= before + more)

    def count_fills(self, session: int) -> int:
        """Return how many fills the database has of a session."""
        return self.count("fills", session)

    def count(self, table: str, session: int) -> int:
        """Return how many rows a table has of a session."""
        return int(self.rows(f"select count(*) as n from {table} where session = %s", session)[0]["n"])

    def flatten(self, session: int) -> None:
        """Get the session flat and wait for it; market time may stand still."""
        wait_for(
            "flatten heard",
            lambda: self.ask(names.KEEPER, "flatten", {"session": session}, 10.0)["sessions"][0]["ok"],
        )
        wait_for(
            f"session {session} flat",
            lambda: (state := self.state(session))["position"] == 0 and not state["orders"],
        )

    def assert_books_agree(
        self, session: int, account: str = ACCOUNT, seconds: float = 60.0, known: Collection[str] = ()
    ) -> None:
        """Stop the market, ask for reconciliation, and compare database, engine and broker to the last order.

        `known` differences were told before and are passed over.
        """
        self.broker.pause()
        wait_for("reconcile", lambda: self.ask(names.trader(session), "reconcile", {}) is not None)
        seen: list[str] = []

        def agree() -> bool:
            seen[:] = [each for each in self.differences(session, account) if each not in known]
            return not seen

        try:
            wait_for("the books agree", agree, seconds)
        except Late:
            raise AssertionError("\n".join(seen)) from None
        finally:
            self.broker.resume()

    def differences(self, session: int, account: str = ACCOUNT, most: int = 1) -> list[str]:
        """Return every difference between database, engine and the broker's own ledger.

        `most`: contracts that the strategy may hold; a second entry under another id would exceed it.
        """
        books = self.broker.ledger()
        theirs = {order["id"]: order for order in books["orders"] if order["account"] == account}
        ours = self.rows("select * from orders where session = %s", session)
        found = duplicates(books["requests"], account)
        by_broker_id = {row["broker_id"]: row for row in ours if row["broker_id"]}
        found += [f"order {each} of the broker has no row" for each in theirs.keys() - by_broker_id.keys()]
        found += [f"row {each} has no order at the broker" for each in by_broker_id.keys() - theirs.keys()]
        for each in theirs.keys() & by_broker_id.keys():
            row, order = by_broker_id[each], theirs[each]
            if int(row["filled"]) != int(order["filled"]):
                found.append(f"{row['id']}: filled {row['filled']} here, {order['filled']} there")
            if is_over(row["state"]) != is_over(order["status"]):
                found.append(f"{row['id']}: {row['state']} here, {order['status']} there")
        found += [f"{row['id']}: {row['state']} without a broker id" for row in ours
                  if not row["broker_id"] and not is_over(row["state"])]  # fmt: skip
        booked = sums(
            self.rows("select broker_id as order_id, quantity, price from fills where session = %s", session)
        )
        fills = [fill for fill in books["fills"] if fill["account"] == account]
        found += excesses(fills, most)
        filled = sums(fills)
        found += [f"fills: {each} {booked.get(each)} here, {filled.get(each)} there"
                  for each in booked.keys() | filled.keys() if booked.get(each) != filled.get(each)]  # fmt: skip
        held = sum(int(each["quantity"]) for each in books["positions"] if each["account"] == account)
        engine = self.state(session)
        if engine["position"] != held:
            found.append(f"position: {engine['position']} in the engine, {held} at the broker")
        found += order_differences(engine["orders"], list(theirs.values()))
        written = self.rows("select quantity from positions where session = %s order by number desc limit 1", session)
        if (in_row := written[0]["quantity"] if written else 0) != held:
            found.append(f"position: {in_row} in the database, {held} at the broker")
        return found

    # --- asking

    def ask(self, process: str, method: str, params: dict[str, Any], seconds: float = 5.0) -> dict[str, Any]:
        """Ask a process over the bus."""
        with Client(Directory(self.home.sockets)) as client:
            return client.call(process, method, params, seconds)

    def tradectl(self, *arguments: str, code: int | None = 0) -> Any:
        """Run tradectl with --json and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "tradeproc.cli.tradectl", "--home", str(self.home.root), *arguments, "--json"],
            capture_output=True,
            text=True,
            timeout=120,
            env=self.environment,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Return what the database says."""
        url = self.environment.get("TRADEPROC_DATABASE_URL") or database_url(self.home)
        with psycopg.connect(url, autocommit=True, connect_timeout=3) as connection:
            return connection.cursor(row_factory=dict_row).execute(query, parameters).fetchall()  # type: ignore[arg-type]

    @cached_property
    def broker(self) -> LocalBroker:
        """Return the control of the local broker."""
        return LocalBroker(f"http://127.0.0.1:{self.port}", key_file_of(self.broker_home))

    def programs(self) -> list[Program]:
        """Return what supervisord has."""
        return Supervisor(self.home).processes()

    def pid(self, process: str) -> int:
        """Return the pid that supervisord has for a process, as `session-1.trader`; 0 when it is down."""
        return next((found.pid for found in self.programs() if found.process == process), 0)

    def kill(self, process: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a process and return its pid."""
        pid = int(wait_for(f"a pid of {process}", lambda: self.pid(process)))
        os.kill(pid, how)
        return pid

    def state(self, session: int) -> dict[str, Any]:
        """Return a trader's own summary."""
        return self.ask(names.trader(session), "state", {})

    def log(self, process: str) -> str:
        """Return a process's log."""
        return "".join(path.read_text(errors="replace") for path in self.home.log.glob(f"*{process.split('.')[-1]}*"))
