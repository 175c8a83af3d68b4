"""The session that a person names is found also when it was removed, or when the database or the keeper is away."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.desk.states import told
from tradeproc.desk import lookup
from tradeproc.desk.exit_status import NotFound, NotRunning
from tradeproc.desk.installation import Desk
from tradeproc.errors import Outage
from tradeproc.home import Home
from tradeproc.protocol.definitions import SNAPSHOT, FollowedTopic, Method
from tradeproc.protocol.names import KEEPER

AT = {"fence": 1, "holder": "", "created_at": 1, "changed_at": 1}
MINE = {"id": 1, "name": "mine", "desired": "running", "state": "running", "spec": {"minutes": 1}, "is_due": True,
        "next_change_at": None, "trading_state": "active", "programs": {}, "conflict": "", **AT}  # fmt: skip
OLD = {"id": 2, "name": "old", "removed_at": 5, "spec": {"minutes": 5}, **AT}
TRADER = told(account="A", strategy="s", bars=7)
AWAY = "core.keeper could not answer: the database is away"


class Client:
    """The bus of a desk that says what a test wants, or is not there."""

    def __init__(self, told: Mapping[tuple[str, str], Any]) -> None:
        self.told = told

    def call(self, process: str, method: Method[Any, Any], _question: object, _seconds: float) -> Any:
        return method.answer_codec.read(self._found(process, method.name))

    def snapshot(self, process: str, topic: FollowedTopic[Any, Any], _seconds: float) -> Any:
        return topic.snapshot_codec.read(self._found(process, SNAPSHOT))

    def _found(self, process: str, name: str) -> Any:
        if (process, name) not in self.told:
            raise Outage(f"{process} does not answer")
        return self.told[process, name]


class Scene(Desk):
    """A desk without processes: what each answers is in a table."""

    def __init__(self, home: Home, told: Mapping[tuple[str, str], Any]) -> None:
        super().__init__(home)
        self.told = told
        self.__dict__["client"] = Client(told)

    def ask(self, process: str, method: Any, question: Any = None, *, seconds: float = 5.0) -> Any:
        if (process, method.name) not in self.told:
            raise NotRunning(AWAY)
        found = self.told[process, method.name]
        asked = method.question_codec.plain(question)
        return method.answer_codec.read(found(asked) if callable(found) else found)

    def is_alive(self, process: str) -> bool:
        return any(process == named for named, _ in self.told)

    def processes(self) -> list[str]:
        return sorted({process for process, _ in self.told})

    def close(self) -> None:
        pass


@pytest.fixture
def home(tmp_path: Any) -> Home:
    return Home(tmp_path)


def removed(params: Mapping[str, Any]) -> dict[str, Any]:
    older = {**OLD, "id": 1, "removed_at": 3}
    return {"sessions": [each for each in (older, OLD) if params["named"] in (str(each["id"]), each["name"])]}


def test_a_removed_session_is_found_by_its_name_and_number_and_the_newest_of_several(home: Home) -> None:
    desk = Scene(home, {(KEEPER, "sessions"): {"sessions": [MINE]}, (KEEPER, "removed"): removed})

    assert lookup.find(desk, "mine").row.id == 1
    assert (lookup.find(desk, "old").row.id, lookup.find(desk, "2").row.shown["bar"]) == (2, "5m")
    with pytest.raises(NotFound, match="no session nobody"):
        lookup.find(desk, "nobody")


def test_while_the_database_is_away_the_keeper_still_knows_what_it_saw(home: Home) -> None:
    told = {(KEEPER, "snapshot"): {"sessions": [MINE]}, ("session-1.trader", "state"): TRADER}

    found = lookup.find(Scene(home, told), "mine")

    assert (found.row.id, found.row.desired, found.away) == (1, "running", AWAY)


@pytest.mark.parametrize("named", ["mine", "1"])
def test_without_a_keeper_the_traders_that_live_tell_who_they_are(home: Home, named: str) -> None:
    desk = Scene(home, {("session-1.trader", "state"): TRADER, ("session-2.trader", "status"): {}})

    found = lookup.find(desk, named)

    assert (found.row.id, found.row.contract, found.away) == (1, "ESH24", AWAY)
    with pytest.raises(NotRunning, match="database is away"):
        lookup.find(desk, "other")
