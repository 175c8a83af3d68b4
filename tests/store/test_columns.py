"""Every field has its column and every column its field, in the tables and in each statement that reads or writes."""

import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal
from enum import Enum
from itertools import count
from typing import Any, TypeVar

import psycopg
import pytest

from tests.store.book import AT, EVENT, ORDER, SPEC, booked
from tradeproc.domain.book import Balance, DecisionMade, Divergence, Fill, Trade
from tradeproc.domain.broker_orders import BrokerAccount
from tradeproc.domain.instruments import instrument_of
from tradeproc.domain.joint_limits import JointMarks
from tradeproc.domain.orders import Order, OrderEvent, OrderSource, OrderState
from tradeproc.domain.portfolio import HeatAnswer, PortfolioSpec
from tradeproc.domain.roll_steps import Roll
from tradeproc.domain.roll_volumes import RollVolume
from tradeproc.domain.session import SessionSpec
from tradeproc.domain.tally import LossMarks
from tradeproc.domain.units import Contracts, Nanos
from tradeproc.protocol import names
from tradeproc.store import (
    AccountRow,
    Acknowledgement,
    AlarmRow,
    DivergenceRow,
    Latch,
    Lease,
    LoginRow,
    PositionRow,
    SessionRow,
    Store,
)
from tradeproc.store.columns import columns_of, row_of, value_of
from tradeproc.store.rows import HeatBlockRow, PortfolioRow, PortfolioSessionRow
from tradeproc.store.writes import (
    balance_write,
    divergence_write,
    latch_write,
    loss_marks_write,
    orders_write,
    position_write,
    roll_volume_write,
    roll_write,
)

T = TypeVar("T")
PORTFOLIO = PortfolioSpec(name="main", warn_percent=4.5, block_percent=6, worst_case=1000, account="SIM1", notes="n")

# the value of a row, and the columns that only the database needs
TABLES: dict[str, tuple[type, set[str]]] = {
    "accounts": (AccountRow, set()),
    "alarms": (AlarmRow, {"number"}),
    "balances": (Balance, {"number"}),
    "decisions": (DecisionMade, {"number"}),
    "divergences": (DivergenceRow, {"number"}),
    "fills": (Fill, {"number"}),
    "heat_answers": (HeatAnswer, {"number"}),
    "latches": (Latch, set()),
    "latch_changes": (Latch, {"number"}),
    "joint_marks": (JointMarks, set()),
    "logins": (LoginRow, set()),
    "order_events": (OrderEvent, {"sequence", "fingerprint"}),
    "loss_marks": (LossMarks, set()),
    "orders": (Order, {"limit_price", "stop_price"}),
    "heat_blocks": (HeatBlockRow, {"number"}),
    "portfolios": (PortfolioRow, set()),
    "portfolio_sessions": (PortfolioSessionRow, set()),
    "positions": (PositionRow, {"number"}),
    "rolls": (Roll, {"number"}),
    "roll_volumes": (RollVolume, set()),
    "sessions": (SessionRow, {"key", "name", "removed_at", "data_login"}),
    "trades": (Trade, {"number"}),
}
# read as single columns, never as a value
WITHOUT_VALUE = {"installation", "schema_migrations", "trades_computed"}

# what a text or a number may be where the database asks for more than its type
CHOSEN = {
    "session": 1,
    "contract": "NQH24",
    "in_flight": "modify",
    "state": OrderState.SUBMITTED,
    "environment": "paper",
}


def filled(kind: type[T], start: int = 1, **changes: object) -> T:
    """Return a value whose every field is there and unlike its default and all others."""
    return typing.cast(T, _filled(kind, count(start), changes))


def _filled(kind: Any, numbers: Iterator[int], chosen: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(kind)
    given = {**CHOSEN, **chosen}
    return kind(**{field.name: given.get(field.name, _any(hints[field.name], numbers)) for field in fields(kind)})


def _any(hint: Any, numbers: Iterator[int]) -> Any:
    kind, number = bare(hint), next(numbers)
    if kind is SessionSpec:
        return SPEC
    if kind is PortfolioSpec:
        return PORTFOLIO
    if is_dataclass(kind):
        return _filled(kind, numbers, {})
    if issubclass(kind, Enum):
        return list(kind)[-1 - number % (len(kind) - 1)]
    made: dict[type, Callable[[], object]] = {
        bool: lambda: True,
        int: lambda: number,
        str: lambda: f"text {number}",
        Decimal: lambda: Decimal(number) + Decimal("0.25"),
        dict: lambda: {f"key {number}": f"text {number}"},
    }
    return made[kind]()


def bare(hint: Any) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) or is_optional(hint) else (hint,)
    found = next(option for option in options if option is not type(None))
    while isinstance(found, typing.NewType):
        found = found.__supertype__
    return typing.get_origin(found) or found


def is_optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def optional_columns(kind: type, is_within_optional: bool = False) -> set[str]:
    """Return the columns that may be null, because their field or the value around it may be None."""
    hints, found = typing.get_type_hints(kind), set[str]()
    for field in fields(kind):
        may_be_none = is_within_optional or is_optional(hints[field.name])
        inner = bare(hints[field.name])
        if is_dataclass(inner) and inner not in (SessionSpec, PortfolioSpec):
            found |= optional_columns(typing.cast(type, inner), may_be_none)
        elif may_be_none:
            found.add(column_of(kind, field.name))
    return found


def column_of(kind: type, field: str) -> str:
    if kind is Order and field in ("limit", "stop"):
        return f"{field}_ticks"
    return f"acknowledged_{field}" if kind is Acknowledgement else field


@pytest.fixture
def direct(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def columns(direct: psycopg.Connection) -> dict[str, dict[str, bool]]:
    """Return whether a column may be null, by table and column."""
    found: dict[str, dict[str, bool]] = {}
    for table, column, is_nullable in direct.execute(
        "select table_name, column_name, is_nullable = 'YES' from information_schema.columns"
        " where table_schema = 'public' and table_name not like 'procrastinate%'"
    ):
        found.setdefault(table, {})[column] = is_nullable
    return found


def test_each_table_has_the_columns_of_its_value(direct: psycopg.Connection) -> None:
    found = columns(direct)

    assert set(found) == set(TABLES) | WITHOUT_VALUE
    for table, (kind, beside) in TABLES.items():
        assert set(found[table]) == set(columns_of(kind)) | beside, table
        assert not set(columns_of(kind)) & beside, table


def test_a_column_may_be_null_where_its_field_may_be_none(direct: psycopg.Connection) -> None:
    found = columns(direct)
    for table, (kind, beside) in TABLES.items():
        nullable = {column for column, is_nullable in found[table].items() if is_nullable}
        assert nullable - beside == optional_columns(kind), table


@pytest.mark.parametrize(
    "kind", [Order, OrderEvent, Fill, Trade, Balance, Divergence, PositionRow, DecisionMade, Roll]
)
def test_a_value_becomes_a_row_of_json_values_and_comes_back(kind: type) -> None:
    value = filled(kind)
    row = row_of(value)

    assert set(map(type, row.values())) <= {int, str, bool, dict, type(None)}
    amounts = {key: Decimal(text) for key, text in row.items() if isinstance(text, str) and text.endswith(".25")}
    assert value_of(kind, {**row, **amounts, "another": 1}) == value


@dataclass(frozen=True)
class Unkept:
    """A value with a field that no column can hold."""

    session: int
    names: frozenset[str]


def test_a_field_that_no_column_can_hold_is_named() -> None:
    with pytest.raises(TypeError, match="no column holds a frozenset"):
        row_of(Unkept(1, frozenset()))
    with pytest.raises(TypeError, match="no column holds a frozenset"):
        value_of(Unkept, {"session": 1, "names": []})


# --- through the statements


@pytest.fixture
def session(store: Store) -> int:
    return store.create_session(SPEC)


@dataclass(frozen=True)
class Kept:
    """A value, how it is written, and what is read back."""

    value: object
    write: Callable[[Store], object]
    read: Callable[[Store], object]


def kept_orders() -> Iterator[Kept]:
    order, event = filled(Order), filled(OrderEvent, order_id="text 1")
    new, first = replace(order, fence=0), replace(event, before=None)
    save = orders_write([order], [event], [], fence=0)
    yield Kept(order, lambda store: store.write(save), lambda store: store.orders(1)[0])
    yield Kept(order, lambda store: store.write(save), lambda store: store.open_orders(1)[0])
    yield Kept(event, lambda store: store.write(save), lambda store: store.order_events("text 1")[0])
    enter = ([new], [first])
    for value, read in (
        (new, lambda store: store.orders(1)[0]),
        (first, lambda store: store.order_events("text 1")[0]),
    ):
        yield Kept(value, lambda store: store.enter_orders(*enter, fence=0, meanwhile=lambda: None), read)


def kept_values() -> Iterator[Kept]:
    yield from kept_orders()
    fill, position, balance = filled(Fill), filled(PositionRow), filled(Balance)
    divergence, latch, trade = filled(Divergence), filled(Latch, state="reducing"), filled(Trade)
    account, login, decision = filled(BrokerAccount), filled(LoginRow), filled(DecisionMade)
    yield Kept(fill, lambda store: store.write(booked(fill)), lambda store: store.fills(1)[0])
    yield Kept(position, lambda store: store.write(position_write(position)), lambda store: store.positions(1)[0])
    marks = filled(LossMarks)
    yield Kept(
        marks, lambda store: store.write(loss_marks_write(marks)), lambda store: store.loss_marks(marks.session)
    )
    joint = filled(JointMarks)
    yield Kept(
        joint,
        lambda store: store.portfolios.save_joint_marks(joint),
        lambda store: store.portfolios.joint_marks()[joint.scope],
    )
    yield Kept(balance, lambda store: store.write(balance_write(balance)), lambda store: store.balances()[0])
    yield Kept(
        divergence,
        lambda store: store.write(divergence_write(divergence)),
        lambda store: store.divergences(1)[0].divergence,
    )
    roll = filled(Roll)
    yield Kept(roll, lambda store: store.write(roll_write(roll)), lambda store: store.rolls(1)[0])
    answer = filled(HeatAnswer)
    yield Kept(answer, lambda store: store.save_heat_answers(1, [answer]), lambda store: store.heat_answers(1)[0])
    volume = filled(RollVolume)
    yield Kept(volume, lambda store: store.write(roll_volume_write(volume)), lambda store: store.roll_volumes(1)[0])
    for write in (
        lambda store: store.keep_latch(latch),
        lambda store: store.keep_latch(latch, is_late=True),
        lambda store: store.write(latch_write(latch)),
    ):
        yield Kept(latch, write, lambda store: store.latch(latch.scope))
        yield Kept(latch, write, lambda store: store.latches()[0])
    yield Kept(trade, lambda store: store.save_trades(1, [trade], fills_seen=1), lambda store: store.trades(1)[0])
    yield Kept(decision, lambda store: store.save_decisions(1, [decision]), lambda store: store.decisions(1)[0])
    yield Kept(
        login,
        lambda store: store.save_login(login.name, login.broker, login.environment, login.base_url),
        lambda store: replace(store.logins()[0], changed_at=login.changed_at),
    )

    def save_account(store: Store) -> None:
        store.save_login("paper", "x", "paper", "")
        store.save_accounts("paper", [account])

    yield Kept(account, save_account, lambda store: store.accounts("paper")[0].account)


KEPT = list(kept_values())


@pytest.mark.parametrize("kept", KEPT, ids=[f"{n}-{type(kept.value).__name__}" for n, kept in enumerate(KEPT)])
def test_no_statement_forgets_a_field(store: Store, session: int, kept: Kept) -> None:
    kept.write(store)

    assert kept.read(store) == kept.value


def test_what_a_person_has_seen_and_what_is_over_is_read_back(store: Store, session: int) -> None:
    divergence, seen = filled(Divergence), Acknowledgement(Nanos(AT), "me", "seen")
    store.write(divergence_write(divergence))
    store.save_alarm(1, "name", "detail", Nanos(5), names.KEEPER)
    store.acknowledge_divergences(1, seen.by, seen.reason, seen.at)
    store.acknowledge_alarms(1, None, seen.by, seen.reason, seen.at)
    store.clear_alarms(1, "name", Nanos(AT))

    assert store.divergences() == [DivergenceRow(divergence, None, seen)]
    assert store.alarms() == [AlarmRow(1, "name", "detail", Nanos(5), Nanos(AT), seen, names.KEEPER)]


def test_a_session_is_read_back_with_who_holds_it(store: Store, session: int, url: str) -> None:
    store.set_desired(session, "flattening")
    lease = Lease.acquire(url, session, "us")
    lease.release()

    found = store.session(session)

    assert (found.id, found.spec, found.desired, found.fence, found.holder) == (session, SPEC, "flattening", 1, "us")
    assert found.leased_at is not None
    assert found.leased_at >= found.changed_at >= found.created_at > AT
    assert store.sessions() == [found]


def test_a_later_write_changes_every_field_that_can_change(store: Store, session: int) -> None:
    order, later = filled(Order), filled(Order, 100, state=OrderState.FILLED, in_flight="cancel")
    born = ("id", "fence", "contract", "side", "type", "role", "created_at", "market_at", "time_in_force")
    expected = replace(later, **{name: getattr(order, name) for name in born})
    event = OrderEvent(order.id, Nanos(AT), OrderSource.OPERATOR, order.state, later.state, "order_filled")
    store.write(orders_write([order], [], fence=0))

    store.write(orders_write([replace(later, id=order.id)], [event], fence=0))

    assert store.orders() == [expected]


def test_trades_and_notes_are_replaced_in_all_their_fields(store: Store, session: int) -> None:
    trade, decision = filled(Trade, 50), filled(DecisionMade, 50)
    store.save_trades(1, [filled(Trade)], fills_seen=1)
    store.save_decisions(1, [filled(DecisionMade)])

    store.save_trades(1, [trade], fills_seen=2)
    store.save_decisions(1, [replace(decision, began_at=filled(DecisionMade).began_at)])

    assert store.trades() == [trade]
    # what was wanted is one decision still, however often it is told
    first = filled(DecisionMade)
    assert store.decisions() == [replace(decision, began_at=first.began_at, decision=first.decision)]


def test_what_is_configured_and_switched_later_replaces_all_of_it(store: Store) -> None:
    first, late, tripped = (replace(filled(Latch, start), scope="host") for start in (1, 50, 100))
    store.keep_latch(replace(first, state="active"))
    store.write(latch_write(replace(tripped, state="halted")))
    assert store.latches() == [replace(tripped, state="halted")]

    store.keep_latch(replace(late, state="reducing"))
    assert store.latches() == [replace(late, state="reducing")]

    for start in (1, 50):
        login, account = replace(filled(LoginRow, start), name="paper"), replace(filled(BrokerAccount, start), id="1")
        store.save_login(login.name, login.broker, login.environment, login.base_url)
        store.save_accounts("paper", [account])
        assert store.logins() == [replace(login, changed_at=store.logins()[0].changed_at)]
        assert store.accounts() == [AccountRow("paper", account, store.accounts()[0].seen_at)]


def test_prices_stand_beside_the_ticks(store: Store, session: int, direct: psycopg.Connection) -> None:
    order = replace(ORDER, fence=0)
    store.write(orders_write([order], [EVENT], fence=0))

    product = instrument_of(order.contract)
    assert order.limit is not None
    assert order.stop is not None
    assert direct.execute("select limit_price, stop_price from orders").fetchone() == (
        product.price(order.limit),
        product.price(order.stop),
    )


def test_an_event_has_the_fingerprint_that_earlier_versions_gave_it(
    store: Store, session: int, direct: psycopg.Connection
) -> None:
    event = replace(EVENT, before=OrderState.PENDING, filled=Contracts(1), details={"why": "\u2014", "a": "b"})
    store.write(orders_write([replace(ORDER, fence=0)], [EVENT, event], fence=0))

    assert direct.execute("select fingerprint from order_events order by sequence").fetchall() == [
        (-5108676454558973854,),
        (7351293624721005859,),
    ]
