"""What a reservation of heat costs on the hot path: one desk, its session by turns in a portfolio and in none."""

from statistics import fmean

from tradeproc.bench.desk import TemporaryDesk, temporary_desk
from tradeproc.bench.figures import Measured, Row
from tradeproc.bench.hot_path import measure_hot_path
from tradeproc.protocol import names
from tradeproc.protocol.definitions import NoBody
from tradeproc.protocol.heat_messages import ASK_PORTFOLIOS_HEAT
from tradeproc.protocol.portfolio_commands import CREATE_PORTFOLIO, REMOVE_PORTFOLIO, CreatePortfolio, OfPortfolio
from tradeproc.protocol.trader_messages import ASK_STATE
from tradeproc.testing.waiting import wait_until

ORDERS = 80
ROUNDS = 2
GOAL = 1.1
_SECONDS = 60.0
_SPEC = {"name": "bench", "equity": 10**12, "warn_percent": 90, "block_percent": 100, "worst_case": 1}


def measure_reservation(orders: int = ORDERS, rounds: int = ROUNDS) -> list[Measured]:
    """Return p50 in a portfolio against p50 without one, each as the ratio to the baseline of the same minute."""
    ratios: dict[bool, list[float]] = {False: [], True: []}
    with temporary_desk() as desk:
        desk.start_session()
        for is_in_portfolio in (False, True) * rounds:
            _place(desk, is_in_portfolio=is_in_portfolio)
            _, values = measure_hot_path(desk, orders)
            desk.broker.pause()
            ratios[is_in_portfolio].append(values["hot_path_p50_ratio"])
    here, there = fmean(ratios[True]), fmean(ratios[False])
    ratio = here / there
    row = Row(
        "hot path p50 / bare baseline: in a portfolio, in none",
        f"{here:.2f}",
        f"{there:.2f}",
        ratio,
        f"≤ {GOAL}",
        ratio <= GOAL,
    )
    return [Measured("reservation of heat", [row], {"reservation_p50_ratio": ratio})]


def _place(desk: TemporaryDesk, *, is_in_portfolio: bool) -> None:
    """Put the session into a portfolio or into none, and wait until its trader and the server know it."""
    ask, trader = desk.desk.ask, names.trader(desk.session)
    if is_in_portfolio:
        _join(desk)
    elif ask(trader, ASK_STATE, NoBody()).portfolio:
        ask(names.KEEPER, REMOVE_PORTFOLIO, OfPortfolio("bench"))
        wait_until("the trader knows it", lambda: not ask(trader, ASK_STATE, NoBody()).portfolio, _SECONDS)


def _join(desk: TemporaryDesk) -> None:
    """Put the session into a portfolio, and wait until its heat is known: entries are granted from then on."""
    ask = desk.desk.ask
    ask(names.KEEPER, CREATE_PORTFOLIO, CreatePortfolio(_SPEC, (desk.session,)))
    trader = names.trader(desk.session)
    wait_until("the trader knows it", lambda: ask(trader, ASK_STATE, NoBody()).portfolio == "bench", _SECONDS)

    def is_known() -> bool:
        told = ask(names.PORTFOLIO, ASK_PORTFOLIOS_HEAT, NoBody()).portfolios
        return any(each.sessions == (desk.session,) and each.heat is not None for each in told)

    wait_until("its heat is known", is_known, _SECONDS)
