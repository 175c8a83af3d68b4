"""`tradectl adopt`: a person takes a position into its session, with a stop of their choice."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from rich.text import Text

from tradeproc.cli.commands.acknowledge import user
from tradeproc.cli.outcome import Outcome, SubParsers
from tradeproc.desk.exit_status import WrongUsage
from tradeproc.desk.installation import Desk
from tradeproc.domain.texts import storable
from tradeproc.domain.units import Price, plain
from tradeproc.protocol import names
from tradeproc.protocol.trader_messages import ADOPT, AdoptPosition


def add(subparsers: SubParsers, parents: Sequence[ArgumentParser]) -> None:
    """Add the command of this module."""
    text = (
        "place a stop for the contracts of a session that no stop of its own covers, as after a trade by hand; "
        "entries stay as they are"
    )
    parser = subparsers.add_parser("adopt", help=text, description=text, parents=parents)
    parser.add_argument("session", metavar="ID|NAME")
    parser.add_argument("--stop", required=True, metavar="PRICE", help="price of the stop, in points")
    parser.add_argument("--reason", required=True, type=storable, help="goes into the history of the order")
    parser.set_defaults(command=adopt)


def adopt(desk: Desk, arguments: Namespace) -> Outcome:
    """Tell the trader, and show what stops there are now."""
    if not arguments.reason.strip():
        raise WrongUsage("--reason: say in a few words why that is well")
    number = desk.session_number(arguments.session)
    wish = AdoptPosition(by=user(), reason=arguments.reason, stop=_price(arguments.stop))
    told = desk.ask(names.trader(number), ADOPT, wish)
    lines = [f"session {number}: position {told.position:+d}; its stops are sent or working:"]
    for order in told.stops:
        what = f"{order.side.value} {order.quantity - order.filled} at {order.stop_price}"
        lines.append(f"  {what} ({order.id}, {order.state.value})")
    return Outcome(ADOPT.answer_codec.plain(told), Text("\n".join(lines)))


def _price(text: str) -> Price:
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise WrongUsage(f"--stop {text}: write a price in points, as 4795.25") from None
    if not price.is_finite() or abs(price) >= 10**12:
        raise WrongUsage(f"--stop {text}: write a price in points, as 4795.25")
    return Price(plain(price))
