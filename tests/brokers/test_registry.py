import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tradeproc.brokers import registry
from tradeproc.brokers.contract import ListedOrder
from tradeproc.brokers.registry import BadBroker, UnknownBroker, broker, broker_keys, brokers, check_account_manager
from tradeproc.domain.answers import Answer, Known


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path in which a test installs packages of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def install(folder: Path, name: str, key: str, code: str) -> None:
    (folder / f"{name}.py").write_text(code)
    metadata = folder / f"{name}-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{key} = {name}:BROKER\n")


def test_tradestation_is_found_as_a_folder_and_once_though_it_is_an_entry_point_too() -> None:
    assert "tradestation" in broker_keys()
    assert broker("tradestation").name == "TradeStation"
    assert set(brokers()) == set(broker_keys())


def test_an_unknown_broker_names_the_nearest_known_one() -> None:
    with pytest.raises(UnknownBroker, match="did you mean 'tradestation'"):
        broker("tradesation")


def test_a_broker_of_an_installed_package_is_found_by_its_entry_point(plugins: Path) -> None:
    install(
        plugins,
        "papertiger",
        "tiger",
        "from tradeproc.brokers.tradestation.broker import TradeStation\n"
        "class Tiger(TradeStation):\n    key = 'tiger'\n"
        "BROKER = Tiger()\n",
    )

    assert "tiger" in broker_keys()
    assert broker("tiger").key == "tiger"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ValueError('boom')", "ValueError: boom"),
        ("NOTHING = 1", "AttributeError"),
        ("BROKER = object()", "has no name"),
        (
            "from tradeproc.brokers.tradestation.broker import TradeStation\nBROKER = TradeStation()",
            "its key is 'tradestation'",
        ),
        (
            "from tradeproc.brokers.tradestation.broker import TradeStation\n"
            "class Half(TradeStation):\n    key = 'half'\n    order_stream = None\n"
            "BROKER = Half()",
            "has no order_stream",
        ),
    ],
)
def test_a_broken_plugin_stops_with_what_is_missing(plugins: Path, code: str, said: str) -> None:
    install(plugins, "halfbroker", "half", code)

    with pytest.raises(BadBroker, match=said):
        broker("half")


def test_two_packages_with_one_key_are_refused(plugins: Path) -> None:
    for name in ("one", "two"):
        install(plugins, f"tiger_{name}", "tiger", "BROKER = object()")

    with pytest.raises(BadBroker, match="claim this key"):
        broker("tiger")


def test_an_account_manager_of_an_earlier_contract_is_refused_at_once_and_not_unknown_for_ever() -> None:
    class Old:
        def orders(self, account: str) -> Answer[Sequence[ListedOrder]]:
            return Known(())

    class New:
        def orders(self, account: str, ids: Sequence[str] = ()) -> Answer[Sequence[ListedOrder]]:
            return Known(())

    with pytest.raises(BadBroker, match=r"'old': its account manager's orders\(\) takes no ids"):
        check_account_manager("old", Old())  # type: ignore[arg-type]
    new: Any = New()
    assert check_account_manager("new", new) is new
