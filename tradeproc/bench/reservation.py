"""What a reservation of heat costs on the hot path: the same desk twice, its session in a portfolio and in none."""

from tradeproc.bench.desk import TemporaryDesk, temporary_desk
from tradeproc.bench.figures import Measured, Row
from tradeproc.bench.hot_path import measure_hot_path
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.heat_messages import ASK_PORTFOLIOS_HEAT
from tradeproc.protocol.portfolio_commands import CREATE_PORTFOLIO, CreatePortfolio
from tradeproc.protocol.trader_messages import ASK_STATE
from tradeproc.testing.waiting import wait_until

ORDERS = 150
GOAL = 1.1
_SECONDS = 60.0
_SPEC = {"name": "bench", "equity": 10**12, "warn_percent": 90, "block_percent": 100, "worst_case": 1}


def measure_reservation(orders: int = ORDERS) -> list[Measured]:
    """Return p50 in a portfolio against p50 without one, each as the ratio to the baseline of its own run."""
    ratios = {}
    for is_in_portfolio in (False, True):
        with temporary_desk() as desk:
            desk.start_session()
            if is_in_portfolio:
                _join(desk)
            _, values = measure_hot_path(desk, orders)
        ratios[is_in_portfolio] = values["hot_path_p50_ratio"]
    here, there = ratios[True], ratios[False]
    ratio = here / there
    what = "p50 of the hot path, as the ratio to the bare baseline: in a portfolio / in none"
    row = Row(what, f"{here:.2f}", f"{there:.2f}", ratio, f"≤ {GOAL}", ratio <= GOAL)
    return [Measured("reservation of heat", [row], {"reservation_p50_ratio": ratio})]


def _join(desk: TemporaryDesk) -> None:
    """Put the session into a portfolio, and wait until its heat is known: entries are granted from then on."""
    ask = desk.desk.ask
    ask(names.KEEPER, CREATE_PORTFOLIO, CreatePortfolio(_SPEC, (desk.session,)))
    trader = names.trader(desk.session)
    wait_until("the trader knows it", lambda: ask(trader, ASK_STATE, NoBody()).portfolio == "bench", _SECONDS)

    def is_known() -> bool:
        told = ask(names.PORTFOLIO, ASK_PORTFOLIOS_HEAT, NoBody()).portfolios
        return bool(told) and told[0].heat is not None

    wait_until("its heat is known", is_known, _SECONDS)
